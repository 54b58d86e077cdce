//! One call of `send`: its attempts, its pauses, and its place among the waits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use forebay_io::seam::{WaiterKey, poll_answer};
use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::net::send;
use socket2::{SockAddr, SockRef};

use super::core::UnixDatagramCore;
use crate::host::Direction;
use crate::interrupted::uninterrupted;
use crate::net::address::UnixAddress;
use crate::net::datagram::{DatagramSocket, share};
use crate::net::rights;
use crate::net::system::SEND_FLAGS;
use crate::net::unix::advice;
use crate::time::{Backoff, Sleep};

/// The pauses while a receiver's queue is full and no event tells when it has room.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(20));

/// A datagram to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnixOutgoing<'a> {
    pub(super) payload: &'a [u8],
    /// `None` for the peer of a connected socket.
    pub(super) to: Option<(&'a UnixAddress, &'a SockAddr)>,
    /// The descriptors that go with it.
    pub(super) fds: &'a [BorrowedFd<'a>],
}

impl UnixOutgoing<'_> {
    /// The name of the call in errors.
    fn operation(&self) -> &'static str {
        if self.fds.is_empty() { "send" } else { "send_with_fds" }
    }
}

/// A call of `send`.
pub(super) struct UnixSending<'a> {
    core: &'a UnixDatagramCore,
    outgoing: UnixOutgoing<'a>,
    key: Option<WaiterKey>,
    pause: Option<Sleep>,
    pauses: Backoff,
}

impl<'a> UnixSending<'a> {
    pub(super) fn new(core: &'a UnixDatagramCore, outgoing: UnixOutgoing<'a>) -> Self {
        Self { core, outgoing, key: None, pause: None, pauses: PAUSES }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            if self.core.waits().is_closed() {
                ready!(poll_answer(cx));
                return Poll::Ready(Err(self.core.closed(self.outgoing.operation())));
            }
            if let Some(pause) = &mut self.pause {
                ready!(Pin::new(pause).poll(cx));
                self.pause = None;
            }
            ready!(share::poll(cx));
            match ready!(self.poll_once(cx)) {
                Err(error) if is_full(&error) => self.begin_pause(cx),
                sent => {
                    share::spend(self.outgoing.payload.len());
                    self.leave();
                    let sent = sent.map_err(|error| self.core.send_error(error, self.outgoing));
                    return Poll::Ready(sent);
                }
            }
        }
    }

    /// Makes an attempt. Where an event tells of room, this call waits for it: then it is added to the waits, and
    /// one more attempt is made, so that no room that comes between the two is missed.
    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.to.is_some() {
            return Poll::Ready(self.core.send_now(self.outgoing));
        }
        let first = self.core.poll_send(self.outgoing);
        if first.is_ready() {
            return first;
        }
        self.core.waits().writers.join(&mut self.key, cx.waker());
        self.core.poll_send(self.outgoing)
    }

    /// Waits without an event. The close wakes the call too.
    fn begin_pause(&mut self, cx: &mut Context<'_>) {
        self.core.waits().writers.join(&mut self.key, cx.waker());
        self.pause = Some(self.core.waits().selector().sleep(self.pauses.next_pause()));
    }

    fn leave(&mut self) {
        self.core.waits().writers.leave(&mut self.key);
    }
}

impl Drop for UnixSending<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl UnixDatagramCore {
    fn poll_send(&self, outgoing: UnixOutgoing<'_>) -> Poll<io::Result<()>> {
        let sent = self.waits().poll_io(Direction::Write, |fd| self.send(fd, outgoing));
        sent.map_ok(|count| self.waits().selector().count_send(count as u64))
    }

    fn send_now(&self, outgoing: UnixOutgoing<'_>) -> io::Result<()> {
        let count = uninterrupted(|| self.waits().call(|fd| self.send(fd, outgoing)))?;
        self.waits().selector().count_send(count as u64);
        Ok(())
    }

    /// Fails unless so many descriptors may go with a datagram.
    pub(super) fn check_descriptors(&self, fds: &[BorrowedFd<'_>]) -> Result<()> {
        if (1..=rights::MESSAGE_MAX).contains(&fds.len()) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::InvalidInput, "send_with_fds");
        Err(self.named(error.with_detail(rights::NOT_A_MESSAGE)))
    }

    /// Sends, unless the system has no room for it now.
    pub(super) fn try_send(&self, outgoing: UnixOutgoing<'_>) -> Result<bool> {
        self.check_open(outgoing.operation())?;
        match self.send_now(outgoing) {
            Ok(()) => Ok(true),
            Err(error) if is_full(&error) => Ok(false),
            Err(error) => Err(self.send_error(error, outgoing)),
        }
    }

    fn send(&self, fd: BorrowedFd<'_>, outgoing: UnixOutgoing<'_>) -> io::Result<usize> {
        if let Some((address, to)) = outgoing.to {
            if outgoing.fds.is_empty() {
                let flags = SEND_FLAGS.bits().cast_signed();
                return SockRef::from(&fd).send_to_with_flags(outgoing.payload, to, flags);
            }
            let to = address.to_message_address()?;
            return Ok(rights::send(fd, outgoing.payload, outgoing.fds, Some(&to))?);
        }
        let attempt = || {
            if outgoing.fds.is_empty() {
                send(fd, outgoing.payload, SEND_FLAGS)
            } else {
                rights::send(fd, outgoing.payload, outgoing.fds, None)
            }
        };
        match attempt() {
            // Linux has forgotten the peer that has gone, with this call or an earlier one, and does not look at
            // the path again by itself. A server that was started anew is there.
            Err(errno) if is_of_a_gone_peer(errno) => {
                let Some(remote) = self.remote_of_system() else { return Err(errno.into()) };
                SockRef::from(&fd).connect(remote)?;
                Ok(attempt()?)
            }
            sent => Ok(sent?),
        }
    }

    fn send_error(&self, error: io::Error, outgoing: UnixOutgoing<'_>) -> Error {
        let errno = Errno::from_io_error(&error);
        let error = if !outgoing.fds.is_empty() && errno.is_some_and(rights::is_refusal) {
            rights::refusal()
        } else {
            Error::from_io(outgoing.operation(), error)
        };
        if error.kind() == ErrorKind::Closed {
            return self.closed(outgoing.operation());
        }
        let error = match outgoing.to {
            Some((to, _)) => error.with_address(to),
            None => self.named(error),
        };
        match error.kind() {
            ErrorKind::MessageTooLarge => error.with_detail(format!(
                "it has {} bytes; send_buffer_size sets how many a socket takes",
                outgoing.payload.len()
            )),
            ErrorKind::Refused => error.or_detail("no socket is open at this path or name"),
            _ if advice::is_of_another_kind(&error) => error.or_detail(advice::ANOTHER_KIND),
            ErrorKind::PermissionDenied => error.or_detail(
                "this process may not write to the socket, or the socket has another peer",
            ),
            _ => error,
        }
    }
}

/// True if the receiver's queue is full, or this socket's memory. BSD's systems say `ENOBUFS`.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error())
}

/// True for the errors after which a connected socket has no peer, or may have none (`unix(7)`; `ECONNRESET` on
/// BSD's systems, and on Linux once for a peer that has taken another one).
fn is_of_a_gone_peer(errno: Errno) -> bool {
    matches!(errno, Errno::CONNREFUSED | Errno::NOTCONN | Errno::CONNRESET | Errno::DESTADDRREQ)
}
