//! Copying from one channel to another, or to a writer, in bounded memory.

use std::future::poll_fn;
use std::io::{self, Write};

use super::transfer::TransferPace;
use super::{ByteReadChannel, State};
use crate::block::{BLOCK_BYTES, SMALL_BLOCK_BYTES};
use crate::{ByteWriteChannel, Error, ErrorKind, Result};

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
    #[doc(alias = "copyTo")]
    pub async fn copy_to(&mut self, output: &mut ByteWriteChannel) -> Result<u64> {
        self.lent("copy_to").await?;
        let (mut copied, mut pace) = (0, TransferPace::default());
        loop {
            match self.copy_some(output, u64::MAX, &mut pace).await? {
                0 => return Ok(copied),
                count => copied += count,
            }
        }
    }

    /// Writes exactly the next `count` bytes to `output`, which stays open.
    ///
    /// No more than the output's queue and one block are held at a time, so `count` may be larger than any
    /// limit of the two channels: the body of a request, whose length stands in its head.
    ///
    /// # Errors
    ///
    /// - [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd) if the input ends first. `available` is the number
    ///   of bytes that this call has copied; they are in the output.
    /// - The error of either side.
    ///
    /// # Cancel safety
    ///
    /// Resumes: each byte is either still in this channel or accepted by the output. A dropped call does not
    /// return how much it had copied; [`ByteWriteChannel::counted`] before and after it tells.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// use forebay::{ByteReadChannel, pipe};
    ///
    /// let mut from = ByteReadChannel::from("4\nbodythe next request");
    /// let length = from.read_line().await?.and_then(|line| line.parse().ok()).unwrap_or(0);
    /// let (mut to, mut output) = pipe(4096);
    /// from.copy_exact_to(length, &mut output).await?;
    /// assert_eq!(to.read_packet(4).await?.as_slice(), b"body");
    /// assert_eq!(from.read_line().await?.as_deref(), Some("the next request"));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn copy_exact_to(&mut self, count: u64, output: &mut ByteWriteChannel) -> Result<()> {
        self.lent("copy_exact_to").await?;
        if count == 0 {
            self.answer().await;
        }
        let (mut left, mut pace) = (count, TransferPace::default());
        while left > 0 {
            match self.copy_some(output, left, &mut pace).await? {
                0 => return Err(self.short_copy(count, count - left)),
                copied => left -= copied,
            }
        }
        // The last bytes were handed over without a wait behind them.
        self.buffer.end_call();
        Ok(())
    }

    /// Writes everything up to the end of this channel to `output`, finishes the output, and returns the number
    /// of bytes.
    ///
    /// The output ends in order only if this channel did. From the first poll on, every other end of the output
    /// is a reset, as after [`abort_on_drop`](ByteWriteChannel::abort_on_drop): its peer never takes a part of
    /// the input for the whole of it.
    ///
    /// # Errors
    ///
    /// The error of either side. With an error of this channel the output is aborted, also with one after which
    /// this channel can be read on, such as a read timeout: the reader of a [`pipe`](crate::pipe) gets that
    /// error, the peer of a socket a reset. What the output has not sent by then is dropped.
    ///
    /// # Cancel safety
    ///
    /// Resumes: each byte is either still in this channel or accepted by the output, and another call continues
    /// from there, or from the end mark. If the output is dropped instead, it resets. A dropped call does not
    /// return how much it had copied.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// use forebay::{ByteReadChannel, Error, pipe};
    ///
    /// let (mut to, mut output) = pipe(4096);
    /// assert_eq!(ByteReadChannel::from("whole").copy_and_close(&mut output).await?, 5);
    /// assert_eq!(to.read_remaining(4096).await?.as_slice(), b"whole");
    ///
    /// let (mut broken, mut writer) = pipe(4096);
    /// writer.abort_with(Error::other("the disk is gone"));
    /// let (mut to, mut output) = pipe(4096);
    /// broken.copy_and_close(&mut output).await.unwrap_err();
    /// assert_eq!(to.read_remaining(4096).await.unwrap_err().to_string(), "the disk is gone");
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "copyAndClose")]
    pub async fn copy_and_close(&mut self, output: &mut ByteWriteChannel) -> Result<u64> {
        output.abort_on_drop();
        // Where an earlier call was dropped while it finished the output, nothing is left to copy.
        let has_ended = self.buffer.is_empty() && matches!(self.state, State::Ended);
        let copied = if has_ended { Ok(0) } else { self.copy_to(output).await };
        if let Err(error) = &copied
            // What an output that is finishing already still sends is not to be thrown away.
            && !output.is_closed_for_write()
        {
            output.abort_with(error.clone());
        }
        let copied = copied?;
        output.finish().await?;
        Ok(copied)
    }

    /// Writes the next bytes to a writer of the standard library, up to `limit` of them or to the end, and
    /// returns their number. It is smaller than `limit` only at the end.
    ///
    /// The writer is called on this thread, so it should not block: memory, a hasher, a compressor. For a file,
    /// [`copy_to`](Self::copy_to) a `SelectorManager::blocking_writer`. It is not flushed. `u64::MAX` is no
    /// limit.
    ///
    /// # Errors
    ///
    /// The error of this channel, never a short count; or that of the writer, and then what it has not taken
    /// stays readable. A writer that takes nothing is
    /// an error, too.
    ///
    /// # Cancel safety
    ///
    /// Resumes: each byte is either still in this channel or taken by the writer. A dropped call does not return
    /// how much it had copied.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut from = forebay::ByteReadChannel::from("0123456789");
    /// let mut memory = Vec::new();
    /// assert_eq!(from.copy_to_writer(&mut memory, 4).await?, 4);
    /// assert_eq!(from.copy_to_writer(&mut memory, 1_000_000).await?, 6);
    /// assert_eq!(memory, b"0123456789");
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "readTo")]
    pub async fn copy_to_writer<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        limit: u64,
    ) -> Result<u64> {
        self.lent("copy_to_writer").await?;
        if limit == 0 {
            self.answer().await;
        }
        let mut copied = 0;
        while copied < limit {
            if self.buffer.is_empty() && !poll_fn(|cx| self.poll_more(cx, 1)).await? {
                break;
            }
            match self.give_to(writer, limit - copied) {
                Ok(count) => copied += count as u64,
                Err(error) => {
                    self.answer().await;
                    return Err(Error::from_io("copy_to_writer", error));
                }
            }
        }
        Ok(copied)
    }

    /// Copies up to `most` bytes, waiting for at least one. Returns 0 at the end.
    async fn copy_some(
        &mut self,
        output: &mut ByteWriteChannel,
        most: u64,
        pace: &mut TransferPace,
    ) -> Result<u64> {
        // Room comes first: while the output is full, nothing is read and no block is held.
        output.room().await?;
        if self.buffer.is_empty() {
            if pace.is_bulk()
                && let Some(count) = self.transfer(output, most, pace).await?
            {
                return Ok(count);
            }
            if self.buffer.is_empty() && !poll_fn(|cx| self.poll_more(cx, 1)).await? {
                return Ok(0);
            }
        }
        loop {
            let count = self.hand_over(output, most)?;
            if count > 0 {
                pace.copied(count);
                return Ok(count as u64);
            }
            self.buffer.end_call();
            output.wait_for_room().await?;
        }
    }

    /// Moves up to `most` buffered bytes to the output, as a block if there are many, and returns their number.
    /// Bytes that the output did not accept stay here.
    fn hand_over(&mut self, output: &mut ByteWriteChannel, most: u64) -> Result<usize> {
        let buffered = self.buffer.len();
        // At most a block at a time, so that the output's queue stays bounded.
        let count = at_most(buffered.min(BLOCK_BYTES), most);
        let offered = if count == buffered {
            self.buffer.offer_block(SMALL_BLOCK_BYTES, |part| output.accept_block(part))
        } else {
            // A block is handed over with all bytes in it, and some of these are not to be copied.
            None
        };
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

    /// Makes one call of the writer, with up to `most` buffered bytes, and consumes what it has taken.
    fn give_to<W: Write + ?Sized>(&mut self, writer: &mut W, most: u64) -> io::Result<usize> {
        let bytes = self.buffer.readable();
        let bytes = &bytes[..at_most(bytes.len(), most)];
        let taken = loop {
            match writer.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => {
                    let kind = io::ErrorKind::WriteZero;
                    return Err(io::Error::new(kind, "the writer takes no more"));
                }
                // A writer that claims more than it was given has at most got all of it.
                taken => break taken?.min(bytes.len()),
            }
        };
        self.discard_buffered(taken);
        Ok(taken)
    }

    fn short_copy(&self, needed: u64, available: u64) -> Error {
        self.error(ErrorKind::UnexpectedEnd { needed, available }, "copy_exact_to")
    }
}

/// Returns the smaller number.
fn at_most(len: usize, most: u64) -> usize {
    usize::try_from(most).map_or(len, |most| len.min(most))
}
