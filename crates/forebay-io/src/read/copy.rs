//! Copying from one channel to another, in bounded memory.

use std::future::poll_fn;

use super::ByteReadChannel;
use crate::block::{BLOCK_BYTES, SMALL_BLOCK_BYTES};
use crate::{ByteWriteChannel, Result};

impl ByteReadChannel {
    /// Writes everything up to the end of this channel to `output`, and returns the number of bytes. The
    /// output stays open; call [`finish`](ByteWriteChannel::finish) or continue writing.
    ///
    /// At most the output's queue and one block are held at a time: what the output cannot accept yet is
    /// not read.
    ///
    /// # Errors
    ///
    /// The error of either side. An error of this channel is returned as an error, never as a short count.
    ///
    /// # Cancel safety
    ///
    /// Resumes: each byte is either still in this channel or accepted by the output, and another call
    /// continues from there. A dropped call does not return how much it had copied.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// use forebay::{ByteReadChannel, pipe};
    ///
    /// let mut from = ByteReadChannel::from("over and over");
    /// let (mut to, mut output) = pipe(4096);
    /// assert_eq!(from.copy_to(&mut output).await?, 13);
    /// output.finish().await?;
    /// assert_eq!(to.read_line().await?.as_deref(), Some("over and over"));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn copy_to(&mut self, output: &mut ByteWriteChannel) -> Result<u64> {
        self.lent("copy_to").await?;
        let mut copied = 0;
        loop {
            // Room comes first: while the output is full, nothing is read and no block is held.
            output.room().await?;
            if self.buffer.is_empty() && !poll_fn(|cx| self.poll_more(cx, 1)).await? {
                return Ok(copied);
            }
            match self.hand_over(output)? {
                0 => {
                    self.buffer.end_call();
                    output.wait_for_room().await?;
                }
                count => copied += count as u64,
            }
        }
    }

    /// Moves buffered bytes to the output, as a block if there are many, and returns their number. Bytes
    /// that the output did not accept stay here.
    fn hand_over(&mut self, output: &mut ByteWriteChannel) -> Result<usize> {
        // At most a block at a time, so that the output's queue stays bounded.
        let count = self.buffer.len().min(BLOCK_BYTES);
        let offered = self.buffer.offer_block(SMALL_BLOCK_BYTES, |part| output.accept_block(part));
        let accepted = if let Some(accepted) = offered {
            accepted?
        } else {
            let accepted = output.accept(&self.buffer.readable()[..count])?;
            if accepted {
                // Its block stays until the next wait, which comes next.
                self.buffer.consume(count);
            }
            accepted
        };
        Ok(if accepted { count } else { 0 })
    }
}
