//! From one channel to another, in bounded memory.

use std::future::poll_fn;

use super::ByteReadChannel;
use crate::block::{BLOCK_BYTES, SMALL_BLOCK_BYTES};
use crate::{ByteWriteChannel, Result};

impl ByteReadChannel {
    /// Writes everything up to the end of this channel to `output`, and says how much it was. The
    /// output stays open; call [`finish`](ByteWriteChannel::finish) or go on writing.
    ///
    /// At most the output's queue and one block are held at a time: what the output cannot take
    /// yet is not read.
    ///
    /// # Errors
    ///
    /// What either side met. An error of this channel is an error, never a short count.
    ///
    /// # Cancel safety
    ///
    /// Resumes: each byte is either still here or accepted by the output, and calling it again goes
    /// on; but a dropped call does not say how much it had copied.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use forebay_io::{ByteReadChannel, pipe};
    ///
    /// let mut from = ByteReadChannel::from("over and over");
    /// let (mut to, mut output) = pipe(4096);
    /// assert_eq!(from.copy_to(&mut output).await?, 13);
    /// output.finish().await?;
    /// assert_eq!(to.read_line().await?.as_deref(), Some("over and over"));
    /// # forebay_io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn copy_to(&mut self, output: &mut ByteWriteChannel) -> Result<u64> {
        self.lent("copy_to").await?;
        let mut copied = 0;
        loop {
            // Room first: while the output is full nothing is read, and nothing is held.
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

    /// Moves what is buffered to the output, the block itself if there is much in it, and says how
    /// much it was. What the output did not accept is still here.
    fn hand_over(&mut self, output: &mut ByteWriteChannel) -> Result<usize> {
        let count = self.buffer.len().min(BLOCK_BYTES);
        let mut part = self.buffer.take_block(SMALL_BLOCK_BYTES);
        if part.is_none() {
            let accepted = output.accept(&self.buffer.readable()[..count])?;
            if accepted {
                self.discard_buffered(count);
            }
            return Ok(if accepted { count } else { 0 });
        }
        let accepted = output.accept_block(&mut part);
        match part {
            Some(refused) => self.buffer.put_block_back(refused),
            None => self.line.restart(),
        }
        Ok(if accepted? { count } else { 0 })
    }
}
