//! Getting past lines, in bounded memory.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use crate::Result;
use crate::read::ByteReadChannel;
use crate::read::front::Standing;

impl ByteReadChannel {
    /// Discards the rest of the line, with its terminator, in bounded memory and whatever its length. Returns `false`
    /// if there was nothing left at all.
    ///
    /// The line ends where [`LineOptions::ending`](crate::LineOptions::ending) says. This gets past a line that was
    /// refused, and discards the rest of one that was cut.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Resumes: what was discarded stays discarded, and the next call that reads or skips a line goes on to the end
    /// of this one. A call that reads bytes instead gets the rest of it, and ends that.
    pub async fn skip_line(&mut self) -> Result<bool> {
        self.lent("skip_line").await?;
        if poll_fn(|cx| self.poll_past_line(cx)).await? {
            return Ok(true);
        }
        let standing = self.buffer.front.standing();
        self.buffer.front.set_standing(None);
        Ok(standing == Some(Standing::Inside))
    }

    /// Discards everything up to the end of the line. Returns `false` at the end of the input.
    pub(super) fn poll_past_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        let ending = self.line_options().ending;
        loop {
            let (readable, mut cursor) = self.buffer.parts();
            if let Some(found) = ending.find(readable, cursor.front.scanned) {
                cursor.consume_line(found);
                self.buffer.end_call();
                return Poll::Ready(Ok(true));
            }
            let kept = ending.kept_of(readable);
            let count = readable.len() - kept;
            self.discard_of_line(count, kept);
            // Space for the rest of a terminator at least.
            if !ready!(self.poll_more(cx, kept + 1))? {
                self.discard_of_line(kept, 0);
                return Poll::Ready(Ok(false));
            }
        }
    }

    /// Discards bytes of a line, in the middle of which the channel then is.
    fn discard_of_line(&mut self, count: usize, scanned: usize) {
        if count > 0 {
            self.discard_buffered(count);
            self.buffer.front.set_standing(Some(Standing::Inside));
        }
        self.buffer.front.scanned = scanned;
    }
}
