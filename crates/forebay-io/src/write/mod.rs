//! The writing half of a connection or pipe.

mod file;
mod format;
mod formatted;
mod frames;
mod gauge;
mod in_turn;
mod item;
mod limits;
mod numbers;
#[cfg(any(feature = "futures-io", feature = "futures-sink", feature = "tokio-io"))]
mod polled;
mod share;
#[cfg(feature = "futures-sink")]
mod sink;
#[cfg(any(feature = "futures-io", feature = "tokio-io"))]
mod slices;
#[cfg(test)]
mod tests;
mod tickets;
mod tries;
#[cfg(any(feature = "futures-io", feature = "futures-sink", feature = "tokio-io"))]
mod wait;
mod whole;

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

pub use self::format::{ComposeResult, ItemBuffer};
pub use self::formatted::FormattedItem;
use self::item::Write;
pub use self::limits::WriteLimits;
pub use self::share::SharedWriteChannel;
use crate::block::BlockPart;
use crate::item::{Item, Pieces};
use crate::outbox::{Outbox, Until, WriterPace};
use crate::seam::unwinding;
use crate::{Error, ErrorKind, Packet, Result};

/// The largest slice that is accepted in one step: 1 MiB.
pub(crate) const ITEM_BYTES_MAX: usize = 1024 * 1024;

/// A channel to write bytes to: text, numbers, packets.
///
/// A write waits for room (fewer than 64 KiB queued) and then accepts its whole item in one step. What a
/// task writes during one turn of its worker is sent in one system call at the end of that turn, without
/// waiting; an error of sending is returned by the next call. Without a worker the write itself sends.
/// [`flush`](Self::flush) waits until the kernel has accepted everything.
///
/// There is one writer per channel, by `&mut`. Dropping it is a [`finish`](Self::finish) in the background.
/// If its task is unwinding from a panic, or an item is accepted only in part, the connection is reset
/// instead, because half a message must not look like a whole one.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// let (mut input, mut output) = forebay::pipe(4096);
/// output.write_str("Hello, ").await?;
/// forebay::write_line!(output, "{}!", "Ada").await?;
/// output.write_u32(42).await?;
/// output.finish().await?;
///
/// assert_eq!(input.read_line().await?.as_deref(), Some("Hello, Ada!"));
/// assert_eq!(input.read_u32().await?, 42);
/// assert!(input.read_u8().await.is_err_and(|error| error.is_end()));
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "openWriteChannel")]
pub struct ByteWriteChannel {
    outbox: Arc<Outbox>,
    auto_flush: bool,
    on_drop: OnDrop,
    pace: WriterPace,
    /// The largest slice that is accepted in one step.
    item_max: usize,
    /// The bytes accepted by outboxes that were replaced.
    counted_before: u64,
    /// The wait of a polled call, kept until the call is repeated.
    #[cfg(any(feature = "futures-io", feature = "futures-sink", feature = "tokio-io"))]
    wait: Option<self::wait::PolledWait>,
    /// A handle of the socket that this half belongs to.
    _keep: Option<Arc<dyn Any + Send + Sync>>,
}

/// The effect of dropping the channel. Besides, an item that is accepted only in part resets the
/// connection, and so does a task that unwinds, unless the channel is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnDrop {
    /// The queue is sent and the end mark after it, or the outbox resets because something is missing.
    Finish,
    /// The owner that lent the channel decides.
    Leave,
}

impl ByteWriteChannel {
    /// Makes a channel that writes into this outbox and keeps `keep` alive.
    #[doc(hidden)]
    pub fn new(outbox: Arc<Outbox>, keep: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        Self {
            outbox,
            auto_flush: true,
            on_drop: OnDrop::Finish,
            pace: WriterPace::default(),
            item_max: ITEM_BYTES_MAX,
            counted_before: 0,
            #[cfg(any(feature = "futures-io", feature = "futures-sink", feature = "tokio-io"))]
            wait: None,
            _keep: keep,
        }
    }

    /// Makes a lent channel: dropping it neither finishes nor aborts, which is left to its owner.
    #[doc(hidden)]
    pub fn lent(outbox: Arc<Outbox>) -> Self {
        let mut channel = Self::new(outbox, None);
        channel.on_drop = OnDrop::Leave;
        channel
    }

    /// Returns the outbox that this channel writes into.
    #[doc(hidden)]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Makes this channel write into another outbox, whose drain may write into the previous one.
    #[doc(hidden)]
    pub fn replace_outbox(&mut self, outbox: Arc<Outbox>) {
        self.outbox.hand_over_to(&outbox);
        outbox.set_high_water(self.outbox.high_water());
        self.counted_before = self.counted().saturating_sub(outbox.accepted());
        self.pace.counted = outbox.accepted();
        // A wait in the previous outbox says nothing about this one.
        #[cfg(any(feature = "futures-io", feature = "futures-sink", feature = "tokio-io"))]
        drop(self.wait.take());
        self.outbox = outbox;
    }

