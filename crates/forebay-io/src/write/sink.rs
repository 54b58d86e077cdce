//! Writing in two steps: a poll finds room, and a call that does not wait uses it.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::ByteWriteChannel;
use crate::{Error, ErrorKind, Result};

impl ByteWriteChannel {
    /// Waits until an item would be accepted.
    pub(crate) fn poll_ready_for_item(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // Not `has_room`, which does not see what another thread has staged: a call that says yes here must
        // not be refused afterwards.
        if self.outbox.would_accept() { Poll::Ready(Ok(())) } else { self.poll_room(cx) }
    }

    /// Accepts a value after [`poll_ready_for_item`](Self::poll_ready_for_item) has found room for it.
    pub(crate) fn accept_after_ready(&mut self, mut bytes: Bytes) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.outbox.accept_ready_bytes(self.auto_flush, &mut bytes)? {
            return Ok(());
        }
        let error = Error::new(ErrorKind::InvalidInput, "write");
        Err(self.outbox.named(error.with_detail("start_send came before poll_ready found room")))
    }
}
