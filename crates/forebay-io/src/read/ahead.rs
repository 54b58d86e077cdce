//! Looking at bytes before they are read.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::ByteReadChannel;
use crate::Result;

impl ByteReadChannel {
    /// Waits until `count` bytes have arrived, and lends them; they stay in the channel. Returns `None` if the input
    /// ends first: then [`buffered`](Self::buffered) says how many are left.
    ///
    /// # Errors
    ///
    /// - [`LimitExceeded`](crate::ErrorKind::LimitExceeded) at once if `count` is larger than 1 MiB, or than the
    ///   `packet_limit` of the selector.
    /// - The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: bytes are collected in the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from("PROXY TCP4 ..");
    /// assert_eq!(input.peek(5).await?, Some(&b"PROXY"[..]));
    /// assert_eq!(input.buffered(), 13);
    /// assert_eq!(input.peek(14).await?, None);
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn peek(&mut self, count: usize) -> Result<Option<&[u8]>> {
        if !self.look_ahead("peek", count).await? {
            return Ok(None);
        }
        // Moved before it is lent: afterwards it cannot be moved, and the task may keep it for long.
        self.buffer.trim_block();
        Ok(Some(&self.buffer.readable()[..count]))
    }

    /// Waits until `least` bytes have arrived and are not read yet. Returns `false` if the input ends first.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](Self::peek).
    ///
    /// # Cancel safety
    ///
    /// Lossless: bytes are collected in the channel.
    #[doc(alias = "awaitContent")]
    pub async fn await_content(&mut self, least: usize) -> Result<bool> {
        self.look_ahead("await_content", least).await
    }

    /// Waits until there is a byte to read, or the input has ended. Returns `true` at the end.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: nothing is read.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from(&[1, 2][..]);
    /// let mut sum = 0;
    /// while !input.exhausted().await? {
    ///     sum += input.read_u8().await?;
    /// }
    /// assert_eq!(sum, 3);
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn exhausted(&mut self) -> Result<bool> {
        Ok(!self.look_ahead("exhausted", 1).await?)
    }

    /// Discards these bytes if they come next, and returns `true`. Otherwise, and if the input ends first, everything
    /// stays in the channel, and the answer comes as soon as one byte differs.
    ///
    /// # Errors
    ///
    /// - [`LimitExceeded`](crate::ErrorKind::LimitExceeded) at once for more than 1 MiB, or than the `packet_limit` of
    ///   the selector.
    /// - The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: the bytes leave the channel together.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from("HTTP/1.1 200 OK\n");
    /// assert!(!input.skip_if_found(b"SSH-").await?);
    /// assert!(input.skip_if_found(b"HTTP/1.").await?);
    /// assert_eq!(input.read_line().await?.as_deref(), Some("1 200 OK"));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "skipIfFound")]
    #[doc(alias = "skipDelimiter")]
    pub async fn skip_if_found(&mut self, bytes: &[u8]) -> Result<bool> {
        if bytes.is_empty() || bytes.len() > self.limits().packet {
            self.answer().await;
        }
        self.check_packet("skip_if_found", bytes.len())?;
        self.lent("skip_if_found").await?;
        let mut same = 0;
        let is_found = poll_fn(|cx| self.poll_found(cx, bytes, &mut same)).await?;
        if is_found {
            self.discard_buffered(bytes.len());
        }
        Ok(is_found)
    }

    /// Waits until these bytes are buffered, or something else. The first `same` of them are known to be there.
    fn poll_found(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        same: &mut usize,
    ) -> Poll<Result<bool>> {
        loop {
            let readable = self.buffer.readable();
            let both = readable.len().min(bytes.len());
            if readable[*same..both] != bytes[*same..both] {
                ready!(self.buffer.front.answers.poll_one(cx));
                return Poll::Ready(Ok(false));
            }
            *same = both;
            if both == bytes.len() {
                return Poll::Ready(Ok(true));
            }
            if !ready!(self.poll_more(cx, bytes.len()))? {
                return Poll::Ready(Ok(false));
            }
        }
    }

    /// Waits until `count` bytes are buffered. Nothing is consumed, so a loop that only looks gives way to other tasks.
    async fn look_ahead(&mut self, operation: &'static str, count: usize) -> Result<bool> {
        if count <= self.buffer.len() || count > self.limits().packet {
            self.answer().await;
        }
        self.check_packet(operation, count)?;
        self.lent(operation).await?;
        Ok(poll_fn(|cx| self.poll_buffered(cx, count)).await? >= count)
    }
}