    /// Turns off sending at the end of each turn: from now on only [`flush`](Self::flush),
    /// [`finish`](Self::finish), dropping the channel and a full queue send.
    #[doc(alias = "autoFlush")]
    pub fn manual_flush(&mut self) {
        self.auto_flush = false;
    }

    /// Makes every end but [`finish`](Self::finish) reset the connection instead of sending the end mark.
    /// Use it for a message that must arrive whole or not at all, however its task is left (by `?`,
    /// cancelled, at a time limit).
    ///
    /// The other ends are: dropping the channel, closing the socket or its selector, dropping the last
    /// handle, a limit on silence. A socket's `close` then returns the error with which the connection was
    /// reset.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let (mut input, mut output) = forebay::pipe(4096);
    /// output.abort_on_drop();
    /// output.write_str("half a mess").await?;
    /// drop(output);
    /// assert!(input.read_line().await.is_err_and(|error| error.is_closed()));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub fn abort_on_drop(&mut self) {
        self.outbox.require_finish();
    }

    /// Writes text.
    ///
    /// # Errors
    ///
    /// - [`Closed`](ErrorKind::Closed) after `finish` or `close`.
    /// - [`Incomplete`](ErrorKind::Incomplete) after a write above 1 MiB was dropped before it was
    ///   complete.
    /// - The connection's error: [`Reset`](ErrorKind::Reset), …
    ///
    /// # Cancel safety
    ///
    /// Lossless up to 1 MiB: a call that is dropped before it returned has written nothing. Longer text is
    /// accepted in pieces; dropping that call poisons the channel: later writes and `finish` return
    /// [`Incomplete`](ErrorKind::Incomplete), and dropping the channel resets the connection.
    #[doc(alias = "writeStringUtf8")]
    #[inline]
    pub fn write_str<'a>(
        &'a mut self,
        text: &'a str,
    ) -> impl Future<Output = Result<()>> + Send + use<'a> {
        Write::new(self, text.as_bytes())
    }

    /// Writes several pieces of text as one item, without formatting or allocation.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str), and [`LimitExceeded`](ErrorKind::LimitExceeded) if the
    /// pieces are larger than 1 MiB together.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// # let (mut input, mut output) = forebay::pipe(4096);
    /// output.write_strs(&["Hello, ", "Ada", "!\n"]).await?;
    /// # assert_eq!(input.read_line().await?.as_deref(), Some("Hello, Ada!"));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn write_strs<'a>(
        &'a mut self,
        pieces: &'a [&'a str],
    ) -> impl Future<Output = Result<()>> + Send + use<'a> {
        Write::new(self, Pieces::new(pieces))
    }

    /// Writes a whole slice.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    ///
    /// # Cancel safety
    ///
    /// As for [`write_str`](Self::write_str): lossless up to 1 MiB.
    #[doc(alias = "writeFully")]
    #[inline]
    pub fn write_all<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Future<Output = Result<()>> + Send + use<'a> {
        Write::new(self, bytes)
    }

    /// Writes a value of any size as one item. From 32 KiB on it is queued without a copy; from 4 KiB on it is
    /// copied only if the peer does not take it at once.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str); the value is dropped.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    pub async fn write_bytes(&mut self, mut bytes: Bytes) -> Result<()> {
        self.room().await?;
        if bytes.is_empty() {
            return Box::pin(self.answer()).await;
        }
        while !self.outbox.accept_bytes(self.auto_flush, &mut bytes).unwrap_or(false) {
            self.wait_for_room().await?;
        }
        Ok(())
    }

    /// Writes the bytes of a packet that have not been read, as [`write_bytes`](Self::write_bytes) does.
    ///
    /// # Errors
    ///
    /// Those of [`write_bytes`](Self::write_bytes).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    pub async fn write_packet(&mut self, packet: Packet) -> Result<()> {
        self.write_bytes(packet.into_bytes()).await
    }

    /// Waits until the kernel (or the pipe) has accepted everything written before this call.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Resumes: what has been sent stays sent, and sending goes on.
    pub async fn flush(&mut self) -> Result<()> {
        self.outbox.check_whole("flush")?;
        self.pace.share.spend(0);
        poll_fn(|cx| self.pace.share.poll_room(cx, 0)).await;
        self.outbox.flush().await
    }

    /// Returns `true` if this channel writes into this outbox.
    #[doc(hidden)]
    pub fn writes_into(&self, outbox: &Arc<Outbox>) -> bool {
        Arc::ptr_eq(&self.outbox, outbox)
    }

    /// Accepts bytes without waiting, behind those that a layer has sent by itself. `false` if there is no room for
    /// them.
    ///
    /// # Errors
    ///
    /// The reason why nothing is accepted any more.
    #[doc(hidden)]
    pub fn accept_behind(&mut self, bytes: &[u8]) -> Result<bool> {
        if bytes.is_empty() {
            return Ok(true);
        }
        self.outbox.accept(self.auto_flush, bytes)
    }

    /// Sends everything written and then the end mark; reading goes on. Idempotent.
    ///
    /// Not every server answers a client that has finished. Of HTTP servers, hyper, Node, uvicorn, aiohttp
    /// and nginx as a proxy do not; nor do the TLS servers of Node (without `allowHalfOpen`), of JSSE over
    /// TLS 1.2, and of Ktor; redis may cut off what it has not sent yet. Finish after the answers have been
    /// read, unless the protocol says otherwise. `docs/foreign-peers.md` in the repository lists versions.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Resumes: from the first poll on the channel is finishing, and continues to.
    #[doc(alias = "flushAndClose")]
    pub async fn finish(&mut self) -> Result<()> {
        self.outbox.check_whole("finish")?;
        poll_fn(|cx| self.pace.answers.poll_one(cx)).await;
        self.outbox.finish_by_writer();
        self.outbox.wait(Until::Finished).await
    }

    /// Aborts with a cause: drops what is queued and resets the connection. The reader of a pipe gets the
    /// cause, and so does every later call on this channel.
    #[doc(alias = "cancel")]
    #[doc(alias = "close(cause)")]
    #[allow(clippy::needless_pass_by_value, reason = "the cause becomes the channel's own")]
    pub fn abort_with(&mut self, cause: Error) {
        self.outbox.abort(&cause);
    }

    /// Waits until the queue is below its mark, sending it first if it is not.
    pub(crate) async fn room(&mut self) -> Result<()> {
        if self.outbox.has_room() {
            return Ok(());
        }
        self.wait_for_room().await
    }

    /// Waits for room after an item was refused. This checks under the lock, because `has_room` does not
    /// see what another thread has staged: a loop that relied on it would spin.
    ///
    /// Gives way to the next turn first if this turn's share cannot hold another full queue, or if the
    /// refusal has been returned a few times already. Otherwise a writer to a fast reader, or one that
    /// ignores its errors, would never wait.
    pub(crate) fn wait_for_room(&mut self) -> impl Future<Output = Result<()>> + Send + '_ {
        self.outbox.wait_for_room(Until::Room, &mut self.pace)
    }

    /// Accepts a block for which there was room, taking it. Returns `false` if there is no room any more.
    pub(crate) fn accept_block(&mut self, part: &mut Option<BlockPart>) -> Result<bool> {
        self.outbox.accept_block(self.auto_flush, part)
    }

    /// Returns `true` if a copy may hand over segments of the kernel, which are sent at once.
    pub(crate) fn passes_segments(&self) -> bool {
        self.auto_flush && self.outbox.sends_segments()
    }

    /// Accepts an item of ordinary size, if there is room. An error is left to the wait, which finds it again.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be a tenth of a small write")]
    fn accept_usual(&mut self, item: impl Item) -> bool {
        (1..=self.item_max).contains(&item.len())
            && self.outbox.accept_in_burst(self.auto_flush, item).unwrap_or(false)
    }

    /// Accepts an item for which there was room. Returns `false` if there is no room any more.
    #[inline]
    pub(crate) fn accept(&mut self, item: impl Item) -> Result<bool> {
        self.outbox.accept(self.auto_flush, item)
    }
}

impl Drop for ByteWriteChannel {
    fn drop(&mut self) {
        if let Err(incomplete) = self.outbox.check_whole("drop") {
            self.outbox.abort(&incomplete);
        } else if self.on_drop == OnDrop::Leave {
            // Its owner finishes or aborts it.
        } else if unwinding() {
            let cause = Error::new(ErrorKind::Panicked, "write");
            self.outbox.abort(&self.outbox.named(cause.with_detail("the writing task panicked")));
        } else {
            self.outbox.finish_in_background();
        }
    }
}

impl fmt::Debug for ByteWriteChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteWriteChannel")
            .field("outbox", &self.outbox)
            .field("auto_flush", &self.auto_flush)
            .finish_non_exhaustive()
    }
}
