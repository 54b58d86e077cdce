//! Reading as much as there is: up to a number of bytes, or without waiting.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use super::{ByteReadChannel, State};
use crate::seam::{Filled, Inlet};
use crate::{Packet, Result};

impl ByteReadChannel {
    /// Reads `count` bytes, or as many as there are in front of the end of the input: fewer only there, none at it.
    /// Large packets are not copied.
    ///
    /// # Errors
    ///
    /// - [`LimitExceeded`](crate::ErrorKind::LimitExceeded) at once if `count` is larger than 1 MiB, or than the
    ///   `packet_limit` of the selector.
    /// - The connection's error; what came before it stays readable.
    ///
    /// # Cancel safety
    ///
    /// Lossless: bytes are collected in the channel and leave it together.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from("12345");
    /// assert_eq!(input.read_up_to(3).await?.as_slice(), b"123");
    /// assert_eq!(input.read_up_to(3).await?.as_slice(), b"45");
    /// assert!(input.read_up_to(3).await?.is_empty());
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "readBuffer")]
    pub async fn read_up_to(&mut self, count: usize) -> Result<Packet> {
        if count == 0 || count > self.limits().packet {
            self.answer().await;
        }
        self.check_packet("read_up_to", count)?;
        self.lent("read_up_to").await?;
        let available = poll_fn(|cx| self.poll_buffered(cx, count)).await?;
        Ok(Packet::from(self.take_bytes(count.min(available))))
    }

    /// Discards exactly `count` bytes, in bounded memory.
    ///
    /// # Errors
    ///
    /// - [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd) if the input ends first. What came before the end is
    ///   discarded.
    /// - The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Resumes: what was discarded stays discarded. [`counted`](Self::counted) before and behind a dropped call tells
    /// how much it was.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from("12345");
    /// input.discard_exact(4).await?;
    /// assert!(input.discard_exact(4).await.is_err_and(|error| error.is_end()));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "discardExact")]
    pub async fn discard_exact(&mut self, count: u64) -> Result<()> {
        let discarded = self.discard_up_to("discard_exact", count).await?;
        if discarded < count {
            let needed = usize::try_from(count).unwrap_or(usize::MAX);
            let available = usize::try_from(discarded).unwrap_or(usize::MAX);
            return Err(self.unexpected_end("discard_exact", needed, available));
        }
        Ok(())
    }

    /// Reads what has arrived into `slice`, without waiting. Returns `None` if nothing has arrived, and `Some(0)` at
    /// the end, and for an empty slice.
    ///
    /// What arrives later wakes no task: a call that waits is needed for that. A channel in memory or over TLS may
    /// return `None` once in a while although there is more.
    ///
    /// # Errors
    ///
    /// The connection's error, or [`Incomplete`](crate::ErrorKind::Incomplete) as [`read_exact`](Self::read_exact) has
    /// it.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # use forebay_io as forebay;
    /// let (mut input, mut output) = forebay::pipe(4096);
    /// let mut slice = [0; 16];
    /// assert_eq!(input.try_read(&mut slice)?, None);
    /// output.write_str("news").await?;
    /// output.finish().await?;
    /// assert_eq!(input.try_read(&mut slice)?, Some(4));
    /// assert_eq!(input.try_read(&mut slice)?, Some(0));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub fn try_read(&mut self, slice: &mut [u8]) -> Result<Option<usize>> {
        self.check_lent("try_read")?;
        if slice.is_empty() {
            return Ok(Some(0));
        }
        if self.buffer.is_empty() {
            match self.receive_now() {
                Poll::Pending => return Ok(None),
                Poll::Ready(more) => {
                    if !more? {
                        return Ok(Some(0));
                    }
                }
            }
        }
        Ok(Some(self.copy_buffered(slice)))
    }

    /// Receives what has arrived. Returns `false` at the end.
    fn receive_now(&mut self) -> Poll<Result<bool>> {
        self.check_open_for_fill()?;
        if matches!(self.state, State::Ended) {
            return Poll::Ready(Ok(false));
        }
        let mut inlet = Inlet::buffer(&mut self.buffer, 1);
        let filled = self.source.poll_ahead(&mut Context::from_waker(Waker::noop()), &mut inlet);
        if self.record_fill(&filled) {
            return self.receive_now();
        }
        filled.map_ok(|filled| filled == Filled::More)
    }
}
