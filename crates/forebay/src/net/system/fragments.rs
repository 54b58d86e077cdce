//! Datagrams that are larger than the path's packets.

use std::io;

#[cfg(any(target_os = "linux", target_os = "android"))]
use nix::sys::socket::{setsockopt, sockopt::Ipv6DontFrag};
#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
#[cfg(any(target_os = "linux", target_os = "android"))]
use socket2::Domain;
use socket2::Socket;

/// Lets the system send a datagram in fragments if it is above the path's size, as a socket does on which nothing
/// was set (`IP_MTU_DISCOVER`, `ip(7)`; `IPV6_MTU_DISCOVER` and `IPV6_DONTFRAG`, `ipv6(7)`).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::net) fn allow_fragments(socket: &Socket) -> io::Result<()> {
    let is_ipv6 = socket.local_addr()?.domain() == Domain::IPV6;
    let ipv4 = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT);
    if !is_ipv6 {
        return Ok(ipv4?);
    }
    // A socket of IPv6 need not carry IPv4.
    set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::WANT)?;
    Ok(setsockopt(socket, Ipv6DontFrag, &false)?)
}

/// Elsewhere only IPv6 has an option that forbids it, which has no portable name.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::net) fn allow_fragments(_: &Socket) -> io::Result<()> {
    Ok(())
}
