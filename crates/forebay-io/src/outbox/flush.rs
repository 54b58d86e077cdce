//! Counting what was accepted and sent, and waiting until it is.

use super::{Outbox, Until, stage};
use crate::lock::lock;
use crate::{Error, Result};

impl Outbox {
    /// Returns the number of bytes accepted and not yet handed to the transport.
    pub fn queued(&self) -> usize {
        self.queued_here() + self.below.as_ref().map_or(0, |below| below.queued())
    }

    /// Returns the number of those bytes that wait in this outbox, without the outboxes below it.
    pub fn queued_here(&self) -> usize {
        stage::settle();
        lock(&self.state).queue.len()
    }

    /// Returns `true` while accepted bytes are on another thread's stage.
    pub(super) fn is_staged_elsewhere(&self) -> bool {
        stage::settle();
        lock(&self.state).staged
    }

    /// Sends everything accepted so far, and waits until it has been handed to the transport, through every
    /// outbox below this one.
    ///
    /// # Errors
    ///
    /// The cause of an aborted outbox.
    ///
    /// # Cancel safety
    ///
    /// Resumes: sending goes on.
    pub async fn flush(&self) -> Result<()> {
        let mut next = Some(self);
        while let Some(outbox) = next {
            // Bytes on another thread's stage are not part of `accepted` yet.
            while outbox.is_staged_elsewhere() && outbox.is_open() {
                outbox.wait(Until::Room).await?;
            }
            let mark = outbox.accepted();
            outbox.advance();
            if let Err(error) = outbox.wait(Until::Sent(mark)).await {
                return self.why_not_sent(outbox, error).await;
            }
            next = outbox.below.as_deref();
        }
        Ok(())
    }

    /// Waits for the reason why an outbox has not sent. If the outbox below failed, the upper one's drain
    /// decides: it may know more, or know that nothing was lost.
    async fn why_not_sent(&self, failed: &Self, error: Error) -> Result<()> {
        if std::ptr::eq(self, failed) {
            return Err(error);
        }
        self.advance();
        // The drain finishes the outbox if nothing was lost, and aborts it otherwise.
        self.wait(Until::Finished).await
    }

    /// Returns the number of bytes accepted since the beginning. A flush waits until all of them are sent.
    pub fn accepted(&self) -> u64 {
        stage::settle();
        let mut state = lock(&self.state);
        state.sent += self.turns.take_direct_count();
        state.sent + state.queue.len() as u64
    }

    /// Returns the number of bytes handed on since the beginning, by this outbox and those below it. It
    /// grows whenever something moves.
    pub fn sent(&self) -> u64 {
        let mut state = lock(&self.state);
        state.sent += self.turns.take_direct_count();
        let here = state.sent;
        drop(state);
        here.wrapping_add(self.below.as_ref().map_or(0, |below| below.sent()))
    }
}
