//! Sending several datagrams of one length to one peer in one system call (`UDP_SEGMENT`, `udp(7)`).

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use self::system::{is_refusal, send_train};

/// The longest datagrams that may leave in trains.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const LENGTH_MAX: usize = u16::MAX as usize;

/// None: this system sends one after the other.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const LENGTH_MAX: usize = 0;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::io::{self, IoSlice};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    use rustix::fd::BorrowedFd;
    use rustix::io::Errno;

    use super::super::outgoing::Train;
    use super::super::reply::PacketInfo;

    /// Sends all of it, or nothing. The addresses are of the socket's family.
    pub(in crate::net::udp) fn send_train(
        fd: BorrowedFd<'_>,
        train: Train<'_>,
    ) -> io::Result<usize> {
        let length = u16::try_from(train.length).unwrap_or(u16::MAX);
        let parts = [IoSlice::new(train.payload)];
        let to = train.to.map(SockaddrStorage::from);
        let segments = ControlMessage::UdpGsoSegments(&length);
        let fd = fd.as_raw_fd();
        let sent = match train.from.map(|(ip, interface)| PacketInfo::new(ip, interface)) {
            None => sendmsg(fd, &parts, &[segments], MsgFlags::MSG_DONTWAIT, to.as_ref()),
            Some(PacketInfo::V4(from)) => {
                let about = [segments, ControlMessage::Ipv4PacketInfo(&from)];
                sendmsg(fd, &parts, &about, MsgFlags::MSG_DONTWAIT, to.as_ref())
            }
            Some(PacketInfo::V6(from)) => {
                let about = [segments, ControlMessage::Ipv6PacketInfo(&from)];
                sendmsg(fd, &parts, &about, MsgFlags::MSG_DONTWAIT, to.as_ref())
            }
        };
        Ok(sent?)
    }

    /// True for what the system says of a train that it does not take: above the size of the path's packets, or over a
    /// device or a route that cannot take it apart. A shortage of memory passes, and is no reason never to send one
    /// again.
    pub(in crate::net::udp) fn is_refusal(error: &io::Error) -> bool {
        matches!(
            Errno::from_io_error(error),
            Some(Errno::INVAL | Errno::IO | Errno::MSGSIZE | Errno::OPNOTSUPP | Errno::NOPROTOOPT)
        )
    }
}

/// Never called: no train has more than one.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn send_train(
    _: rustix::fd::BorrowedFd<'_>,
    _: super::outgoing::Train<'_>,
) -> std::io::Result<usize> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Never asked, likewise.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn is_refusal(_: &std::io::Error) -> bool {
    true
}
