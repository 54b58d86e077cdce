//! An outbox below another one.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::Outbox;
use super::drive::Limit;
use super::phase::OutboxPhase;
use super::state::State;
use super::until::Until;
use crate::block::{Block, BlockPart, SMALL_BLOCK_BYTES, Size};
use crate::lock::lock;
use crate::seam::WakeList;
use crate::sync::MutexGuard;
use crate::waiters::WaiterKey;
use crate::{Error, Result};

/// The lower outbox, as the upper one's drain uses it. TLS sends its records through it.
///
/// Everything here may be called under the upper outbox's lock. The lower one's lock is taken inside it,
/// never the other way round. Therefore nothing here wakes a task or drops a user's value: both go to
/// `after`. No channel writes into the lower outbox, so its bytes are never on a stage.
#[derive(Debug)]
pub struct Below {
    outbox: Arc<Outbox>,
    /// The upper outbox's entry among the waiters of this one.
    key: Option<WaiterKey>,
}

/// A block for bytes to be sent. It is written without a lock, before it is queued.
#[derive(Debug)]
pub struct Parcel(BlockPart);

impl Parcel {
    /// Makes an empty parcel for `wanted` bytes, or for as many as a large block holds.
    pub fn new(wanted: usize) -> Self {
        let size = if wanted <= SMALL_BLOCK_BYTES { Size::Small } else { Size::Large };
        Self(BlockPart { block: Block::take(size), start: 0, end: 0 })
    }

    /// Returns the free space.
    pub fn space(&mut self) -> &mut [u8] {
        let end = self.0.end;
        &mut self.0.block.as_mut_slice()[end..]
    }

    /// Marks the first `count` bytes of the free space as written.
    ///
    /// # Panics
    ///
    /// Panics if the space is smaller than that, which is a defect of the layer.
    pub fn fill(&mut self, count: usize) {
        assert!(count <= self.space().len(), "a layer filled more than it was offered");
        self.0.end += count;
    }

    /// Returns the number of bytes written.
    pub fn len(&self) -> usize {
        self.0.end - self.0.start
    }

    /// Returns `true` if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Below {
    /// Makes a handle on this outbox.
    pub fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, key: None }
    }

    /// Sends what waits; ready once the queue is empty.
    ///
    /// # Errors
    ///
    /// The reason why the lower outbox accepts nothing any more.
    pub fn poll_empty(&mut self, cx: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>> {
        let mut state = lock(&self.outbox.state);
        if !state.queue.is_empty() {
            // The error is recorded as the cause, which `refusal` below returns.
            self.outbox.advance_locked(&mut state, Limit::Above, after).ok();
        }
        // This includes an outbox that is finishing: records behind its end mark would be lost.
        if state.phase != OutboxPhase::Open {
            drop(state);
            return Poll::Ready(Err(self.outbox.refusal()));
        }
        if state.queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let all = state.sent + state.queue.len() as u64;
        // Once the worker is closing, the upper outbox has been woken for that. Waiting for it again would
        // be answered at once, so the upper outbox would only ask again and again.
        let is_closing = self.outbox.turns.refuses_waiting();
        let until = if is_closing { Until::Sent(all) } else { Until::SentOrClosing(all) };
        leave_waker(&mut state, &mut self.key, until, cx);
        Poll::Pending
    }

    /// Appends a parcel to the queue.
    pub fn push(&self, parcel: Parcel) {
        if parcel.is_empty() {
            return;
        }
        let mut state = lock(&self.outbox.state);
        if state.phase == OutboxPhase::Open {
            state.queue.push_block(parcel.0);
            self.outbox.publish_room(&state);
        }
    }

    /// Schedules sending for the end of the turn, or sends at once on a thread without turns.
    pub fn send_later(&self) {
        self.outbox.schedule();
    }

    /// Sends the queue, then the end mark; ready once that has been sent.
    ///
    /// # Errors
    ///
    /// The cause of an abort that came first.
    pub fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>> {
        let mut state = finish_locked(&self.outbox, after);
        match state.phase {
            OutboxPhase::Finished => Poll::Ready(Ok(())),
            OutboxPhase::Aborted => {
                drop(state);
                Poll::Ready(Err(self.outbox.refusal()))
            }
            OutboxPhase::Open | OutboxPhase::Finishing => {
                leave_waker(&mut state, &mut self.key, Until::Finished, cx);
                Poll::Pending
            }
        }
    }

    /// Sends the queue, then the end mark, as far as that is possible without waiting. Returns `true` if
    /// the outbox is settled.
    pub fn finish(&self, after: &mut WakeList) -> bool {
        finish_locked(&self.outbox, after).phase.is_settled()
    }

    /// Returns `true` once the outbox has been aborted, from above or by its transport.
    pub fn is_aborted(&self) -> bool {
        self.outbox.is_aborted()
    }

    /// Aborts, as [`Outbox::abort`] does.
    pub fn abort(&self, cause: &Error, after: &mut WakeList) {
        self.outbox.abort_with(cause, after);
    }
}

fn finish_locked<'a>(outbox: &'a Outbox, after: &mut WakeList) -> MutexGuard<'a, State> {
    let mut state = lock(&outbox.state);
    outbox.begin_finishing(&mut state, after);
    // The error is recorded as the cause of the phase that follows.
    outbox.advance_locked(&mut state, Limit::Above, after).ok();
    state
}

/// Stores the waker among the waiters. It is the upper outbox's own waker and no foreign code, so it may be
/// cloned and dropped under a lock.
fn leave_waker(state: &mut State, key: &mut Option<WaiterKey>, until: Until, cx: &Context<'_>) {
    state.waiters.put(key, until, cx.waker().clone());
}
