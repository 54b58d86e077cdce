//! Groups that other sockets have joined.

use socket2::Socket;

/// Keeps datagrams of groups away that only other sockets of this machine have joined. Linux delivers them to
/// every socket at the port unless told otherwise (`IP_MULTICAST_ALL`, `ip(7)`; `IPV6_MULTICAST_ALL`). A kernel
/// without the option delivers them.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::net) fn only_joined_groups(socket: &Socket) {
    socket.set_multicast_all_v4(false).ok();
    // Refused on a socket of IPv4.
    socket.set_multicast_all_v6(false).ok();
}

/// Other systems do so by themselves.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::net) fn only_joined_groups(_: &Socket) {}
