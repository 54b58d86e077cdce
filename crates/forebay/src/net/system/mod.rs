//! System calls that differ between platforms.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod tcp_info;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use socket2::SockRef;

/// Accepts a connection, non-blocking and close-on-exec from the start (`accept4(2)`).
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (fd, peer) = acceptfrom_with(listener, flags)?;
    Ok((fd, peer.and_then(|peer| SocketAddr::try_from(peer).ok())))
}

/// Accepts a connection; these systems have no `accept4`, so the flags are set right after.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let (socket, peer) = SockRef::from(&listener).accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), peer.as_socket()))
}

/// Bytes (and the end mark) sent and not acknowledged by the peer yet; `None` where the system does
/// not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn unacknowledged(socket: BorrowedFd<'_>) -> Option<u32> {
    let info = tcp_info::read(socket)?;
    Some(info.unacked + info.notsent_bytes)
}

/// Not known on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn unacknowledged(_: BorrowedFd<'_>) -> Option<u32> {
    None
}

/// Makes the coming close a reset: what is queued is dropped and the peer told so at once
/// (RFC 9293, section 3.10.4; `SO_LINGER` with a time of zero, `socket(7)`).
pub(super) fn reset_on_close(socket: BorrowedFd<'_>) {
    // A socket that the peer has reset already refuses options, and needs no reset.
    SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO)).ok();
}
