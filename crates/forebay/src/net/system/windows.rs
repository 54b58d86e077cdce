//! The system calls of Windows' sockets.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// No handle of a socket is left (`WSAEMFILE`).
pub(super) const OUT_OF_DESCRIPTORS: &[Errno] = &[Errno::MFILE];

/// Errors of `accept` that are of one peer, or its network, besides those that have a kind.
pub(in crate::net) const OF_ONE_PEER: &[Errno] = &[Errno::HOSTDOWN];

/// Makes a socket, which no child process inherits.
pub(in crate::net) fn socket(
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// There are no signals.
pub(in crate::net) const SEND_FLAGS: SendFlags = SendFlags::empty();

/// No socket here blocks.
pub(in crate::net) const RECEIVE_FLAGS: RecvFlags = RecvFlags::empty();

/// Never asked, as no other program has the socket.
#[allow(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
pub(in crate::net) fn has_arrived(_: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(true)
}

/// No other program makes a socket blocking.
#[allow(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
pub(in crate::net) fn keep_from_blocking(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// The end mark is a segment of its own.
pub(in crate::net) const SEND_LAST_FLAGS: SendFlags = SEND_FLAGS;

/// Accepts a connection.
pub(in crate::net) fn accept(
    listener: BorrowedFd<'_>,
) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let (socket, peer) = SockRef::from(&listener).accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), peer.as_socket()))
}

/// Sends several pieces in one call.
pub(in crate::net) fn send_slices(
    socket: BorrowedFd<'_>,
    slices: &[IoSlice<'_>],
    _: SendFlags,
) -> rustix::io::Result<usize> {
    SockRef::from(&socket)
        .send_vectored(slices)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}
