//! Copying to two channels at once.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::{ByteReadChannel, State};
use crate::block::BLOCK_BYTES;
use crate::{ByteWriteChannel, Result};

impl ByteReadChannel {
    /// Writes everything up to the end of this channel to both outputs, finishes them, and returns the number of
    /// bytes that each has got.
    ///
    /// The slower output sets the pace: no more than the queue of each and a block are held. With two
    /// [pipes](crate::pipe) as outputs a channel is split for two readers.
    ///
    /// As with [`copy_and_close`](Self::copy_and_close), both outputs end in order only if this channel did; from the
    /// first poll on every other end of them is a reset.
    ///
    /// # Errors
    ///
    /// The error of one of the three. Both outputs are then aborted with it, unless they were closed before.
    ///
    /// # Cancel safety
    ///
    /// Resumes: each byte is either still in this channel or accepted by both outputs, and another call continues
    /// from there, or from the end marks. If the outputs are dropped instead, they reset. A dropped call does not
    /// return how much it had copied.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// use forebay::{ByteReadChannel, pipe};
    ///
    /// let (mut left, mut to_left) = pipe(4096);
    /// let (mut right, mut to_right) = pipe(4096);
    /// let mut from = ByteReadChannel::from("for both");
    /// assert_eq!(from.copy_to_both(&mut to_left, &mut to_right).await?, 8);
    /// assert_eq!(left.read_line().await?.as_deref(), Some("for both"));
    /// assert_eq!(right.read_line().await?.as_deref(), Some("for both"));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "copyToBoth")]
    #[doc(alias = "split")]
    pub async fn copy_to_both(
        &mut self,
        first: &mut ByteWriteChannel,
        second: &mut ByteWriteChannel,
    ) -> Result<u64> {
        first.abort_on_drop();
        second.abort_on_drop();
        // Where an earlier call was dropped while it finished the outputs, nothing is left to copy.
        let has_ended = self.buffer.is_empty() && matches!(self.state, State::Ended);
        let copied = if has_ended { Ok(0) } else { self.copy_all_to_both(first, second).await };
        if let Err(error) = &copied {
            for output in [&mut *first, &mut *second] {
                if !output.is_closed_for_write() {
                    output.abort_with(error.clone());
                }
            }
        }
        let copied = copied?;
        both(first.finish(), second.finish()).await?;
        Ok(copied)
    }

    async fn copy_all_to_both(
        &mut self,
        first: &mut ByteWriteChannel,
        second: &mut ByteWriteChannel,
    ) -> Result<u64> {
        self.lent("copy_to_both").await?;
        let mut copied = 0;
        loop {
            // Room comes first: while an output is full, nothing is read and no block is held.
            both(first.room(), second.room()).await?;
            if self.buffer.is_empty() && !poll_fn(|cx| self.poll_more(cx, 1)).await? {
                return Ok(copied);
            }
            if !(first.outbox().would_accept() && second.outbox().would_accept()) {
                self.buffer.end_call();
                both(first.wait_for_room(), second.wait_for_room()).await?;
                continue;
            }
            let count = self.buffer.len().min(BLOCK_BYTES);
            let bytes = &self.buffer.readable()[..count];
            if !first.accept(bytes)? {
                continue;
            }
            // It had room when it was asked, so this waits only where another thread is about to abort it. The wait
            // then ends with an error.
            while !second.accept(bytes)? {
                second.wait_for_room().await?;
            }
            self.discard_buffered(count);
            copied += count as u64;
        }
    }
}

/// Waits for both, or for the error of one of them.
async fn both(
    first: impl Future<Output = Result<()>>,
    second: impl Future<Output = Result<()>>,
) -> Result<()> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut one, mut other) = (false, false);
    poll_fn(|cx| {
        advance(first.as_mut(), &mut one, cx)?;
        advance(second.as_mut(), &mut other, cx)?;
        if one && other { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// Polls a future that is not done yet.
fn advance(
    future: Pin<&mut impl Future<Output = Result<()>>>,
    is_done: &mut bool,
    cx: &mut Context<'_>,
) -> Result<()> {
    if !*is_done && let Poll::Ready(outcome) = future.poll(cx) {
        *is_done = true;
        outcome?;
    }
    Ok(())
}
