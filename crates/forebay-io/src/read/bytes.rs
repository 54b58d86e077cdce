//! Reading bytes as they arrive: slices, chunks, packets, everything up to the end.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::ByteReadChannel;
use crate::seam::Inlet;
use crate::{ErrorKind, Packet, Result};

/// A slice of this size or more is filled directly from the source if nothing is buffered. Smaller ones are
/// served from a block, so that many small reads cost one receive.
pub(super) const STRAIGHT_BYTES: usize = 16 * 1024;

impl ByteReadChannel {
    /// Reads what has arrived into `slice`, waiting for at least one byte. Returns `0` at the end, and for
    /// an empty slice.
    ///
    /// A slice of 16 KiB or more is received into directly while nothing is buffered.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: bytes reach the slice only in the poll that returns them.
    #[doc(alias = "readAvailable")]
    pub async fn read(&mut self, slice: &mut [u8]) -> Result<usize> {
        poll_fn(|cx| self.poll_available(cx, slice)).await
    }

    /// Reads what has arrived as one value, waiting for at least one byte. Returns `None` at the end.
    ///
    /// Up to 32 KiB are copied. A larger chunk keeps the 64 KiB block it lies in, which returns to its pool
    /// when the last clone drops.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: bytes leave the channel only in the poll that returns them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from("abc");
    /// assert_eq!(input.read_chunk().await?.as_deref(), Some(&b"abc"[..]));
    /// assert_eq!(input.read_chunk().await?, None);
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn read_chunk(&mut self) -> Result<Option<Bytes>> {
        self.lent("read_chunk").await?;
        if self.buffer.is_empty() && !poll_fn(|cx| self.poll_more(cx, 1)).await? {
            return Ok(None);
        }
        Ok(Some(self.take_chunk()))
    }

    /// Reads exactly `count` bytes, up to 1 MiB. Large packets are not copied.
    ///
    /// # Errors
    ///
    /// - [`LimitExceeded`](ErrorKind::LimitExceeded) at once if `count` is larger than 1 MiB, or than the
    ///   `packet_limit` of the selector.
    /// - [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if the input ends first; the bytes before the end stay
    ///   readable.
    /// - The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: bytes are collected in the channel and leave it together.
    pub async fn read_packet(&mut self, count: usize) -> Result<Packet> {
        if count == 0 || count > self.limits().packet {
            self.answer().await;
        }
        self.check_packet("read_packet", count)?;
        self.need("read_packet", count).await?;
        Ok(Packet::from(self.take_bytes(count)))
    }

    /// Reads everything up to the end, which must come within `limit` bytes.
    ///
    /// # Errors
    ///
    /// - [`LimitExceeded`](ErrorKind::LimitExceeded) if there is more; all of it stays readable.
    /// - The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: bytes are collected in the channel and leave it together.
    pub async fn read_remaining(&mut self, limit: usize) -> Result<Packet> {
        self.lent("read_remaining").await?;
        while self.buffer.len() <= limit {
            // One byte more than the limit tells whether there is more.
            let most = limit.saturating_add(1);
            if !poll_fn(|cx| self.poll_more(cx, most)).await? {
                return Ok(Packet::from(self.take_chunk()));
            }
        }
        self.answer().await;
        let kind = ErrorKind::LimitExceeded { limit: limit as u64 };
        Err(self.error(kind, "read_remaining").with_detail(format!(
            "more than {limit} bytes came before the end; its argument sets this limit"
        )))
    }

    /// Discards up to `count` bytes and returns their number, which is smaller than `count` only at the
    /// end.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Resumes: what was discarded stays discarded, but a dropped call does not return how much it was.
    pub async fn discard(&mut self, count: u64) -> Result<u64> {
        self.discard_up_to("discard", count).await
    }

    pub(super) async fn discard_up_to(
        &mut self,
        operation: &'static str,
        count: u64,
    ) -> Result<u64> {
        self.lent(operation).await?;
        let mut left = count;
        if left == 0 {
            self.answer().await;
        }
        while left > 0 {
            if self.buffer.is_empty() && !poll_fn(|cx| self.poll_more(cx, 1)).await? {
                break;
            }
            let here =
                usize::try_from(left).map_or(self.buffer.len(), |n| n.min(self.buffer.len()));
            self.discard_buffered(here);
            left -= here as u64;
        }
        Ok(count - left)
    }

    /// Polls [`read`](Self::read). It keeps nothing between two polls, so each may bring another slice.
    pub(crate) fn poll_available(
        &mut self,
        cx: &mut Context<'_>,
        slice: &mut [u8],
    ) -> Poll<Result<usize>> {
        ready!(self.poll_lent(cx, "read"))?;
        if slice.is_empty() {
            ready!(self.buffer.front.answers.poll_one(cx));
            return Poll::Ready(Ok(0));
        }
        if self.buffer.is_empty() {
            if slice.len() >= STRAIGHT_BYTES {
                return self.poll_slice(cx, slice);
            }
            if !ready!(self.poll_more(cx, 1))? {
                return Poll::Ready(Ok(0));
            }
        }
        Poll::Ready(Ok(self.copy_buffered(slice)))
    }

    /// Receives directly into the caller's memory. Nothing may be buffered.
    pub(super) fn poll_slice(
        &mut self,
        cx: &mut Context<'_>,
        slice: &mut [u8],
    ) -> Poll<Result<usize>> {
        if self.buffer.front.behind_cr {
            // The first byte may have to be discarded.
            let has_more = ready!(self.poll_more(cx, 1))?;
            return Poll::Ready(Ok(if has_more { self.copy_buffered(slice) } else { 0 }));
        }
        if ready!(self.poll_over(cx))? {
            return Poll::Ready(Ok(0));
        }
        // Bytes are received into the caller's memory, so a block would only be held idle while the task
        // waits.
        self.trim();
        let mut inlet = Inlet::slice(slice);
        let filled = self.source.poll_fill(cx, &mut inlet);
        let count = inlet.filled();
        self.record_answer(&filled);
        self.buffer.passed_by(count);
        filled.map_ok(|_| count)
    }

    /// Copies buffered bytes into the slice, as many as fit.
    pub(super) fn copy_buffered(&mut self, slice: &mut [u8]) -> usize {
        let count = slice.len().min(self.buffer.len());
        slice[..count].copy_from_slice(self.buffer.take(count));
        self.buffer.end_call();
        count
    }

    pub(super) fn discard_buffered(&mut self, count: usize) {
        self.buffer.consume(count);
        self.buffer.end_call();
    }

    /// Takes everything that is buffered, as one value.
    pub(super) fn take_chunk(&mut self) -> Bytes {
        self.take_bytes(self.buffer.len())
    }

    /// Takes `count` of the buffered bytes, as one value.
    pub(super) fn take_bytes(&mut self, count: usize) -> Bytes {
        let bytes = self.buffer.freeze(count);
        self.buffer.end_call();
        bytes
    }
}
