//! Answering from the address that was asked.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::fd::BorrowedFd;

use super::datagram::Datagram;

/// The address to answer a datagram from, and the interface: those it was sent to, which are this machine's own
/// unless it came to a group or by broadcast.
pub(super) fn source_of(datagram: &Datagram) -> Option<(IpAddr, u32)> {
    let ip = datagram.local_address?;
    let never = ip.is_multicast() || ip.is_unspecified();
    let is_link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let interface = if is_link_local { datagram.interface? } else { 0 };
    (!never).then_some((ip, interface))
}

pub(super) use self::system::send_from;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use self::system::PacketInfo;

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod system {
    use std::io::IoSlice;

    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    use rustix::fd::AsRawFd;

    use super::{BorrowedFd, IpAddr, SocketAddr, io};

    /// The address and the interface that a datagram is sent from (`IP_PKTINFO`, `ip(7)`; `IPV6_PKTINFO`, RFC
    /// 3542, section 6).
    pub(in crate::net::udp) enum PacketInfo {
        V4(in_pktinfo),
        V6(in6_pktinfo),
    }

    impl PacketInfo {
        pub(in crate::net::udp) fn new(from: IpAddr, interface: u32) -> Self {
            match from {
                IpAddr::V4(ip) => Self::V4(in_pktinfo {
                    ipi_ifindex: interface.try_into().unwrap_or(0),
                    ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                    ipi_addr: in_addr { s_addr: 0 },
                }),
                IpAddr::V6(ip) => Self::V6(in6_pktinfo {
                    ipi6_addr: in6_addr { s6_addr: ip.octets() },
                    ipi6_ifindex: interface,
                }),
            }
        }
    }

    /// Sends a datagram from this address.
    pub(in crate::net::udp) fn send_from(
        fd: BorrowedFd<'_>,
        payload: &[u8],
        to: SocketAddr,
        from: IpAddr,
        interface: u32,
    ) -> io::Result<usize> {
        let info = PacketInfo::new(from, interface);
        let source = match &info {
            PacketInfo::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            PacketInfo::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        };
        let (parts, to) = ([IoSlice::new(payload)], SockaddrStorage::from(to));
        Ok(sendmsg(fd.as_raw_fd(), &parts, &[source], MsgFlags::MSG_DONTWAIT, Some(&to))?)
    }
}

/// The source is left to the system.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod system {
    use rustix::net::sendto;

    use super::{BorrowedFd, IpAddr, SocketAddr, io};
    use crate::net::system::SEND_FLAGS;

    pub(in crate::net::udp) fn send_from(
        fd: BorrowedFd<'_>,
        payload: &[u8],
        to: SocketAddr,
        _: IpAddr,
        _: u32,
    ) -> io::Result<usize> {
        Ok(sendto(fd, payload, SEND_FLAGS, &to)?)
    }
}
