//! The carrier of a connection's bytes: a descriptor of the kernel, or memory.
//!
//! Nothing above depends on which of the two it is. So half-close, limits, ends and errors mean the same on
//! TCP, on Unix sockets and in memory, because they are the same code.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use forebay_io::seam::{Inlet, SendQueue, WakeList};
#[cfg(feature = "tls")]
use forebay_tls::seam::Acknowledged;
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{Shutdown, recv, send, shutdown};
use socket2::SockRef;

use super::memory::MemoryEnd;
use super::note::Note;
use super::on_the_way::OnTheWay;
#[cfg(unix)]
use super::passing::Passing;
use crate::host::{Direction, Hangup, Progress};
use crate::interrupted::uninterrupted;
use crate::net::SocketAddress;
use crate::net::descriptor::Descriptor;
use crate::net::protocol::Protocol;
use crate::net::system::{self, InStore, RECEIVE_FLAGS, SEND_FLAGS, SEND_LAST_FLAGS};
use crate::selector::{Shared, Waits};

/// The carrier of a connection's bytes.
pub(super) enum Link {
    /// A socket.
    Kernel(Stream),
    /// A socket by which descriptors come too. In a box, so that it costs the others nothing.
    #[cfg(unix)]
    Passing(Box<PassingStream>),
    /// One end of a pair in memory.
    Memory(Arc<MemoryEnd>),
}

/// A stream socket of the kernel.
pub(super) struct Stream {
    pub(super) io: Descriptor,
    pub(super) protocol: Protocol,
    /// No call moves bytes within the kernel, from this socket or to it.
    pub(super) copies: AtomicBool,
}

/// A stream socket by which descriptors come too.
#[cfg(unix)]
pub(super) struct PassingStream {
    pub(super) stream: Stream,
    pub(super) passing: Passing,
}

/// The way to leave the kernel, or the other end in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// With the end mark, if it was not sent yet.
    InOrder,
    /// With a reset.
    Reset,
}

/// Calls the same method on whichever of the two it is.
macro_rules! either {
    ($this:expr, $link:ident => $call:expr) => {
        match $this {
            Link::Kernel($link) => $call,
            #[cfg(unix)]
            Link::Passing(passing) => {
                let $link = &passing.stream;
                $call
            }
            Link::Memory($link) => $call,
        }
    };
}

