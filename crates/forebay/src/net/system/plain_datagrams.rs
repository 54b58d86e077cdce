//! Options that `quinn-udp` sets for QUIC, and that other datagrams do without.

use std::io;

#[cfg(any(target_os = "linux", target_os = "android"))]
use nix::sys::socket::{
    setsockopt,
    sockopt::{
        IpRecvTos, Ipv4PacketInfo, Ipv6DontFrag, Ipv6RecvPacketInfo, Ipv6RecvTClass,
        ReceiveTimestampns, UdpGroSegment,
    },
};
#[cfg(unix)]
use quinn_udp::{UdpSockRef, UdpSocketState};
use rustix::fd::BorrowedFd;
#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::Socket;
#[cfg(any(target_os = "linux", target_os = "android"))]
use socket2::{Domain, Type};

/// Sets back what a socket has on which nothing was set: the system sends a datagram above the path's size in
/// fragments (`IP_MTU_DISCOVER`, `ip(7)`; `IPV6_MTU_DISCOVER` and `IPV6_DONTFRAG`, `ipv6(7)`), and does not read the
/// clock for each that arrives (`SO_TIMESTAMPNS`, `socket(7)`).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::net) fn as_a_plain_socket(socket: &Socket) -> io::Result<()> {
    setsockopt(socket, ReceiveTimestampns, &false)?;
    let is_ipv6 = socket.local_addr()?.domain() == Domain::IPV6;
    let ipv4 = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT);
    if !is_ipv6 {
        return Ok(ipv4?);
    }
    // A socket of IPv6 need not carry IPv4.
    set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::WANT)?;
    Ok(setsockopt(socket, Ipv6DontFrag, &false)?)
}

/// Elsewhere it sets one of these, that of fragments over IPv6, which has no portable name.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::net) fn as_a_plain_socket(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Turns off that the system tells more about a datagram than its sender, and that it joins several (`UDP_GRO`,
/// `udp(7)`). Returns `false` if that is not possible.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::net) fn without_packet_info(socket: &Socket) -> bool {
    // The system may not know it at all.
    setsockopt(socket, UdpGroSegment, &false).ok();
    set_packet_info(socket, false)
}

/// Sets whether the system tells more about a datagram than its sender (`IP_PKTINFO`, `IP_RECVTOS`, `ip(7)`;
/// `IPV6_RECVPKTINFO`, `IPV6_RECVTCLASS`, `ipv6(7)`). Returns `false` if it refuses.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_packet_info(socket: &Socket, is_told: bool) -> bool {
    let is_ipv6 = socket.local_addr().is_ok_and(|address| address.domain() == Domain::IPV6);
    // A socket of IPv6 need not carry IPv4.
    let ipv4 = setsockopt(socket, Ipv4PacketInfo, &is_told).is_ok()
        && setsockopt(socket, IpRecvTos, &is_told).is_ok();
    if !is_ipv6 {
        return ipv4;
    }
    setsockopt(socket, Ipv6RecvPacketInfo, &is_told).is_ok()
        && setsockopt(socket, Ipv6RecvTClass, &is_told).is_ok()
}

/// Prepares a socket that another program has too. It is asked for ancillary data, which only this program sees; the
/// other options that `quinn-udp` sets, if only for a moment, would be the other program's too, so another socket
/// has them set.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::net) fn shared_reception(socket: &Socket) -> io::Result<UdpSocketState> {
    let like_it = Socket::new(socket.local_addr()?.domain(), Type::DGRAM, None)?;
    let system = UdpSocketState::new(UdpSockRef::from(&like_it))?;
    // What is not told is `None`.
    set_packet_info(socket, true);
    Ok(system)
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub(in crate::net) fn shared_reception(socket: &Socket) -> io::Result<UdpSocketState> {
    UdpSocketState::new(UdpSockRef::from(socket))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::net) fn without_packet_info(_: &Socket) -> bool {
    false
}

/// Lets the system join datagrams that arrive together. Returns `false` if it cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::net) fn join_datagrams(fd: BorrowedFd<'_>) -> bool {
    setsockopt(&fd, UdpGroSegment, &true).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::net) fn join_datagrams(_: BorrowedFd<'_>) -> bool {
    false
}
