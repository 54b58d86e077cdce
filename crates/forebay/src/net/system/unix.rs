//! The system calls of Unix's sockets, as far as Windows has others.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
#[cfg(target_vendor = "apple")]
use socket2::SockRef;
use socket2::{Domain, Protocol, Socket, Type};

/// No descriptor is left, in the process or the system.
pub(super) const OUT_OF_DESCRIPTORS: &[Errno] = &[Errno::MFILE, Errno::NFILE];

/// Errors of `accept` that are of one peer, or its network (`accept(2)`), besides those that have a kind.
pub(in crate::net) const OF_ONE_PEER: &[Errno] = &[Errno::PROTO, Errno::HOSTDOWN];

/// Makes a socket, non-blocking and close-on-exec from the start.
#[cfg(not(target_vendor = "apple"))]
pub(in crate::net) fn socket(
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> io::Result<Socket> {
    Socket::new(domain, kind.nonblocking(), protocol)
}

/// Makes a socket. Apple's systems need the flags set afterwards, and an option against `SIGPIPE`.
#[cfg(target_vendor = "apple")]
pub(in crate::net) fn socket(
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    socket.set_nosigpipe(true)?;
    Ok(socket)
}

/// Sending to a peer that is gone must be an error, never a signal (`send(2)`).
#[cfg(not(target_vendor = "apple"))]
pub(in crate::net) const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;

/// Apple's systems have a socket option instead.
#[cfg(target_vendor = "apple")]
pub(in crate::net) const SEND_FLAGS: SendFlags = SendFlags::empty();

/// The flags for bytes that the end mark follows at once: both leave in one segment (`send(2)`, since Linux
/// 2.4.4).
#[cfg(target_os = "linux")]
pub(in crate::net) const SEND_LAST_FLAGS: SendFlags = SEND_FLAGS.union(SendFlags::MORE);

/// On other systems the end mark is a segment of its own.
#[cfg(not(target_os = "linux"))]
pub(in crate::net) const SEND_LAST_FLAGS: SendFlags = SEND_FLAGS;

/// Accepts a connection, non-blocking and close-on-exec from the start (`accept4(2)`).
#[cfg(not(target_vendor = "apple"))]
pub(in crate::net) fn accept(
    listener: BorrowedFd<'_>,
) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (fd, peer) = acceptfrom_with(listener, flags)?;
    Ok((fd, peer.and_then(|peer| SocketAddr::try_from(peer).ok())))
}

/// Accepts a connection. Apple's systems have no `accept4`.
#[cfg(target_vendor = "apple")]
pub(in crate::net) fn accept(
    listener: BorrowedFd<'_>,
) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let (socket, peer) = SockRef::from(&listener).accept()?;
    socket.set_nonblocking(true)?;
    socket.set_nosigpipe(true)?;
    Ok((socket.into(), peer.as_socket()))
}

/// Sends several pieces in one call.
pub(in crate::net) fn send_slices(
    socket: BorrowedFd<'_>,
    slices: &[IoSlice<'_>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)
}
