//! An outbox under another one.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::phase::Phase;
use super::{Limit, Outbox, State, Until};
use crate::block::{Block, BlockPart, SMALL_BLOCK_BYTES, Size};
use crate::lock::lock;
use crate::seam::Afterwards;
use crate::sync::MutexGuard;
use crate::waiters::WaiterKey;
use crate::{Error, Result};

/// The outbox that another one's drain writes into: what TLS sends its records through.
///
/// Everything here may be called under the upper outbox's lock; the lower one's is taken inside it,
/// never the other way round. So nothing here wakes anybody or drops anything of a user's: that goes
/// to `after`. No channel writes into the lower outbox, so nothing of it is ever on a stage.
#[derive(Debug)]
pub struct Below {
    outbox: Arc<Outbox>,
    /// The upper outbox, among those who wait for this one.
    key: Option<WaiterKey>,
}

/// Memory for what is to be sent, written before it is queued and without a lock.
#[derive(Debug)]
pub struct Parcel(BlockPart);

impl Parcel {
    /// Room for `wanted` bytes, or for as many as a block holds.
    pub fn new(wanted: usize) -> Self {
        let size = if wanted <= SMALL_BLOCK_BYTES { Size::Small } else { Size::Large };
        Self(BlockPart { block: Block::take(size), start: 0, end: 0 })
    }

    /// The free room.
    pub fn space(&mut self) -> &mut [u8] {
        let end = self.0.end;
        &mut self.0.block.as_mut_slice()[end..]
    }

    /// The first `count` bytes of the room were written.
    ///
    /// # Panics
    ///
    /// If that is more than there is: a defect of the layer.
    pub fn fill(&mut self, count: usize) {
        assert!(count <= self.space().len(), "a layer filled more than it was offered");
        self.0.end += count;
    }

    /// How much was written.
    pub fn len(&self) -> usize {
        self.0.end - self.0.start
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Below {
    /// Into this outbox.
    pub fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, key: None }
    }

    /// Sends what waits; ready once nothing does any more.
    ///
    /// # Errors
    ///
    /// Why the lower outbox accepts nothing any more.
    pub fn poll_empty(&mut self, cx: &mut Context<'_>, after: &mut Afterwards) -> Poll<Result<()>> {
        let mut state = lock(&self.outbox.state);
        if !state.queue.is_empty() {
            // What it met is the cause of the phase that follows.
            self.outbox.advance_locked(&mut state, Limit::Above, after).ok();
        }
        if state.phase != Phase::Open {
            drop(state);
            return Poll::Ready(Err(self.outbox.refusal()));
        }
        if state.queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let all = state.sent + state.queue.len() as u64;
        // Who has been told that the worker is closing is not told again: what the upper outbox does
        // about it is to ask here once more, and nothing would ever come of that but asking.
        let is_closing = self.outbox.turns.is_closing();
        let until = if is_closing { Until::Sent(all) } else { Until::SentOrClosing(all) };
        leave_waker(&mut state, &mut self.key, until, cx);
        Poll::Pending
    }

    /// Puts a parcel behind what waits.
    pub fn push(&self, parcel: Parcel) {
        if parcel.is_empty() {
            return;
        }
        let mut state = lock(&self.outbox.state);
        if state.phase == Phase::Open {
            state.queue.push_block(parcel.0);
            self.outbox.note_room(&state);
        }
    }

    /// Has what waits sent by the end of the turn, or at once where there is none.
    pub fn send_later(&self) {
        self.outbox.schedule();
    }

    /// Sends, then the end mark; ready once that is out.
    ///
    /// # Errors
    ///
    /// Why it was given up instead.
    pub fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut Afterwards) -> Poll<Result<()>> {
        let mut state = finish_locked(&self.outbox, after);
        match state.phase {
            Phase::Finished => Poll::Ready(Ok(())),
            Phase::Aborted => {
                drop(state);
                Poll::Ready(Err(self.outbox.refusal()))
            }
            Phase::Open | Phase::Finishing => {
                leave_waker(&mut state, &mut self.key, Until::Finished, cx);
                Poll::Pending
            }
        }
    }

    /// Sends, then the end mark, and waits for neither; true when both are out.
    pub fn finish(&self, after: &mut Afterwards) -> bool {
        finish_locked(&self.outbox, after).phase.is_settled()
    }

    /// True once it was given up: if nobody did so from above, its transport did.
    pub fn is_aborted(&self) -> bool {
        self.outbox.is_aborted()
    }

    /// Gives up, as [`Outbox::abort`] does.
    pub fn abort(&self, cause: &Error, after: &mut Afterwards) {
        self.outbox.abort_with(cause, after);
    }
}

fn finish_locked<'a>(outbox: &'a Outbox, after: &mut Afterwards) -> MutexGuard<'a, State> {
    let mut state = lock(&outbox.state);
    outbox.begin_finishing(&mut state, after);
    // What it met is the cause of the phase that follows.
    outbox.advance_locked(&mut state, Limit::Above, after).ok();
    state
}

/// Leaves the waker among those who wait. It is the upper outbox's own, which is no foreign code: it
/// may be cloned and dropped under a lock.
fn leave_waker(state: &mut State, key: &mut Option<WaiterKey>, until: Until, cx: &Context<'_>) {
    state.waiters.put(key, until, cx.waker().clone());
}
