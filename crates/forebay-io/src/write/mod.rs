//! The writing half of a connection or pipe.

mod format;
mod numbers;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

pub use self::format::{Staged, Staging};
use crate::block::BlockPart;
use crate::item::Item;
use crate::outbox::{Outbox, Piece, Until, WriterPace};
use crate::seam::unwinding;
use crate::{Error, ErrorKind, Packet, Result};

/// The largest slice that is accepted in one step: 1 MiB.
pub(crate) const ITEM_BYTES_MAX: usize = 1024 * 1024;

/// A channel to write bytes to: text, numbers, packets.
///
/// A write waits for room (fewer than 64 KiB queued) and then takes its whole item in one step.
/// What a task writes during one turn of its worker leaves in one system call at the end of that
/// turn, without waiting; an error of that sending surfaces on the next call. Where there is no
/// worker the write itself sends. [`flush`](Self::flush) waits until the kernel has everything.
///
/// There is one writer per channel, by `&mut`. Dropping it is [`finish`](Self::finish) in the
/// background, except while its task unwinds from a panic, or with an item half accepted: then the
/// connection is reset, because half a message must not look like a whole one.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (mut input, mut output) = forebay_io::pipe(4096);
/// output.write_str("Hello, ").await?;
/// forebay_io::write_line!(output, "{}!", "Ada").await?;
/// output.write_u32(42).await?;
/// output.finish().await?;
///
/// assert_eq!(input.read_line().await?.as_deref(), Some("Hello, Ada!"));
/// assert_eq!(input.read_u32().await?, 42);
/// assert!(input.read_u8().await.is_err_and(|error| error.is_end()));
/// # forebay_io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "openWriteChannel")]
pub struct ByteWriteChannel {
    outbox: Arc<Outbox>,
    auto_flush: bool,
    on_drop: OnDrop,
    pace: WriterPace,
    /// The socket this half belongs to, as one of its handles.
    _keep: Option<Arc<dyn Any + Send + Sync>>,
}

/// What dropping the channel means. An item that is half accepted resets the connection, and so does
/// a task that unwinds, unless the channel is only lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnDrop {
    /// The end mark follows what is queued, or a reset where the outbox says so.
    Finish,
    /// The owner that lent the channel decides.
    Leave,
}

impl ByteWriteChannel {
    /// A channel that writes into this outbox and keeps `keep` alive.
    #[doc(hidden)]
    pub fn new(outbox: Arc<Outbox>, keep: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        Self {
            outbox,
            auto_flush: true,
            on_drop: OnDrop::Finish,
            pace: WriterPace::default(),
            _keep: keep,
        }
    }

    /// A channel that is lent: dropping it neither finishes nor aborts, its owner does.
    #[doc(hidden)]
    pub fn lent(outbox: Arc<Outbox>) -> Self {
        let mut channel = Self::new(outbox, None);
        channel.on_drop = OnDrop::Leave;
        channel
    }

    /// What this channel writes into.
    #[doc(hidden)]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// From now on this channel writes into another outbox, whose drain may write into the one it
    /// had.
    #[doc(hidden)]
    pub fn replace_outbox(&mut self, outbox: Arc<Outbox>) {
        self.outbox.hand_over_to(&outbox);
        self.pace.counted = outbox.accepted();
        self.outbox = outbox;
    }

    /// Turns sending at the end of each turn off: from now on only [`flush`](Self::flush),
    /// [`finish`](Self::finish), dropping and a full queue send.
    #[doc(alias = "autoFlush")]
    pub fn manual_flush(&mut self) {
        self.auto_flush = false;
    }

