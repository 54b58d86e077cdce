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

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod system {
    use std::io::IoSlice;

    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    use rustix::fd::AsRawFd;

    use super::{BorrowedFd, IpAddr, SocketAddr, io};

    /// Sends a datagram from this address (`IP_PKTINFO`, `ip(7)`; `IPV6_PKTINFO`, RFC 3542, section 6).
    pub(in crate::net::udp) fn send_from(
        fd: BorrowedFd<'_>,
        payload: &[u8],
        to: SocketAddr,
        from: IpAddr,
        interface: u32,
    ) -> io::Result<usize> {
        let parts = [IoSlice::new(payload)];
        let to = SockaddrStorage::from(to);
        let sent = match from {
            IpAddr::V4(ip) => {
                let address = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                let source = in_pktinfo {
                    ipi_ifindex: interface.try_into().unwrap_or(0),
                    ipi_spec_dst: address,
                    ipi_addr: in_addr { s_addr: 0 },
                };
                let source = [ControlMessage::Ipv4PacketInfo(&source)];
                sendmsg(fd.as_raw_fd(), &parts, &source, MsgFlags::empty(), Some(&to))
            }
            IpAddr::V6(ip) => {
                let source = in6_pktinfo {
                    ipi6_addr: in6_addr { s6_addr: ip.octets() },
                    ipi6_ifindex: interface,
                };
                let source = [ControlMessage::Ipv6PacketInfo(&source)];
                sendmsg(fd.as_raw_fd(), &parts, &source, MsgFlags::empty(), Some(&to))
            }
        };
        Ok(sent?)
    }
}

/// The source is left to the system.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod system {
    use rustix::net::{SendFlags, sendto};

    use super::{BorrowedFd, IpAddr, SocketAddr, io};

    pub(in crate::net::udp) fn send_from(
        fd: BorrowedFd<'_>,
        payload: &[u8],
        to: SocketAddr,
        _: IpAddr,
        _: u32,
    ) -> io::Result<usize> {
        Ok(sendto(fd, payload, SendFlags::empty(), &to)?)
    }
}
