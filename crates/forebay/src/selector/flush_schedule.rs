//! The flush schedule of an outbox without a socket, and its close without an owner.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use forebay_io::seam::{FlushSchedule, Outbox, Until};

use super::closing::{closed, given_up};
use super::remaining::Remains;
use super::shared::Shared;
use crate::task::Reporter;
use crate::time::{Limits, Look, Patience};
use crate::worker::Locks;

/// The turns of a selector's worker, for an outbox without a socket, such as one that feeds a file.
pub(crate) struct SelectorSchedule {
    selector: Arc<Shared>,
    /// The outbox's entry among what is closed with the selector.
    key: OnceLock<u64>,
}

impl FlushSchedule for SelectorSchedule {
    fn defer(&self, outbox: &Arc<Outbox>) {
        self.selector.defer(outbox, Locks::MayBeHeld);
    }

    fn defer_in_call(&self, outbox: &Arc<Outbox>) {
        self.selector.defer(outbox, Locks::None);
    }

    fn hurry(&self, outbox: &Arc<Outbox>) {
        Shared::hurry(outbox);
    }

    fn refuses_waiting(&self) -> bool {
        self.selector.is_closing()
    }

    fn wake_in_turn(&self, waker: &Waker) -> bool {
        self.selector.here().wake_in_turn(waker.clone());
        true
    }

    fn finish_in_background(self: Arc<Self>, outbox: Arc<Outbox>) {
        let moved = |outbox: &Outbox, _| outbox.sent();
        self.selector.finish_in_background(&outbox, self.selector.drain(), moved, || false);
    }
}

impl SelectorSchedule {
    pub(super) fn new(selector: &Arc<Shared>) -> Self {
        Self { selector: Arc::clone(selector), key: OnceLock::new() }
    }

    /// Finishes the outbox, whose turns these are, when the selector closes.
    pub(super) fn close_with_selector(&self, outbox: &Arc<Outbox>) {
        let outbox = Arc::downgrade(outbox);
        self.key.get_or_init(|| self.selector.remaining().add(outbox));
    }
}

impl Remains for Outbox {
    fn close_with_selector(self: Arc<Self>) {
        self.finish_in_background();
    }
}

impl Drop for SelectorSchedule {
    fn drop(&mut self) {
        if let Some(key) = self.key.get() {
            self.selector.remaining().remove(*key);
        }
    }
}

impl Shared {
    /// Keeps the outbox until it is finished, and aborts it at a limit unless a close has taken it over by
    /// then. `moved` grows whenever progress is made.
    pub(crate) fn finish_in_background(
        self: &Arc<Self>,
        outbox: &Arc<Outbox>,
        limits: Limits,
        moved: impl Fn(&Outbox, Look) -> u64 + Send + Sync + 'static,
        is_taken_over: impl Fn() -> bool + Send + 'static,
    ) {
        let selector = Arc::clone(self);
        let finishing = Arc::clone(outbox);
        let accepted = self.spawn_own(async move {
            let mut finished = pin!(finishing.wait(Until::Finished));
            let mut patience = Patience::new(&selector.timers(), limits);
            let moved = |look| moved(&finishing, look);
            let over = poll_fn(|cx| match finished.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => patience.poll(cx, limits, moved).map(Some),
            })
            .await;
            let Some(over) = over.filter(|_| !is_taken_over()) else { return };
            selector.sockets().counters.unacknowledged.add(1);
            let error = given_up("drop a writer", over);
            finishing.abort(&error);
            selector.reporter().report(Reporter::OF_A_CLOSE, &error);
        });
        if !accepted {
            outbox.abort(&closed("drop a writer"));
        }
    }
}