impl Link {
    /// The socket of the kernel, if it is one.
    pub(super) fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Kernel(stream) => Some(stream),
            #[cfg(unix)]
            Self::Passing(passing) => Some(&passing.stream),
            Self::Memory(_) => None,
        }
    }

    pub(super) fn selector(&self) -> &Arc<Shared> {
        either!(self, link => link.selector())
    }

    /// The word for it in a span.
    pub(super) fn transport(&self) -> &'static str {
        match self {
            Self::Kernel(stream) => stream.protocol.text(),
            #[cfg(unix)]
            Self::Passing(passing) => passing.stream.protocol.text(),
            Self::Memory(_) => "memory",
        }
    }

    /// Begins the wait of a receive that has nothing to do. Returns `true` if the task will be woken; otherwise the
    /// receive must be tried.
    #[inline]
    pub(super) fn has_begun_waiting(&self, cx: &Context<'_>) -> bool {
        match self {
            Self::Kernel(stream) => stream.io.has_begun_waiting(cx, Direction::Read, Waits::User),
            _ => false,
        }
    }

    /// Receives into the inlet; zero bytes mean the end.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        waits: Waits,
        inlet: &mut Inlet<'_>,
        note: impl Note,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Kernel(stream) => stream.poll_receive(cx, waits, inlet, note),
            #[cfg(unix)]
            Self::Passing(passing) => passing.poll_receive(cx, waits, inlet, note),
            Self::Memory(end) => end.poll_receive(cx, waits, inlet, note),
        }
    }

    /// Receives what has arrived; fails with `WouldBlock` if nothing has.
    pub(super) fn receive_now(&self, inlet: &mut Inlet<'_>, note: impl Note) -> io::Result<usize> {
        match self {
            Self::Kernel(stream) => stream.receive_now(inlet, note),
            #[cfg(unix)]
            Self::Passing(passing) => passing.receive_now(inlet, note),
            Self::Memory(end) => end.receive_now(inlet, note),
        }
    }

    /// Sends some bytes from the front of the queue.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
        note: impl Note,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Kernel(stream) => stream.poll_send(cx, queue, after, note),
            #[cfg(unix)]
            Self::Passing(passing) => passing.stream.poll_send(cx, queue, after, note),
            Self::Memory(end) => end.poll_send(cx, queue, after),
        }
    }

    /// Sends the end mark.
    pub(super) fn end(&self, after: &mut WakeList) -> io::Result<()> {
        either!(self, link => link.end(after))
    }

    /// The error that was not reported yet. Asking removes it.
    pub(super) fn take_error(&self, note: impl Note) -> Option<io::Error> {
        match self {
            Self::Kernel(stream) => stream.take_error(note),
            #[cfg(unix)]
            Self::Passing(passing) => passing.stream.take_error(note),
            Self::Memory(end) => end.take_error(),
        }
    }

    /// Returns when every call in progress has noted its error.
    pub(super) fn let_calls_end(&self) {
        match self {
            Self::Kernel(stream) => stream.io.let_calls_end(),
            #[cfg(unix)]
            Self::Passing(passing) => passing.stream.io.let_calls_end(),
            // A lane reports its error to every call.
            Self::Memory(_) => {}
        }
    }

    /// The number of bytes that were sent and that the peer has not acknowledged; `None` where this is not
    /// known, and where bytes that were handed over cannot be lost.
    pub(super) fn unacknowledged(&self) -> Option<u32> {
        self.stream().and_then(Stream::unacknowledged)
    }

    /// The number of bytes that the peer has acknowledged so far; `None` where this is not known.
    pub(super) fn acknowledged_bytes(&self) -> Option<u64> {
        self.stream().and_then(Stream::acknowledged_bytes)
    }

    /// The bytes on their way, by asking the link itself: possibly no event has reported them.
    pub(super) fn on_the_way(&self) -> OnTheWay {
        match self {
            Self::Memory(end) => end.on_the_way(),
            _ => self.stream().map_or_else(OnTheWay::default, |stream| OnTheWay {
                unread: stream.io.call(|fd| Ok(ioctl_fionread(fd)?)).unwrap_or_default(),
                unsent: stream.unsent().map_or(0, u64::from),
            }),
        }
    }

    /// The amount of sent bytes that the peer has acknowledged. In memory and on Unix sockets, bytes that were
    /// handed over cannot be lost on their way.
    #[cfg(feature = "tls")]
    pub(super) fn acknowledged(&self) -> Acknowledged {
        match self {
            Self::Kernel(stream) if stream.protocol == Protocol::Tcp => {
                match stream.io.call(|fd| Ok(system::acknowledged(fd))) {
                    Ok(Some((count, in_flight))) => Acknowledged::Bytes { count, in_flight },
                    _ => Acknowledged::Unknown,
                }
            }
            _ => Acknowledged::WhatWasTaken,
        }
    }

    /// True if leaving while the peer still sends makes the peer lose bytes that it has not read.
    pub(super) fn is_hurt_by_input(&self) -> bool {
        self.stream().is_some()
    }

    pub(super) fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup> {
        either!(self, link => link.poll_hangup(cx, known))
    }

    /// Looks at what the next receive will find, and leaves it there.
    pub(super) fn in_store(&self, note: impl Note) -> InStore {
        match self {
            Self::Kernel(stream) => stream.in_store(note),
            #[cfg(unix)]
            Self::Passing(passing) => passing.stream.in_store(note),
            Self::Memory(end) => end.in_store(),
        }
    }

    pub(super) fn local_address(&self) -> Option<SocketAddress> {
        self.stream().and_then(Stream::local_address)
    }

    pub(super) fn is_released(&self) -> bool {
        either!(self, link => link.is_released())
    }

    /// Releases the link. True the first time.
    pub(super) fn release(&self, leave: Leave, after: &mut WakeList) -> bool {
        match self {
            Self::Kernel(stream) => stream.release(leave, after),
            #[cfg(unix)]
            Self::Passing(passing) => passing.stream.release(leave, after),
            Self::Memory(end) => end.release(leave == Leave::Reset, after),
        }
    }

    /// Makes every wait try its call again.
    pub(super) fn wake(&self, after: &mut WakeList) {
        either!(self, link => link.wake(after));
    }
}

impl Stream {
    pub(super) fn new(io: Descriptor, protocol: Protocol) -> Self {
        Self { io, protocol, copies: AtomicBool::new(false) }
    }

