//! Accepting without a wait, and what can be seen of an outbox from outside.

use std::sync::Arc;

use bytes::Bytes;

use super::phase::OutboxPhase;
use super::{Outbox, stage};
use crate::item::Item;
use crate::lock::lock;
use crate::{Error, Result};

impl Outbox {
    /// Accepts one whole item, or returns `false` if its writer would have to wait.
    ///
    /// What is due to be sent is sent first, because a queue that is full only since the last turn is no sign of
    /// a slow peer.
    pub(crate) fn try_accept(self: &Arc<Self>, flush: bool, item: impl Item) -> Result<bool> {
        if item.len() == 0 {
            return self.try_nothing();
        }
        if self.accept(flush, item)? {
            return Ok(true);
        }
        self.advance();
        self.accept(flush, item)
    }

    /// Accepts a value as [`try_accept`](Self::try_accept) does an item.
    pub(crate) fn try_accept_bytes(
        self: &Arc<Self>,
        flush: bool,
        mut bytes: Bytes,
    ) -> Result<bool> {
        if bytes.is_empty() {
            return self.try_nothing();
        }
        if self.accept_bytes(flush, &mut bytes)? {
            return Ok(true);
        }
        self.advance();
        self.accept_bytes(flush, &mut bytes)
    }

    /// Answers as an item would be answered, without one.
    fn try_nothing(self: &Arc<Self>) -> Result<bool> {
        let refused =
            lock(&self.state).phase != OutboxPhase::Open || self.check_whole("write").is_err();
        if refused { Err(self.refusal()) } else { Ok(self.free_space() > 0) }
    }

    /// Returns how many bytes may be accepted before a writer waits.
    pub(crate) fn free_space(&self) -> usize {
        stage::settle();
        let state = lock(&self.state);
        let queued = state.queue.len();
        let open = state.phase == OutboxPhase::Open && !state.whole.is_partial();
        if !open || state.pauses || queued >= self.high_water() {
            return 0;
        }
        // In front of a pipe the queue is empty until the pipe is full, so what is free is free in the pipe.
        (self.high_water() - queued).max(state.drain.free_space())
    }

    /// Returns the error that writes return, if the end was not in order.
    pub(crate) fn closed_cause(&self) -> Option<Error> {
        self.check_whole("write").err().or_else(|| self.cause.get().cloned())
    }
}
