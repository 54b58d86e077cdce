//! Noticing how a connection ends without reading from it or writing to it.
//!
//! The link tells once that the peer's end mark or an error has arrived. Nobody watches before
//! somebody asks: most connections end under the hands of their reader.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};

use forebay_io::Result;
use forebay_io::seam::{Afterwards, Waiters};

use super::{CloseReason, Core};
use crate::host::Hangup;
use crate::lock::lock;
use crate::task::wait::wait_in;

/// What watching has brought so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    known: Mutex<Hangup>,
    /// Made when watching begins.
    waker: OnceLock<Waker>,
}

impl Watch {
    /// The peer's end mark has been seen, perhaps behind bytes that nobody has read.
    pub(super) fn has_peer_finished(&self) -> bool {
        lock(&self.known).read_closed
    }
}

/// The watch's own waker.
struct Look(Weak<Core>);

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        if let Some(core) = self.0.upgrade() {
            core.look();
        }
    }
}

impl Core {
    /// Waits until there is a reason.
    pub(super) async fn closed(self: &Arc<Self>) -> CloseReason {
        self.begin_watching();
        let reason = |_: &mut Waiters<()>| {
            // A closing selector ends both directions by and by, which is its own doing.
            if self.selector().is_closing() && self.first_cause().is_none() {
                return Some(CloseReason::Local);
            }
            self.close_reason()
        };
        wait_in(self.waiters(), |waiters| waiters, (), reason).await
    }

    /// Waits until the peer's end mark is there.
    pub(super) async fn peer_finished(self: &Arc<Self>) -> Result<()> {
        self.begin_watching();
        let answer = |_: &mut Waiters<()>| self.has_peer_finished();
        wait_in(self.waiters(), |waiters| waiters, (), answer).await
    }

    fn has_peer_finished(&self) -> Option<Result<()>> {
        if let Some(cause) = self.first_cause() {
            return Some(Err(cause.clone()));
        }
        // Before the end that a closing selector may have brought about, where it has both sides.
        if let Err(closing) = self.selector().check_open("wait for the peer's end") {
            return Some(Err(closing));
        }
        if self.has_peer_ended() || self.watch().has_peer_finished() {
            return Some(Ok(()));
        }
        let over = self.link().is_released() || self.is_closing();
        over.then(|| Err(self.refusal("wait for the peer's end")))
    }

    /// Waits until the link is released.
    pub(super) async fn released(&self) {
        let check = |_: &mut Waiters<()>| self.link().is_released().then_some(());
        wait_in(self.waiters(), |waiters| waiters, (), check).await;
    }

    fn begin_watching(self: &Arc<Self>) {
        let make = || Waker::from(Arc::new(Look(Arc::downgrade(self))));
        if self.watch().waker.get().is_none() {
            self.watch().waker.get_or_init(make);
        }
        self.look();
    }

    /// Takes note of what the link tells, tells everybody else, and has it tell more.
    fn look(self: &Arc<Self>) {
        let Some(waker) = self.watch().waker.get() else { return };
        let mut cx = Context::from_waker(waker);
        let mut after = Afterwards::new();
        loop {
            let known = *lock(&self.watch().known);
            let Poll::Ready(now) = self.link().poll_hangup(&mut cx, known) else { break };
            // The error first: an end that is seen before the reset behind it would look clean.
            if now.error && !known.error {
                self.ask("wait", &mut after);
            }
            // Somebody else may have taken it, and be about to say so.
            self.link().let_calls_end();
            *lock(&self.watch().known) = now;
        }
        self.wake_waiters(&mut after);
        after.run();
        self.tell_writer();
    }
}
