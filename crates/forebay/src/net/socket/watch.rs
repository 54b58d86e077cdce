//! Notices how a connection ends without reading from it or writing to it.
//!
//! The link reports once that the peer's end mark or an error has arrived. Watching begins only on request:
//! most connections end during a call of their reader.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};

use forebay_io::Result;
use forebay_io::seam::{WaiterKey, Waiters, WakeList, wait_in};

use super::close_reason::CloseReason;
use super::core::Core;
use crate::host::Hangup;
use crate::lock::lock;
use crate::net::system::InStore;

/// The results of watching so far.
#[derive(Debug)]
pub(super) struct Watch {
    known: Mutex<Hangup>,
    waker: Waker,
}

impl Watch {
    /// True if the peer's end mark has been seen, perhaps behind unread bytes.
    pub(super) fn has_peer_finished(&self) -> bool {
        lock(&self.known).read_closed
    }
}

/// Waits in the connection's list until `answer` returns a value. Over TLS `answer` takes the session's
/// lock, so it is called without the lock of the list.
struct Ending<'a, A> {
    core: &'a Core,
    key: Option<WaiterKey>,
    answer: A,
}

impl<R, A: Fn(&Core) -> Option<R> + Unpin> Future for Ending<'_, A> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        // Before looking, so that anything that happens after the look wakes this.
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

/// The waker of the watch itself.
struct WatchWaker(Weak<Core>);

impl Wake for WatchWaker {
    fn wake(self: Arc<Self>) {
        if let Some(core) = self.0.upgrade() {
            core.look();
        }
    }
}

impl Core {
    /// Waits until the connection has a reason for its end.
    pub(super) async fn closed(self: &Arc<Self>) -> CloseReason {
        self.begin_watching();
        let reason = |core: &Self| {
            // A closing selector ends both directions in the course of time; that is the selector's doing.
            if core.selector().is_closing() && core.first_cause().is_none() {
                return Some(CloseReason::Local);
            }
            core.close_reason()
        };
        Ending { core: self, key: None, answer: reason }.await
    }

    /// Waits until the peer's end mark has arrived.
    pub(super) async fn peer_finished(self: &Arc<Self>) -> Result<()> {
        self.begin_watching();
        Ending { core: self, key: None, answer: Self::has_peer_finished }.await
    }

    /// Looks whether [`peer_finished`](Self::peer_finished) would return at once. Never called under a lock.
    pub(super) fn look_for_peer_end(&self) -> bool {
        if self.has_peer_finished().is_some() {
            return true;
        }
        let in_store = self.link().in_store(self.noting("look for the peer's end"));
        if in_store == InStore::End {
            return true;
        }
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            if in_store == InStore::Bytes {
                // The worker may not know of them yet: then the session would not try to receive.
                let mut after = WakeList::new();
                self.link().wake(&mut after);
                after.run();
            }
            session.look_for_end();
            return self.has_peer_finished().is_some();
        }
        false
    }

    /// Collects what can be known about the end without a reader. Never called under a lock.
    pub(super) fn look_for_end(&self) {
        // An error of the link that no reader has met is reported once the bytes that arrived before are
        // read.
        self.tell_writer();
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            session.look_for_end();
        }
    }

    /// The way in which the peer has ended, if that is known. Over TLS the session decides. While the connection is
    /// being closed, input is not read to its end, so the end of the link counts.
    pub(super) fn peer_end(&self) -> Option<Result<()>> {
        let link_has_ended = self.life().state().has_peer_ended()
            || self.watch().get().is_some_and(|watch| watch.has_peer_finished());
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
        // Before the end that a closing selector may have caused, if both sides belong to it.
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
        self.watch().get_or_init(|| {
            let waker = Waker::from(Arc::new(WatchWaker(Arc::downgrade(self))));
            Box::new(Watch { known: Mutex::default(), waker })
        });
        self.look();
    }

    /// Records what the link reports, wakes all waits, and asks the link to report more.
    fn look(self: &Arc<Self>) {
        let Some(watch) = self.watch().get() else { return };
        let mut cx = Context::from_waker(&watch.waker);
        let mut after = WakeList::new();
        loop {
            let known = *lock(&watch.known);
            let Poll::Ready(now) = self.link().poll_hangup(&mut cx, known) else { break };
            // The error first: an end that is seen before the reset behind it would look clean.
            if now.error && !known.error {
                self.ask("wait", &mut after);
            }
            // Another call may have received the error, and be about to note it.
            self.link().let_calls_end();
            *lock(&watch.known) = now;
        }
        self.wake_waiters(&mut after);
        after.run();
        self.tell_writer();
    }
}