    fn selector(&self) -> &Arc<Shared> {
        self.io.selector()
    }

    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        waits: Waits,
        inlet: &mut Inlet<'_>,
        note: impl Note,
    ) -> Poll<io::Result<usize>> {
        let received = self.io.poll_io(cx, Direction::Read, waits, |fd| {
            note.check()?;
            if let Some(received) = self.receive_segment(fd, inlet, note) {
                // The pipe may have had no room for more.
                return Ok(Progress { count: received?, drained: false });
            }
            let space = inlet.space();
            let (count, _) = noted(note, recv(fd, &mut *space, RECEIVE_FLAGS))?;
            // On a Unix socket a message with descriptors ends a receive early (`unix(7)`), so a short one
            // proves nothing.
            let drained = self.protocol == Protocol::Tcp && count < space.len();
            Ok(Progress { count, drained })
        });
        received.map_ok(|progress| self.received(progress.count, inlet))
    }

    fn receive_now(&self, inlet: &mut Inlet<'_>, note: impl Note) -> io::Result<usize> {
        let (count, _) = uninterrupted(|| {
            self.io.call(|fd| {
                note.check()?;
                noted(note, recv(fd, inlet.space(), RECEIVE_FLAGS))
            })
        })?;
        Ok(self.received(count, inlet))
    }

    fn received(&self, count: usize, inlet: &mut Inlet<'_>) -> usize {
        self.selector().count_receive(count as u64);
        if count > 0 {
            inlet.fill(count);
        }
        count
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
        note: impl Note,
    ) -> Poll<io::Result<()>> {
        let sent = self.io.poll_io(cx, Direction::Write, Waits::WayOut, |fd| {
            let flags = if note.is_last() { SEND_LAST_FLAGS } else { SEND_FLAGS };
            let sent = if let Some(piece) = queue.one_piece() {
                send(fd, piece, flags)
            } else if queue.front_segment().is_some() {
                let count = self.send_segment(fd, queue, flags, after, note)?;
                return Ok(Progress { count, drained: false });
            } else {
                let (slices, count) = queue.slices();
                system::send_slices(fd, &slices[..count], flags)
            };
            Ok(Progress { count: noted(note, sent)?, drained: false })
        });
        sent.map_ok(|progress| {
            self.selector().count_send(progress.count as u64);
            queue.sent(progress.count, after);
        })
    }

    fn end(&self, _: &mut WakeList) -> io::Result<()> {
        self.io.call(|fd| Ok(shutdown(fd, Shutdown::Write)?))
    }

    fn take_error(&self, note: impl Note) -> Option<io::Error> {
        let told = self.io.call(|fd| {
            let error = SockRef::from(&fd).take_error()?;
            Ok(error.map(|error| note.error(error)))
        });
        told.ok().flatten()
    }

    fn unacknowledged(&self) -> Option<u32> {
        match self.protocol {
            Protocol::Tcp => self.io.call(|fd| Ok(system::unacknowledged(fd))).ok().flatten(),
            Protocol::Udp | Protocol::Unix | Protocol::UnixDatagram => None,
        }
    }

    fn acknowledged_bytes(&self) -> Option<u64> {
        match self.protocol {
            Protocol::Tcp => self.io.call(|fd| Ok(system::acknowledged_bytes(fd))).ok().flatten(),
            Protocol::Udp | Protocol::Unix | Protocol::UnixDatagram => None,
        }
    }

    fn unsent(&self) -> Option<u32> {
        match self.protocol {
            Protocol::Tcp => self.io.call(|fd| Ok(system::unsent(fd))).ok().flatten(),
            Protocol::Udp | Protocol::Unix | Protocol::UnixDatagram => None,
        }
    }

    fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup> {
        self.io.poll_hangup(cx, known)
    }

    fn in_store(&self, note: impl Note) -> InStore {
        let seen = uninterrupted(|| self.io.call(|fd| noted(note, system::in_store(fd))));
        // An error, or the release of the descriptor, ends the connection.
        seen.unwrap_or(InStore::End)
    }

    /// `None` on a Unix socket: the system knows the path only as it was bound, possibly relative to a
    /// directory that has changed since. The listener knows better, and the connecting end has no name.
    fn local_address(&self) -> Option<SocketAddress> {
        if self.protocol == Protocol::Unix {
            return None;
        }
        let address = self.io.call(|fd| SockRef::from(&fd).local_addr()).ok()?;
        SocketAddress::from_system(&address)
    }

    fn is_released(&self) -> bool {
        self.io.is_released()
    }

    fn release(&self, leave: Leave, after: &mut WakeList) -> bool {
        // Unix sockets have no reset (`unix(7)`).
        let reset = leave == Leave::Reset && self.protocol == Protocol::Tcp;
        let before = if reset { system::reset_on_close } else { |_: BorrowedFd<'_>| {} };
        self.io.release(before, after)
    }

    fn wake(&self, after: &mut WakeList) {
        self.io.wake(after);
    }
}

#[cfg(unix)]
impl PassingStream {
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        waits: Waits,
        inlet: &mut Inlet<'_>,
        note: impl Note,
    ) -> Poll<io::Result<usize>> {
        let received = self.stream.io.poll_io(cx, Direction::Read, waits, |fd| {
            note.check()?;
            let count = noted(note, self.passing.receive(fd, inlet.space()))?;
            // A message with descriptors ends a receive early, so a short one proves nothing.
            Ok(Progress { count, drained: false })
        });
        received.map_ok(|progress| self.stream.received(progress.count, inlet))
    }

    fn receive_now(&self, inlet: &mut Inlet<'_>, note: impl Note) -> io::Result<usize> {
        let count = uninterrupted(|| {
            self.stream.io.call(|fd| {
                note.check()?;
                noted(note, self.passing.receive(fd, inlet.space()))
            })
        })?;
        Ok(self.stream.received(count, inlet))
    }
}

/// Notes the error of a call, unless it only means that the call must be tried again.
pub(super) fn noted<T>(note: impl Note, outcome: rustix::io::Result<T>) -> io::Result<T> {
    outcome.map_err(|errno| match errno {
        Errno::AGAIN | Errno::INTR => errno.into(),
        errno => note.error(errno.into()),
    })
}
