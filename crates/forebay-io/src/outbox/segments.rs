//! Bytes that pass through the queue without being in memory: of a file, or in a pipe of the kernel.

use std::sync::Arc;

use super::drive::Limit;
use super::state::State;
use super::until::Until;
use super::{Outbox, stage};
use crate::Result;
use crate::kernel::KernelSegment;
use crate::lock::lock;
use crate::seam::WakeList;

impl Outbox {
    /// Returns `true` if segments are sent as they are, and not read into memory before.
    pub(crate) fn sends_segments(&self) -> bool {
        lock(&self.state).drain.sends_segments()
    }

    /// Accepts a segment as [`accept`](Self::accept) does an item, taking it.
    pub(crate) fn accept_segment(
        self: &Arc<Self>,
        flush: bool,
        segment: &mut Option<KernelSegment>,
    ) -> Result<bool> {
        stage::settle();
        let mut state = lock(&self.state);
        if let Some(hindrance) = self.hindrance(&state) {
            drop(state);
            return self.answer(hindrance);
        }
        state.push_segment(segment.take());
        self.flush_later(state, flush);
        Ok(true)
    }

    /// Accepts a segment and sends what can be sent of it at once. It comes from a pipe, which the next bytes of a
    /// copy need, and bytes of later writes would not join it in one send.
    pub(crate) fn pass_segment(&self, segment: &mut Option<KernelSegment>) -> Result<bool> {
        stage::settle();
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        if let Some(hindrance) = self.hindrance(&state) {
            drop(state);
            return self.answer(hindrance);
        }
        state.push_segment(segment.take());
        // Dropped after unlocking. The error is the cause now, which the next call returns.
        let outcome = self.advance_locked(&mut state, Limit::Share, &mut after);
        drop(state);
        drop(outcome);
        after.run();
        Ok(true)
    }

    /// Waits until the queue is empty, sending it first if it is not.
    ///
    /// # Errors
    ///
    /// The cause of an aborted outbox; `Closed` if the worker is closing before the queue is empty.
    pub(crate) async fn emptied(&self) -> Result<()> {
        if self.queued_here() == 0 {
            return Ok(());
        }
        let mark = self.accepted();
        self.advance();
        self.wait(Until::SentOrClosing(mark)).await
    }
}

impl State {
    fn push_segment(&mut self, segment: Option<KernelSegment>) {
        if let Some(segment) = segment {
            self.queue.push_segment(segment);
            self.has_segments = true;
        }
    }

    /// Shows the drain no segments, unless it sends them: the first one is read into memory as far as a block
    /// holds it, and what follows is withheld.
    #[cold]
    pub(super) fn prepare_segments(&mut self, after: &mut WakeList) -> Result<()> {
        self.has_segments = self.queue.has_segment();
        if !self.drain.sends_segments() {
            if self.queue.front_segment().is_some() {
                self.queue.load_segment(after)?;
            }
            self.queue.withhold_segments();
        }
        Ok(())
    }
}