    /// Resets the connection, instead of ending it with the end mark, unless
    /// [`finish`](Self::finish) is called first: for a message that must be whole or not be at all,
    /// whichever way its task is left (by `?`, cancelled, at a time limit).
    ///
    /// This holds for every way to end that is not `finish`: dropping the channel, closing the socket
    /// or its selector, dropping the last handle, a limit on silence. A socket's `close` then returns
    /// the error with which the connection was reset.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (mut input, mut output) = forebay_io::pipe(4096);
    /// output.abort_on_drop();
    /// output.write_str("half a mess").await?;
    /// drop(output);
    /// assert!(input.read_line().await.is_err_and(|error| error.is_closed()));
    /// # forebay_io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn abort_on_drop(&mut self) {
        self.outbox.require_finish();
    }

    /// Writes text.
    ///
    /// # Errors
    ///
    /// - [`Closed`](ErrorKind::Closed) after `finish` or `close`.
    /// - [`Incomplete`](ErrorKind::Incomplete) after a huge write was dropped half-way.
    /// - What the connection met: [`Reset`](ErrorKind::Reset), …
    ///
    /// # Cancel safety
    ///
    /// Lossless up to 1 MiB: dropped before it returned, it has written nothing. Longer text is
    /// accepted in pieces; dropped half-way, it poisons the channel: later writes and `finish` say
    /// [`Incomplete`](ErrorKind::Incomplete), and dropping the channel resets the connection.
    #[doc(alias = "writeStringUtf8")]
    pub async fn write_str(&mut self, text: &str) -> Result<()> {
        self.write_all(text.as_bytes()).await
    }

    /// Writes several pieces of text behind each other as one item: no formatting, no allocation.
    ///
    /// # Errors
    ///
    /// As [`write_str`](Self::write_str), and [`LimitExceeded`](ErrorKind::LimitExceeded) when the
    /// pieces are over 1 MiB together.
    ///
    /// # Cancel safety
    ///
    /// Lossless: dropped before it returned, it has written nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # let (mut input, mut output) = forebay_io::pipe(4096);
    /// output.write_strs(&["Hello, ", "Ada", "!\n"]).await?;
    /// # assert_eq!(input.read_line().await?.as_deref(), Some("Hello, Ada!"));
    /// # forebay_io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn write_strs(&mut self, pieces: &[&str]) -> Result<()> {
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        Self::check_item(bytes)?;
        if bytes == 0 {
            return Box::pin(self.answer()).await;
        }
        self.write_item(pieces).await
    }

    /// Writes all of a slice.
    ///
    /// # Errors
    ///
    /// As [`write_str`](Self::write_str).
    ///
    /// # Cancel safety
    ///
    /// As [`write_str`](Self::write_str): lossless up to 1 MiB.
    #[doc(alias = "writeFully")]
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > ITEM_BYTES_MAX {
            // Boxed, because it is rare: the usual write's future has no room for it.
            return Box::pin(self.write_pieces(bytes)).await;
        }
        if bytes.is_empty() {
            return Box::pin(self.answer()).await;
        }
        self.write_item(bytes).await
    }

    /// Writes a value of any size as one item. From 32 KiB on it is queued without a copy.
    ///
    /// # Errors
    ///
    /// As [`write_str`](Self::write_str); the value is dropped.
    ///
    /// # Cancel safety
    ///
    /// Lossless: dropped before it returned, it has written nothing.
    pub async fn write_bytes(&mut self, mut bytes: Bytes) -> Result<()> {
        self.room().await?;
        if bytes.is_empty() {
            return Box::pin(self.answer()).await;
        }
        while !self.accept_bytes(&mut bytes).unwrap_or(false) {
            self.wait_for_room().await?;
        }
        Ok(())
    }

    /// Writes a packet's bytes that are not read yet, as [`write_bytes`](Self::write_bytes) does.
    ///
    /// # Errors
    ///
    /// As [`write_bytes`](Self::write_bytes).
    ///
    /// # Cancel safety
    ///
    /// Lossless: dropped before it returned, it has written nothing.
    pub async fn write_packet(&mut self, packet: Packet) -> Result<()> {
        self.write_bytes(packet.into_bytes()).await
    }

    /// Waits until the kernel (or the pipe) has accepted everything written before this call.
    ///
    /// # Errors
    ///
    /// What the connection met.
    ///
    /// # Cancel safety
    ///
    /// Resumes: what is sent stays sent, and sending goes on.
    pub async fn flush(&mut self) -> Result<()> {
        self.outbox.check_whole("flush")?;
        self.pace.share.spend(0);
        poll_fn(|cx| self.pace.share.poll_room(cx, 0)).await;
        self.outbox.flush().await
    }

    /// Flushes and sends the end mark; reading goes on. Idempotent.
    ///
    /// Not every server answers a client that has finished: of HTTP servers hyper, Node, uvicorn, aiohttp
    /// and nginx as a proxy do not, and neither do TLS servers of Node (without `allowHalfOpen`), of JSSE
    /// over TLS 1.2, and of Ktor; redis may cut what is still to come. Finish when the answers have been
    /// read, unless the protocol has it otherwise. `docs/foreign-peers.md` in the repository has versions.
    ///
    /// # Errors
    ///
    /// What the connection met.
    ///
    /// # Cancel safety
    ///
    /// Resumes: from the first poll on the channel is finishing, and goes on to do so.
    #[doc(alias = "flushAndClose")]
    pub async fn finish(&mut self) -> Result<()> {
        self.outbox.check_whole("finish")?;
        poll_fn(|cx| self.pace.answers.poll_one(cx)).await;
        self.outbox.finish_by_writer();
        self.outbox.wait(Until::Finished).await
    }

    /// Gives up with a cause: what is queued is dropped and the connection reset. The reader of a
    /// pipe sees the cause; so does every later call here.
    #[doc(alias = "cancel")]
    #[doc(alias = "close(cause)")]
    #[allow(clippy::needless_pass_by_value, reason = "the cause becomes the channel's own")]
    pub fn abort_with(&mut self, cause: Error) {
        self.outbox.abort(&cause);
    }

    /// Bytes written and not yet accepted by the kernel.
    pub fn queued(&self) -> usize {
        self.outbox.queued()
    }

    /// True after `finish`, `abort_with`, the socket's `close`, or an error.
    #[doc(alias = "isClosedForWrite")]
    pub fn is_closed_for_write(&self) -> bool {
        !self.outbox.is_open()
    }

    /// Waits until the queue is below its mark, sending what waits if it is not.
    pub(crate) async fn room(&mut self) -> Result<()> {
        if self.outbox.has_room() {
            return Ok(());
        }
        self.wait_for_room().await
    }

    /// True when nothing stands in the way of an item.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.outbox.has_room()
    }

    /// Waits after an item was refused. The unlocked look of `has_room` does not see what another
    /// thread has staged, so this asks under the lock: a loop that trusted it would spin.
    ///
    /// Gives way to the next turn first when this one's share does not hold another full queue, or
    /// the refusal was given a few times already: a writer to a fast reader, or one that ignores its
    /// errors, would never wait otherwise.
    pub(crate) fn wait_for_room(&mut self) -> impl Future<Output = Result<()>> + Send + '_ {
        self.outbox.wait_for_room(Until::Room, &mut self.pace)
    }

    /// Accepts a value for which there was room, taking it; false if there is none any more.
    pub(crate) fn accept_bytes(&mut self, bytes: &mut Bytes) -> Result<bool> {
        self.outbox.accept_bytes(self.auto_flush, bytes)
    }

    /// Accepts a block for which there was room, taking it; false if there is none any more.
    pub(crate) fn accept_block(&mut self, part: &mut Option<BlockPart>) -> Result<bool> {
        self.outbox.accept_block(self.auto_flush, part)
    }

    /// Accepts an item for which there was room; false if there is none any more.
    #[inline]
    pub(crate) fn accept(&mut self, item: impl Item) -> Result<bool> {
        self.outbox.accept(self.auto_flush, item)
    }

    /// Waits for room and accepts one item in one step. In the common case there is room, and one
    /// lock does it.
    #[inline]
    async fn write_item(&mut self, item: impl Item) -> Result<()> {
        // As `put_item` does, which would lie in this future with copies of its own of both.
        while !self.outbox.try_accept(self.auto_flush, item).unwrap_or(false) {
            self.wait_for_room().await?;
        }
        Ok(())
    }

    /// Accepts nothing, at once, and gives way when that was the answer a few times in a row.
    async fn answer(&mut self) -> Result<()> {
        if !self.outbox.has_room() {
            return self.wait_for_room().await;
        }
        poll_fn(|cx| self.pace.answers.poll_one(cx)).await;
        Ok(())
    }

    /// Waits for room and accepts one item. A refusal is left to the wait, which gives it, and gives
    /// way where it is given again and again.
    pub(crate) async fn put_item(&mut self, item: impl Item) -> Result<()> {
        while !self.outbox.try_accept(self.auto_flush, item).unwrap_or(false) {
            self.wait_for_room().await?;
        }
        Ok(())
    }

    /// Accepts a slice above the item limit in pieces. While some are missing the outbox is not
    /// whole, so that whatever ends the connection meanwhile resets it.
    async fn write_pieces(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut before, of) = (0, bytes.len());
        for bytes in bytes.chunks(ITEM_BYTES_MAX) {
            // The first piece is refused like any item, those behind it wait as pieces.
            let until = if before == 0 { Until::Room } else { Until::RoomForPiece };
            let piece = Piece { bytes, before, of };
            while !self.outbox.try_accept_piece(self.auto_flush, piece).unwrap_or(false) {
                self.outbox.wait_for_room(until, &mut self.pace).await?;
            }
            before += bytes.len();
        }
        Ok(())
    }

    #[inline]
    fn check_item(bytes: usize) -> Result<()> {
        if bytes <= ITEM_BYTES_MAX {
            return Ok(());
        }
        let kind = ErrorKind::LimitExceeded { limit: ITEM_BYTES_MAX as u64 };
        Err(Error::new(kind, "write").with_detail(format!("one item of {bytes} bytes")))
    }
}

impl Drop for ByteWriteChannel {
    fn drop(&mut self) {
        if let Err(incomplete) = self.outbox.check_whole("drop") {
            self.outbox.abort(&incomplete);
        } else if self.on_drop == OnDrop::Leave {
            // The owner decides.
        } else if unwinding() {
            let cause = Error::new(ErrorKind::Panicked, "write");
            self.outbox.abort(&cause.with_detail("the writing task panicked"));
        } else {
            self.outbox.finish_unattended();
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
