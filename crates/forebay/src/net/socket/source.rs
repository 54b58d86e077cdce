//! The receiving side of a connection.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::seam::{Filled, Inlet, Share, Source, WakeList};
use forebay_io::{Error, Result};

use super::core::Core;
use super::errors::ReadNote;
use super::note::Note;
use crate::net::options::Silence;
use crate::selector::Waits;

/// The reading end of a connection.
pub(super) struct SocketSource {
    core: Arc<Core>,
    /// The handle that keeps the connection alive; `None` for the reader of a layer, which the handles
    /// themselves keep.
    handle: Option<Arc<dyn Any + Send + Sync>>,
    share: Share,
}

impl SocketSource {
    pub(super) fn new(core: Arc<Core>, handle: Arc<dyn Any + Send + Sync>) -> Self {
        Self { core, handle: Some(handle), share: Share::default() }
    }

    /// Makes the source of a layer on top of the connection. Until its handshake is complete, it may also
    /// read while the connection is being closed.
    #[cfg(feature = "tls")]
    pub(super) fn for_layer(core: Arc<Core>) -> Self {
        Self { core, handle: None, share: Share::default() }
    }

    fn note(&self) -> ReadNote<'_> {
        self.core.reading(self.handle.is_none())
    }
}

impl Source for SocketSource {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        if self.has_begun_waiting(cx) {
            return Poll::Pending;
        }
        self.note().check()?;
        ready!(self.share.poll_left(cx));
        let received = match self.poll_receive(cx, inlet) {
            Poll::Pending if self.core.timeouts().is_some() => self.poll_late(cx, inlet),
            received => received,
        };
        match ready!(received)? {
            0 => Poll::Ready(Ok(Filled::End)),
            count => {
                self.share.spend(count);
                Poll::Ready(Ok(Filled::More))
            }
        }
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        self.note().check()?;
        let received = self.poll_receive(cx, inlet);
        received.map_ok(|count| if count == 0 { Filled::End } else { Filled::More })
    }

    fn abort(&mut self, _: &Error) {}

    fn cause(&self) -> Option<Error> {
        self.core.cause().get().cloned()
    }

    fn peer(&self) -> Option<String> {
        self.core.peer_name()
    }
}

impl SocketSource {
    /// Begins the wait of a call that has nothing to do. Returns `true` if the task will be woken, and `false` if the
    /// whole way must be gone to learn what is to be done.
    #[inline]
    fn has_begun_waiting(&self, cx: &Context<'_>) -> bool {
        // A close in the meantime has found no waker: so the life is looked at afterwards.
        self.core.timeouts().is_none()
            && self.core.link().has_begun_waiting(cx)
            && self.note().may_wait()
    }

    /// Receives what has arrived. Zero bytes mean the end; if nothing has arrived, it is `Pending`.
    #[allow(
        clippy::inline_always,
        reason = "each receive goes through here: a call costs 3 % of it"
    )]
    #[inline(always)]
    fn poll_receive(&self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<usize>> {
        let (link, note) = (self.core.link(), self.note());
        let received = match link.poll_receive(cx, Waits::User, inlet, note) {
            Poll::Ready(received) => received,
            // The other half has met the end of the connection, and possibly no event reports it to this
            // one. Bytes that had arrived before can still be received.
            Poll::Pending if self.core.is_lost() => link.receive_now(inlet, note),
            Poll::Pending => {
                if let Err(refusal) = note.check() {
                    // A close in the meantime has found no waker, and its wake-up may have replaced another
                    // wait's.
                    self.wake();
                    return Poll::Ready(Err(refusal));
                }
                return Poll::Pending;
            }
        };
        let count = match received {
            Ok(count) => count,
            Err(error) => return Poll::Ready(Err(self.failed(error))),
        };
        if let Some(timeouts) = self.core.timeouts() {
            timeouts.moved(Silence::Reading);
        }
        Poll::Ready(if count == 0 { self.end().map(|()| 0) } else { Ok(count) })
    }

    /// Checks the limit while nothing has arrived. If it has passed, the worker may have been held up since
    /// it last looked at the link, so this tries once more: bytes that have arrived in the meantime count.
    #[inline(never)]
    fn poll_late(&self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<usize>> {
        let Err(late) = self.patience() else { return Poll::Pending };
        self.wake();
        match self.poll_receive(cx, inlet) {
            Poll::Pending => Poll::Ready(Err(late)),
            received @ Poll::Ready(_) => received,
        }
    }

    /// Checks the limit on waiting, which belongs to the connection and not to a single call.
    fn patience(&self) -> Result<()> {
        let waits =
            self.core.timeouts().map_or(Ok(()), |timeouts| timeouts.waits(Silence::Reading));
        waits.map_err(|error| self.core.named(error))
    }

    fn wake(&self) {
        let mut after = WakeList::new();
        self.core.link().wake(&mut after);
        after.run();
    }

    /// An empty receive is the peer's end mark only if there was no error before: after a reset the kernel
    /// returns the same (`recv(2)`).
    fn end(&self) -> Result<()> {
        if let Some(cause) = self.core.settled_cause() {
            // The call that has met the error may not have reported it yet.
            self.core.tell_writer();
            return Err(cause.clone());
        }
        let mut after = WakeList::new();
        self.core.announce(self.core.life().peer_ended(), &mut after);
        after.run();
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Error {
        // From `receive_now` on a lost connection with nothing left to receive.
        if error.kind() == io::ErrorKind::WouldBlock {
            return self.core.refusal("read");
        }
        let mut after = WakeList::new();
        let cause = self.core.record("read", error, &mut after);
        after.run();
        self.core.tell_writer();
        cause
    }
}
