//! Noticing how a connection ends without reading from it or writing to it.
//!
//! The link tells once that the peer's end mark or an error has arrived. Nobody watches before
//! somebody asks: most connections end under the hands of their reader.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};

use forebay_io::Result;
use forebay_io::seam::{Afterwards, WaiterKey, Waiters};

use super::close_reason::CloseReason;
use super::core::Core;
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

/// Waits, in the connection's list, until `answer` has one. Over TLS that takes the session's lock, so
/// it is asked without the list's.
struct Ending<'a, A> {
    core: &'a Core,
    key: Option<WaiterKey>,
    answer: A,
}

impl<R, A: Fn(&Core) -> Option<R> + Unpin> Future for Ending<'_, A> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        // Before looking, so that whatever happens after the look wakes this.
        let (core, waker) = (self.core, cx.waker().clone());
        let replaced = lock(core.waiters()).put(&mut self.key, (), waker);
        drop(replaced);
        core.look_for_end();
        (self.answer)(core).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<A> Drop for Ending<'_, A> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let removed = lock(self.core.waiters()).remove(key);
            drop(removed);
        }
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
        let reason = |core: &Self| {
            // A closing selector ends both directions by and by, which is its own doing.
            if core.selector().is_closing() && core.first_cause().is_none() {
                return Some(CloseReason::Local);
            }
            core.close_reason()
        };
        Ending { core: self, key: None, answer: reason }.await
    }

    /// Waits until the peer's end mark is there.
    pub(super) async fn peer_finished(self: &Arc<Self>) -> Result<()> {
        self.begin_watching();
        Ending { core: self, key: None, answer: Self::has_peer_finished }.await
    }

    /// Learns what can be learned about the end without a reader. Never under a lock.
    pub(super) fn look_for_end(&self) {
        // An error of the link that no reader has met is believed once what had arrived is read.
        self.tell_writer();
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            session.look_for_end();
        }
    }

    /// How the peer has ended, where that is known. Over TLS that is what the session says; while the
    /// connection is being closed, nothing that comes is read to its end, and the link's end counts.
    pub(super) fn peer_end(&self) -> Option<Result<()>> {
        let link_has_ended =
            self.life().state().has_peer_ended() || self.watch().has_peer_finished();
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            match session.peer_end() {
                Some(Err(error)) if error.is_closed() => {}
                end => return end,
            }
        }
        link_has_ended.then_some(Ok(()))
    }

    fn has_peer_finished(&self) -> Option<Result<()>> {
        if let Some(cause) = self.first_cause() {
            return Some(Err(cause.clone()));
        }
        // Before the end that a closing selector may have brought about, where it has both sides.
        if let Err(closing) = self.selector().check_open("wait for the peer's end") {
            return Some(Err(closing));
        }
        if let Some(end) = self.peer_end() {
            return Some(end);
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
