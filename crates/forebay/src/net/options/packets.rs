//! Options of the packets of a socket, which IPv4 and IPv6 name differently.
//!
//! A socket of IPv6 also carries IPv4, to mapped addresses. Where the system has the options of IPv4 on it too,
//! they are set as well, so that a packet has what was asked for whatever its family.

use std::io;

use socket2::{Domain, SockRef};

use crate::net::udp::{MulticastInterface, address_of, index_of};

pub(super) fn is_ipv6(socket: &SockRef<'_>) -> io::Result<bool> {
    Ok(socket.local_addr()?.domain() == Domain::IPV6)
}

fn as_byte(value: u32) -> io::Result<u8> {
    u8::try_from(value).map_err(|_| io::ErrorKind::InvalidData.into())
}

pub(super) fn set_ttl(socket: &SockRef<'_>, routers: u8) -> io::Result<()> {
    if !is_ipv6(socket)? {
        return socket.set_ttl_v4(routers.into());
    }
    // Refused on some systems, and on a socket for IPv6 only.
    socket.set_ttl_v4(routers.into()).ok();
    socket.set_unicast_hops_v6(routers.into())
}

pub(super) fn ttl(socket: &SockRef<'_>) -> io::Result<u8> {
    let routers = if is_ipv6(socket)? { socket.unicast_hops_v6() } else { socket.ttl_v4() };
    routers.and_then(as_byte)
}

#[cfg(unix)]
pub(super) fn set_class(socket: &SockRef<'_>, class: u8) -> io::Result<()> {
    if !is_ipv6(socket)? {
        return socket.set_tos_v4(class.into());
    }
    // As above.
    socket.set_tos_v4(class.into()).ok();
    socket.set_tclass_v6(class.into())
}

#[cfg(unix)]
pub(super) fn class(socket: &SockRef<'_>) -> io::Result<u8> {
    let class = if is_ipv6(socket)? { socket.tclass_v6() } else { socket.tos_v4() };
    class.and_then(as_byte)
}

pub(super) fn set_multicast_ttl(socket: &SockRef<'_>, routers: u8) -> io::Result<()> {
    if !is_ipv6(socket)? {
        return socket.set_multicast_ttl_v4(routers.into());
    }
    socket.set_multicast_hops_v6(routers.into())
}

pub(super) fn multicast_ttl(socket: &SockRef<'_>) -> io::Result<u8> {
    let is_ipv6 = is_ipv6(socket)?;
    let routers = if is_ipv6 { socket.multicast_hops_v6() } else { socket.multicast_ttl_v4() };
    routers.and_then(as_byte)
}

pub(super) fn set_multicast_loop(socket: &SockRef<'_>, reach: bool) -> io::Result<()> {
    if is_ipv6(socket)? {
        socket.set_multicast_loop_v6(reach)
    } else {
        socket.set_multicast_loop_v4(reach)
    }
}

pub(super) fn multicast_loop(socket: &SockRef<'_>) -> io::Result<bool> {
    if is_ipv6(socket)? { socket.multicast_loop_v6() } else { socket.multicast_loop_v4() }
}

pub(super) fn set_multicast_interface(
    socket: &SockRef<'_>,
    interface: MulticastInterface,
) -> io::Result<()> {
    if is_ipv6(socket)? {
        socket.set_multicast_if_v6(index_of(interface)?)
    } else {
        socket.set_multicast_if_v4(&address_of(interface)?)
    }
}

pub(super) fn multicast_interface(socket: &SockRef<'_>) -> io::Result<MulticastInterface> {
    if is_ipv6(socket)? {
        socket.multicast_if_v6().map(MulticastInterface::Index)
    } else {
        socket.multicast_if_v4().map(MulticastInterface::Address)
    }
}

/// The system has the option and ignores it.
#[cfg(windows)]
pub(super) fn set_class(_: &SockRef<'_>, _: u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// As [`set_class`].
#[cfg(windows)]
pub(super) fn class(_: &SockRef<'_>) -> io::Result<u8> {
    Err(io::ErrorKind::Unsupported.into())
}
