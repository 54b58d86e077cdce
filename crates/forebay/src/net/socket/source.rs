//! Receiving.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::seam::{Afterwards, Filled, Inlet, Share, Source};
use forebay_io::{Error, Result};

use super::core::Core;
use super::errors::CoreNote;
use super::note::Note;
use crate::net::descriptor::Waits;
use crate::net::options::Silence;

/// The reading end of a connection.
pub(super) struct SocketSource {
    core: Arc<Core>,
    /// The handle that keeps the connection; nothing where a layer reads, which the handles themselves
    /// keep.
    handle: Option<Arc<dyn Any + Send + Sync>>,
    share: Share,
}

impl SocketSource {
    pub(super) fn new(core: Arc<Core>, handle: Arc<dyn Any + Send + Sync>) -> Self {
        Self { core, handle: Some(handle), share: Share::default() }
    }

    /// For what lies on top of the connection. While that is not ready, it may read in a closing
    /// connection as well.
    #[cfg(feature = "tls")]
    pub(super) fn for_layer(core: Arc<Core>) -> Self {
        Self { core, handle: None, share: Share::default() }
    }

    fn note(&self) -> CoreNote<'_> {
        self.core.reading(self.handle.is_none())
    }
}

impl Source for SocketSource {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
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
}

impl SocketSource {
    /// Receives what is there; zero bytes are the end, and nothing is `Pending`.
    #[allow(
        clippy::inline_always,
        reason = "each receive goes through here: a call costs 3 % of it"
    )]
    #[inline(always)]
    fn poll_receive(&self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<usize>> {
        let (link, note) = (self.core.link(), self.note());
        let received = match link.poll_receive(cx, Waits::User, inlet, note) {
            Poll::Ready(received) => received,
            // The other half has met the end of the connection, and no event may come to tell this
            // one. What had arrived before can still be had.
            Poll::Pending if self.core.is_lost() => link.receive_now(inlet, note),
            Poll::Pending => {
                if let Err(refusal) = note.check() {
                    // Whoever closed meanwhile has found nobody to tell, and may have lost its place.
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

    /// Nothing is there, and that is limited. If the limit has passed now, the worker may not have looked
    /// at the link for as long, because something held it up: what has arrived meanwhile counts.
    #[inline(never)]
    fn poll_late(&self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<usize>> {
        let Err(late) = self.patience() else { return Poll::Pending };
        self.wake();
        match self.poll_receive(cx, inlet) {
            Poll::Pending => Poll::Ready(Err(late)),
            received @ Poll::Ready(_) => received,
        }
    }

    /// Nothing is there. How long that may last is the connection's business, not the call's.
    fn patience(&self) -> Result<()> {
        let waits =
            self.core.timeouts().map_or(Ok(()), |timeouts| timeouts.waits(Silence::Reading));
        waits.map_err(|error| error.with_address(self.core.remote_address()))
    }

    fn wake(&self) {
        let mut after = Afterwards::new();
        self.core.link().wake(&mut after);
        after.run();
    }

    /// An empty receive is the peer's end mark only if nothing went wrong before: after a reset the
    /// kernel says the same (`recv(2)`).
    fn end(&self) -> Result<()> {
        if let Some(cause) = self.core.settled_cause() {
            // The call that has met it may not have come so far.
            self.core.tell_writer();
            return Err(cause.clone());
        }
        let mut after = Afterwards::new();
        self.core.announce(self.core.life().peer_ended(), &mut after);
        after.run();
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::WouldBlock {
            return self.core.refusal("read");
        }
        let mut after = Afterwards::new();
        let cause = self.core.record("read", error, &mut after);
        after.run();
        self.core.tell_writer();
        cause
    }
}
