//! The system calls of Unix's sockets, as far as Windows has others.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, sendmsg};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

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

/// Sending to a peer that is gone must be an error, never a signal (`send(2)`). And no send waits, also if another
/// program that has the socket too has made it blocking.
#[cfg(not(target_vendor = "apple"))]
pub(in crate::net) const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

/// Apple's systems have a socket option against the signal instead.
#[cfg(target_vendor = "apple")]
pub(in crate::net) const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT;

/// No receive waits, likewise.
pub(in crate::net) const RECEIVE_FLAGS: RecvFlags = RecvFlags::DONTWAIT;

/// Those of a receive that brings descriptors, which no program that this process starts may have.
#[cfg(not(target_vendor = "apple"))]
pub(in crate::net) const RECEIVE_FDS_FLAGS: RecvFlags =
    RECEIVE_FLAGS.union(RecvFlags::CMSG_CLOEXEC);

/// Apple's systems set that afterwards.
#[cfg(target_vendor = "apple")]
pub(in crate::net) const RECEIVE_FDS_FLAGS: RecvFlags = RECEIVE_FLAGS;

/// The receive has set it.
#[cfg(not(target_vendor = "apple"))]
pub(in crate::net) fn close_on_exec(_: &OwnedFd) {}

/// Sets it on a descriptor that was received.
#[cfg(target_vendor = "apple")]
pub(in crate::net) fn close_on_exec(fd: &OwnedFd) {
    use rustix::io::{FdFlags, fcntl_setfd};

    // It fails only for a descriptor that is not open.
    fcntl_setfd(fd, FdFlags::CLOEXEC).ok();
}

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

/// Makes a socket of another program non-blocking and close-on-exec.
pub(in crate::net) fn adopt(socket: BorrowedFd<'_>) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    #[cfg(target_vendor = "apple")]
    socket.set_nosigpipe(true)?;
    Ok(())
}

/// Makes a socket non-blocking again, if another program that has it too has changed that.
pub(in crate::net) fn keep_from_blocking(socket: BorrowedFd<'_>) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    let flags = fcntl_getfl(socket)?;
    if !flags.contains(OFlags::NONBLOCK) {
        fcntl_setfl(socket, flags | OFlags::NONBLOCK)?;
    }
    Ok(())
}

/// True if an `accept` or a receive would not have to wait now: a connection or a datagram has arrived, or an error or a
/// shutdown has.
pub(in crate::net) fn has_arrived(socket: BorrowedFd<'_>) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut look = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    Ok(poll(&mut look, Some(&Timespec::default()))? > 0)
}

/// True if another program has made a socket blocking.
pub(in crate::net) fn is_blocking(socket: BorrowedFd<'_>) -> io::Result<bool> {
    use rustix::fs::{OFlags, fcntl_getfl};

    Ok(!fcntl_getfl(socket)?.contains(OFlags::NONBLOCK))
}

/// True for a socket that listens.
#[cfg(not(target_vendor = "apple"))]
pub(in crate::net) fn is_listening(socket: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_acceptconn(socket)?)
}

/// True for a socket that listens. Apple's systems do not tell: it is bound, and has no peer.
#[cfg(target_vendor = "apple")]
pub(in crate::net) fn is_listening(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let socket = SockRef::from(&socket);
    let is_bound = socket.local_addr()?.as_socket().is_none_or(|local| local.port() != 0);
    Ok(is_bound && socket.peer_addr().is_err())
}

/// True for a socket of Multipath TCP (RFC 8684).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::net) fn is_multipath(socket: &SockRef<'_>) -> bool {
    socket.protocol().is_ok_and(|protocol| protocol == Some(Protocol::MPTCP))
}

/// Other systems have none.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::net) fn is_multipath(_: &SockRef<'_>) -> bool {
    false
}

/// Sends several pieces in one call.
pub(in crate::net) fn send_slices(
    socket: BorrowedFd<'_>,
    slices: &[IoSlice<'_>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)
}
