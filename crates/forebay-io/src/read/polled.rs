//! The buffered bytes, for calls that are polled: the traits of other crates.

use std::task::{Context, Poll, ready};

use super::ByteReadChannel;
use crate::Result;

impl ByteReadChannel {
    /// Waits until something is buffered. Returns `false` at the end.
    ///
    /// Keeps nothing between two polls but the waker, which the source replaces: the last task that has
    /// polled is woken.
    pub(crate) fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        ready!(self.poll_lent(cx, "read"))?;
        if self.buffer.is_empty() { self.poll_more(cx, 1) } else { Poll::Ready(Ok(true)) }
    }

    /// Lends the buffered bytes. The caller may sleep for long before it consumes them, so little content
    /// does not hold a block.
    pub(crate) fn content(&mut self) -> &[u8] {
        self.buffer.trim_block();
        self.buffer.readable()
    }

    /// Hands up to `most` buffered bytes to `take`, and consumes them.
    pub(crate) fn hand_content(&mut self, most: usize, take: impl FnOnce(&[u8])) {
        let count = most.min(self.buffer.len());
        take(self.buffer.take(count));
        self.buffer.end_call();
    }
}
