//! Accepting items, as long as there is room.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use super::phase::OutboxPhase;
use super::state::{Due, State};
use super::whole::{Partial, Piece};
use super::{Outbox, stage};
use crate::Result;
use crate::block::BlockPart;
use crate::item::Item;
use crate::lock::lock;
use crate::queue::SendQueue;
use crate::seam::WakeList;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering::Relaxed;

/// A reason why an item is not accepted.
#[derive(Clone, Copy)]
enum Hindrance {
    /// The queue is full, another thread is about to abort, or bytes are on another thread's stage.
    ForNow,
    /// Nothing is accepted any more.
    ForGood,
}

impl Outbox {
    /// Returns `true` if an item may be composed: the outbox is open and below its mark, as far as this can
    /// be known without the lock.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        // Relaxed: a hint. Accepting decides under the lock.
        self.has_room.load(Relaxed)
    }

    /// Accepts one whole item if the queue is below its mark. `false`: wait for [`Until::Room`] first.
    ///
    /// The other ways to accept differ in what is accepted: a value or a block is moved, which no stage can
    /// hold, and a piece is a part of an item.
    ///
    /// [`Until::Room`]: super::Until::Room
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be a tenth of a small write")]
    pub(crate) fn accept(self: &Arc<Self>, flush: bool, item: impl Item) -> Result<bool> {
        // Without the lock: the stage was begun under it, and an end mark that another thread asks for
        // meanwhile waits for the stage.
        if flush && self.has_room() {
            if stage::push(self, item) {
                return Ok(true);
            }
            if self.leads_to_memory() && self.accept_directly(item) {
                return Ok(true);
            }
        }
        self.accept_in_queue(flush, |queue| item.put(queue))
    }

    /// Accepts an item as [`accept`](Self::accept) does, for a caller that usually finds the stage: nothing else is
    /// compiled into it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `accept`")]
    pub(crate) fn accept_in_burst(self: &Arc<Self>, flush: bool, item: impl Item) -> Result<bool> {
        if flush && self.has_room() && stage::push(self, item) {
            return Ok(true);
        }
        self.accept_unstaged(flush, item)
    }

    #[inline(never)]
    fn accept_unstaged(self: &Arc<Self>, flush: bool, item: impl Item) -> Result<bool> {
        self.accept(flush, item)
    }

    /// Accepts an item in front of memory, under the lock of that memory alone.
    #[cold]
    fn accept_directly(&self, item: impl Item) -> bool {
        item.len() > 0
            && self.turns.accept_directly(item.len(), &mut |queue: &mut SendQueue| item.put(queue))
    }

    /// Accepts a value of the caller's as [`accept`](Self::accept) does, taking it from `bytes`. A value
    /// that was copied is dropped outside the lock.
    pub(crate) fn accept_bytes(self: &Arc<Self>, flush: bool, bytes: &mut Bytes) -> Result<bool> {
        // Lent only to a queue that is about to be sent: the next flush of another one may be far.
        let accepted = self.accept_in_queue(flush, |queue| queue.push_bytes(bytes, flush))?;
        if accepted {
            drop(mem::take(bytes));
        }
        Ok(accepted)
    }

    /// Returns `true` if an item would be accepted now.
    pub(crate) fn would_accept(&self) -> bool {
        stage::settle();
        self.hindrance(&lock(&self.state)).is_none()
    }

    /// Accepts a value for which [`would_accept`](Self::would_accept) or the wait for room has found room, also
    /// if the outbox is to pause or to abort since then: the caller cannot wait, and cannot keep the value.
    /// Returns `false` if there has been no room for it.
    #[cfg(feature = "futures-sink")]
    pub(crate) fn accept_ready_bytes(
        self: &Arc<Self>,
        flush: bool,
        bytes: &mut Bytes,
    ) -> Result<bool> {
        stage::settle();
        let mut state = lock(&self.state);
        if matches!(self.hindrance(&state), Some(Hindrance::ForGood)) {
            drop(state);
            return self.answer(Hindrance::ForGood);
        }
        if state.staged || state.queue.len() >= self.high_water() {
            return Ok(false);
        }
        state.queue.push_bytes(bytes, flush);
        self.flush_later(state, flush);
        drop(mem::take(bytes));
        Ok(true)
    }

    /// Accepts a block with the bytes that arrived in it as [`accept`](Self::accept) does, taking it.
    pub(crate) fn accept_block(
        self: &Arc<Self>,
        flush: bool,
        part: &mut Option<BlockPart>,
    ) -> Result<bool> {
        self.accept_in_queue(flush, |queue| {
            if let Some(part) = part.take() {
                queue.push_block(part);
            }
        })
    }

    /// Accepts what `put` puts into the queue. `put` is called under the lock.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `accept`, whose second half it is")]
    pub(super) fn accept_in_queue(
        self: &Arc<Self>,
        flush: bool,
        put: impl FnOnce(&mut SendQueue),
    ) -> Result<bool> {
        stage::settle();
        let mut state = lock(&self.state);
        if let Some(hindrance) = self.hindrance(&state) {
            drop(state);
            return self.answer(hindrance);
        }
        put(&mut state.queue);
        self.flush_later(state, flush);
        Ok(true)
    }

    /// Returns the reason why an item cannot be accepted now, if there is one.
    #[inline]
    fn hindrance(&self, state: &State) -> Option<Hindrance> {
        if state.phase != OutboxPhase::Open || state.whole.is_partial() {
            return Some(Hindrance::ForGood);
        }
        self.is_in_the_way(state).then_some(Hindrance::ForNow)
    }

    /// Returns `true` if something has to be waited for before an item is accepted.
    #[inline]
    fn is_in_the_way(&self, state: &State) -> bool {
        let full = state.pauses || state.queue.len() >= self.high_water();
        full || state.staged || self.aborting.load(Relaxed)
    }

    fn answer(&self, hindrance: Hindrance) -> Result<bool> {
        match hindrance {
            Hindrance::ForNow => Ok(false),
            Hindrance::ForGood => Err(self.refusal()),
        }
    }

    /// Schedules one flush per turn, however many items the turn brings, and starts a stage for a burst.
    #[inline]
    fn flush_later(self: &Arc<Self>, mut state: MutexGuard<'_, State>, flush: bool) {
        self.publish_room(&state);
        let due = flush && state.due == Due::Never && !state.queue.is_empty();
        if due {
            state.due = Due::Turn;
        }
        // The stage is settled at the end of the task's poll at the latest, which is before the flush that
        // is due already.
        let burst = flush
            && stage::note_item(self)
            && !due
            && state.due != Due::Never
            // Everything that fits a stage must stay below the mark.
            && state.queue.len() < self.high_water().saturating_sub(stage::BYTES_MAX);
        state.staged = burst;
        // More than the small block that a queue begins with.
        let hurry = flush && state.due != Due::Poll && state.queue.fills_blocks();
        if hurry {
            state.due = Due::Poll;
        }
        drop(state);
        // Unlocked by now: without turns, `schedule` advances at once, which locks.
        if burst {
            stage::begin(self);
        }
        if due {
            self.turns.defer_in_call(self);
        }
        if hurry {
            self.turns.hurry(self);
        }
    }

    /// Appends the staged bytes to the queue. They have been accepted before, so a finishing outbox takes
    /// them too.
    pub(super) fn settle(self: &Arc<Self>, bytes: &[u8]) {
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        state.staged = false;
        // After an abort nothing is sent any more: these bytes are dropped, as the queue was.
        if !state.phase.is_settled() {
            state.queue.push_slice(bytes);
        }
        self.release_waiters(&mut state, &mut after);
        // The end mark has waited for these bytes.
        let finishing = state.phase == OutboxPhase::Finishing;
        self.publish_room(&state);
        let due = state.due == Due::Never && !state.queue.is_empty();
        if due {
            state.due = Due::Turn;
        }
        drop(state);
        after.run();
        if finishing {
            self.advance();
        } else if due {
            self.schedule();
        }
    }

    /// Accepts one piece of a slice above the item limit, if the queue is below its mark. `false`: wait for
    /// [`Until::Room`](super::Until::Room) first.
    pub(crate) fn accept_piece(self: &Arc<Self>, flush: bool, piece: Piece<'_>) -> Result<bool> {
        // Pieces are never staged: that more of them follow must be recorded together with the piece.
        stage::settle();
        let mut state = lock(&self.state);
        let expected = (piece.before > 0).then_some((piece.before, piece.of));
        let partial = state.whole.partial.map(|partial| (partial.accepted, partial.of));
        // Pieces must follow each other without a gap; a first piece finds no other slice under way.
        if partial != expected || state.phase != OutboxPhase::Open {
            drop(state);
            return self.answer(Hindrance::ForGood);
        }
        if self.is_in_the_way(&state) {
            return Ok(false);
        }
        state.queue.push_slice(piece.bytes);
        let accepted = piece.before + piece.bytes.len();
        let is_last = accepted >= piece.of;
        state.whole.partial = (!is_last).then_some(Partial { accepted, of: piece.of });
        self.flush_later(state, flush);
        Ok(true)
    }
}
