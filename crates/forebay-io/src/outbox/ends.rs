//! The ends of an outbox: finishing, aborting, and ending in order only what is whole.

use std::sync::Arc;

use super::drive::Limit;
use super::phase::OutboxPhase;
use super::state::State;
use super::{Outbox, stage};
use crate::lock::lock;
use crate::seam::WakeList;
use crate::sync::atomic::Ordering::Relaxed;
use crate::{Error, Result};

impl Outbox {
    /// Fails if a slice was accepted in part and the rest of it will not come.
    pub(crate) fn check_whole(&self, operation: &'static str) -> Result<()> {
        let state = lock(&self.state);
        state
            .whole
            .check_partial(operation)
            .map_err(|error| error.or_address(|| state.drain.peer()))
    }

    /// Makes every end reset the connection until [`finish_by_writer`](Self::finish_by_writer) is called.
    pub(crate) fn require_finish(&self) {
        lock(&self.state).whole.needs_finish = true;
    }

    /// Moves that requirement to the outbox that lies on top from now on.
    pub(crate) fn hand_over_to(&self, upper: &Self) {
        if std::mem::take(&mut lock(&self.state).whole.needs_finish) {
            upper.require_finish();
        }
    }

    /// Finishes on behalf of the writer, which thereby declares that what it has written is a whole
    /// message.
    pub(crate) fn finish_by_writer(&self) {
        lock(&self.state).whole.needs_finish = false;
        self.finish();
    }

    /// Returns `true` if an end of this outbox was turned into a reset, because half a message would have
    /// got an end mark.
    pub fn was_cut(&self) -> bool {
        lock(&self.state).whole.was_cut
    }

    /// Ends in order if everything accepted was sent and the end mark can be sent at once; aborts with
    /// `cause` otherwise. Returns `true` if the outbox has ended in order.
    ///
    /// This is one step under the lock, so that nothing is accepted between the check and the end.
    pub fn end_or_abort(&self, cause: &Error) -> bool {
        stage::settle();
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        let mut outcome = Ok(());
        if state.queue.is_empty() && !state.staged {
            self.begin_finishing(&mut state, &mut after);
            outcome = self.advance_locked(&mut state, Limit::Share, &mut after);
        }
        if !state.phase.is_settled() {
            let first = self.cause.record(cause.clone());
            state.give_up(&first, &mut after);
            self.release_waiters(&mut state, &mut after);
            self.publish_room(&state);
        }
        let has_ended = state.phase == OutboxPhase::Finished;
        drop(state);
        // Dropped after unlocking: an error that is not the first one may hold a user's value.
        drop(outcome);
        after.run();
        has_ended
    }

    /// Stops accepting items. The end mark follows the queue, or the connection is reset if that would end
    /// half a message in order. Besides aborting, this is the only way out of [`OutboxPhase::Open`].
    pub(super) fn begin_finishing(&self, state: &mut State, after: &mut WakeList) {
        if state.phase != OutboxPhase::Open {
            return;
        }
        match state.whole.check() {
            Ok(()) => state.phase = OutboxPhase::Finishing,
            Err(error) => {
                state.whole.was_cut = true;
                let first = self.cause.record(error.or_address(|| state.drain.peer()));
                state.give_up(&first, after);
            }
        }
    }

    /// Accepts no more items. The end mark follows what is queued; if the last message is not whole, the
    /// connection is reset instead. Idempotent.
    pub fn finish(&self) {
        stage::settle();
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        self.begin_finishing(&mut state, &mut after);
        // Dropped after unlocking: an error that is not the first one may hold a user's value.
        let outcome = self.advance_locked(&mut state, Limit::Share, &mut after);
        drop(state);
        drop(outcome);
        after.run();
    }

    /// Finishes without an owner: what cannot be sent at once is sent in the background.
    pub fn finish_in_background(self: &Arc<Self>) {
        self.finish();
        if !self.is_settled() {
            Arc::clone(&self.turns).finish_in_background(Arc::clone(self));
        }
    }

    /// Aborts: drops the queue, resets the transport and wakes all waiters.
    pub fn abort(&self, cause: &Error) {
        let mut after = WakeList::new();
        self.abort_with(cause, &mut after);
        after.run();
    }

    pub(super) fn abort_with(&self, cause: &Error, after: &mut WakeList) {
        // Relaxed: a thread that is sending sees this after its current call or one later. Nothing else
        // depends on it, because the phase that is set under the lock below forbids the same for good.
        self.aborting.store(true, Relaxed);
        let mut state = lock(&self.state);
        if state.phase.is_settled() {
            return;
        }
        // A clone is recorded: if there is a cause already, the argument is dropped here, and dropping a
        // clone runs no user code.
        let first = self.cause.record(cause.clone());
        state.give_up(&first, after);
        self.release_waiters(&mut state, after);
        self.publish_room(&state);
    }
}
