//! Descriptors that come and go with a message (`SCM_RIGHTS`, `unix(7)`).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use forebay_io::{Error, ErrorKind};
use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SocketAddrAny, SocketAddrUnix, recvmsg, sendmsg, sendmsg_addr,
};

use crate::net::system;

/// The most descriptors in one message (`SCM_MAX_FD`, `unix(7)`).
pub(super) const MESSAGE_MAX: usize = 253;

/// The detail of an error about a number of descriptors that no message has.
pub(super) const NOT_A_MESSAGE: &str = "a message has 1 to 253 descriptors";

/// A message as the system hands it over.
pub(super) struct Received {
    pub(super) bytes: usize,
    /// There was no room for all of its bytes, if it is a datagram.
    pub(super) is_truncated: bool,
    pub(super) address: Option<SocketAddrAny>,
    /// Its descriptors, close-on-exec.
    pub(super) fds: Vec<OwnedFd>,
    /// There was no room for all of its descriptors.
    pub(super) is_cut: bool,
}

/// Receives a message, with room for so many descriptors. By the alignment of the system's memory some more may come.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    into: &mut [u8],
    most: u8,
) -> rustix::io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); space_of(MESSAGE_MAX)];
    let room = space_of(usize::from(most).min(MESSAGE_MAX));
    let mut control = RecvAncillaryBuffer::new(&mut space[..room]);
    let into = &mut [IoSliceMut::new(into)];
    let received = recvmsg(fd, into, &mut control, system::RECEIVE_FDS_FLAGS)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    fds.iter().for_each(system::close_on_exec);
    Ok(Received {
        bytes: received.bytes,
        is_truncated: received.flags.contains(ReturnFlags::TRUNC),
        address: received.address,
        fds,
        is_cut: received.flags.contains(ReturnFlags::CTRUNC),
    })
}

/// The bytes of control data for so many descriptors. A program that has asked the socket for the credentials of
/// each message (`SO_PASSCRED`) has them in front of these.
#[cfg(any(target_os = "linux", target_os = "android"))]
const fn space_of(descriptors: usize) -> usize {
    cmsg_space!(ScmCredentials(1), ScmRights(descriptors))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn space_of(descriptors: usize) -> usize {
    cmsg_space!(ScmRights(descriptors))
}

/// Returns why the descriptors of a message are lost, if they are; `room` is left of the limit.
pub(super) fn loss(received: &Received, room: usize, limit: u8) -> Option<ErrorKind> {
    let count = received.fds.len();
    if count <= room && !received.is_cut {
        return None;
    }
    // Fewer than there was room for: the process has no more numbers.
    Some(if count >= room {
        ErrorKind::LimitExceeded { limit: limit.into() }
    } else {
        ErrorKind::Exhausted
    })
}

/// The error of a message whose descriptors are lost.
pub(super) fn loss_error(kind: ErrorKind) -> Error {
    Error::new(kind, "receive_with_fds").with_detail(match kind {
        ErrorKind::Exhausted => {
            "this process has no room for the descriptors of a message; all of them were closed"
        }
        _ => "a message had more descriptors than descriptors_max leaves room for; all of them were closed",
    })
}

/// Sends bytes with descriptors, to an address or to the socket's peer.
pub(super) fn send(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    to: Option<&SocketAddrUnix>,
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MESSAGE_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let bytes = &[IoSlice::new(bytes)];
    match to {
        Some(to) => sendmsg_addr(fd, to, bytes, &mut control, system::SEND_FLAGS),
        None => sendmsg(fd, bytes, &mut control, system::SEND_FLAGS),
    }
}

/// True if the system has refused the descriptors, and not the message: too many are on their way (`unix(7)`).
pub(super) fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::TOOMANYREFS | Errno::MFILE | Errno::NFILE)
}

/// The error of a message whose descriptors the system refuses.
pub(super) fn refusal() -> Error {
    Error::new(ErrorKind::Exhausted, "send_with_fds")
        .with_detail("too many descriptors are on their way, or open in this process")
}
