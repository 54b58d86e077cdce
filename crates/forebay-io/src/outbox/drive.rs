//! Drives the drain, as far as the share of the turn allows.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::phase::OutboxPhase;
use super::state::{Due, State};
use super::{Outbox, stage};
use crate::Result;
use crate::lock::lock;
use crate::seam::WakeList;
use crate::sync::atomic::Ordering::Relaxed;
use crate::turn::{turn, wake_next_turn};

/// The amount that may be sent before the next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// This outbox's share of the turn.
    Share,
    /// Everything that waits. The outbox above has a share of its own, and queues no more than that here.
    Above,
}

impl Outbox {
    /// Schedules `advance` for the end of the turn, or runs it at once on a thread without turns.
    pub(super) fn schedule(self: &Arc<Self>) {
        self.turns.defer(self);
    }

    /// Sends what this turn's share allows, sends the end mark if it is due, and wakes the waiters of
    /// either. The lock ensures exclusive use of the drain.
    pub fn advance(&self) {
        stage::settle();
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        // Dropped after unlocking: an error that is not the first one may hold a user's value.
        let outcome = self.advance_locked(&mut state, Limit::Share, &mut after);
        drop(state);
        drop(outcome);
        after.run();
    }

    pub(super) fn advance_locked(
        &self,
        state: &mut State,
        limit: Limit,
        after: &mut WakeList,
    ) -> Result<()> {
        state.due = Due::Never;
        let outcome = self.drive(state, limit, after);
        if let Err(error) = &outcome {
            let cause = self.cause.record(error.clone());
            state.give_up(&cause, after);
        }
        self.release_waiters(state, after);
        self.publish_room(state);
        outcome
    }

    /// Drives the drain as far as it goes without waiting and as this turn's share allows. If the outbox
    /// below has been aborted, the drain is called once even with an empty queue, so that it can report
    /// that.
    #[inline]
    pub(super) fn drive(
        &self,
        state: &mut State,
        limit: Limit,
        after: &mut WakeList,
    ) -> Result<()> {
        if state.phase.is_settled() || self.aborting.load(Relaxed) {
            return Ok(());
        }
        state.pauses = false;
        state.share.renew();
        if self.leads_to_memory() {
            self.count_direct(state);
        }
        let mut cx = Context::from_waker(&self.own_waker);
        let mut asks_below = self.is_below_aborted();
        // The second condition holds once: the drain is called a single time with an empty queue.
        while !state.queue.is_empty() || std::mem::take(&mut asks_below) {
            let gives_way =
                limit == Limit::Share && state.share.is_used_up() && self.give_way(state);
            if gives_way || state.send(&mut cx, limit, after)?.is_pending() {
                // The queue has to wait, so its mostly empty blocks go back to the pool.
                state.queue.trim(after);
                return Ok(());
            }
            // Another thread wants to abort: stop here, so that it gets the lock.
            if self.aborting.load(Relaxed) {
                return Ok(());
            }
        }
        // Accepted bytes that are on a stage come before the end mark.
        if state.phase == OutboxPhase::Finishing
            && !state.staged
            && let Poll::Ready(result) = state.drain.poll_end(&mut cx, after)
        {
            result?;
            state.phase = OutboxPhase::Finished;
        }
        Ok(())
    }

    /// Counts what was accepted past the queue. It is a part of the same share.
    fn count_direct(&self, state: &mut State) {
        let direct = self.turns.take_direct_count();
        if direct > 0 {
            state.sent += direct;
            state.share.take(usize::try_from(direct).unwrap_or(usize::MAX));
        }
    }

    /// Schedules `advance` for the next turn. Returns `false` where there is no next turn: there only the
    /// writer gives way, and the outbox goes on.
    fn give_way(&self, state: &mut State) -> bool {
        if turn().is_some() {
            // Allowed under the lock: only this outbox's own waker is cloned, and it is woken later.
            wake_next_turn(&self.own_waker);
            return true;
        }
        let is_arranged = self.turns.wake_in_turn(&self.own_waker);
        if !is_arranged {
            // Nothing would wake the outbox again, so it takes a new share, and makes its writer give way.
            state.share.renew();
            state.pauses = true;
        }
        is_arranged
    }
}

impl State {
    /// Calls the drain with as much of the queue as it may send.
    #[inline]
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        limit: Limit,
        after: &mut WakeList,
    ) -> Result<Poll<()>> {
        if limit == Limit::Share {
            // The drain sees no more of the queue than this.
            self.queue.offer(self.share.bytes_left());
        }
        if self.queue.has_segment() {
            self.prepare_segments(after)?;
        }
        let before = self.queue.len();
        let progress = self.drain.poll_send(cx, &mut self.queue, after);
        let sent = before - self.queue.len();
        self.queue.offer_all();
        self.sent += sent as u64;
        if limit == Limit::Share {
            self.share.take(sent);
        }
        match progress {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}
