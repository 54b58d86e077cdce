//! Bytes that pass through the queue without being in memory: of a file, or in a pipe of the kernel.

use std::sync::Arc;

use super::Outbox;
use super::state::State;
use super::until::Until;
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
        self.accept_in_queue(flush, |queue| {
            if let Some(segment) = segment.take() {
                queue.push_segment(segment);
            }
        })
    }

    /// Accepts a segment and sends what can be sent of it at once. It comes from a pipe, which the next bytes of a
    /// copy need, and bytes of later writes would not join it in one send. An error of sending is the cause then, which
    /// the next call returns.
    pub(crate) fn pass_segment(
        self: &Arc<Self>,
        segment: &mut Option<KernelSegment>,
    ) -> Result<bool> {
        let accepted = self.accept_segment(false, segment)?;
        if accepted {
            self.advance();
        }
        Ok(accepted)
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
    /// Shows the drain no segments, unless it sends them: the first one is read into memory as far as a block
    /// holds it, and what follows is withheld.
    #[cold]
    pub(super) fn prepare_segments(&mut self, after: &mut WakeList) -> Result<()> {
        if !self.drain.sends_segments() {
            if self.queue.front_segment().is_some() {
                self.queue.load_segment(after)?;
            }
            self.queue.withhold_segments();
        }
        Ok(())
    }
}
