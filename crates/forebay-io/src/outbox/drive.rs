//! Driving the drain, as the share of the turn allows.

use std::task::{Context, Poll};

use super::phase::Phase;
use super::{Outbox, State};
use crate::Result;
use crate::seam::Afterwards;
use crate::sync::atomic::Ordering::Relaxed;
use crate::turn::{turn, wake_next_turn};

/// How much is sent before the next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// This outbox's share of the turn.
    Share,
    /// All that waits: the outbox above has its share, and queues no more than that here.
    Above,
}

impl Outbox {
    /// Drives the drain as far as it goes without waiting, and as the share of this turn allows. It is
    /// asked to send nothing, too, where the outbox below was given up.
    #[inline]
    pub(super) fn drive(
        &self,
        state: &mut State,
        limit: Limit,
        after: &mut Afterwards,
    ) -> Result<()> {
        if state.phase.is_settled() || self.aborting.load(Relaxed) {
            return Ok(());
        }
        state.pauses = false;
        state.share.renew();
        let mut cx = Context::from_waker(&self.own_waker);
        let mut asks_below = self.is_below_aborted();
        while !state.queue.is_empty() || std::mem::take(&mut asks_below) {
            let gives_way =
                limit == Limit::Share && state.share.is_used_up() && self.give_way(state);
            if gives_way || state.send(&mut cx, limit, after)?.is_pending() {
                state.queue.settle();
                return Ok(());
            }
            if self.aborting.load(Relaxed) {
                return Ok(());
            }
        }
        if state.phase == Phase::Finishing
            && !state.staged
            && let Poll::Ready(result) = state.drain.poll_end(&mut cx, after)
        {
            result?;
            state.phase = Phase::Finished;
        }
        Ok(())
    }

    /// Has the outbox advanced in the next turn. False where none will come: there only a writer
    /// gives way, and the outbox goes on.
    fn give_way(&self, state: &mut State) -> bool {
        if turn().is_some() {
            // Under the lock: only this outbox's own waker is cloned, and it is woken later.
            wake_next_turn(&self.own_waker);
            return true;
        }
        let is_arranged = self.turns.wake_in_turn(&self.own_waker);
        if !is_arranged {
            state.share.renew();
            state.pauses = true;
        }
        is_arranged
    }
}

impl State {
    /// Has the drain send what it may.
    #[inline]
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        limit: Limit,
        after: &mut Afterwards,
    ) -> Result<Poll<()>> {
        if limit == Limit::Share {
            self.queue.offer(self.share.bytes_left());
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
