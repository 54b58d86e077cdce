//! One connection, written to by many tasks.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

use super::format::sealed::Sealed;
use super::item::Write;
use super::tickets::Tickets;
use super::{ByteWriteChannel, ComposeResult, ItemBuffer};
use crate::item::Pieces;
use crate::outbox::{Outbox, Until, WriterPace};
use crate::seam::unwinding;
use crate::sync::Mutex;
use crate::turn::Share;
use crate::{Error, Packet, Result};

/// A handle of a writing channel that many tasks write to: made by [`share`](ByteWriteChannel::share), and
/// cloned for each task.
///
/// Each call writes one item, and the items of different calls are never interleaved. Everything that belongs
/// together must therefore be one call: [`write_strs`](Self::write_strs), [`write_with`](Self::write_with) and the
/// macros [`write_fmt!`](crate::write_fmt) and [`write_line!`](crate::write_line) compose one item of several
/// pieces. The items of one task keep their order.
///
/// Writers that wait for room get it in the order in which they began to wait. One whose task does not run for a
/// turn while there is room for it starts again at the end of that order.
///
/// # The end
///
/// | event | effect |
/// |---|---|
/// | a clone is dropped | none, as long as there are others |
/// | the last clone is dropped | the queue is sent and then the end mark, in the background |
/// | [`finish`](Self::finish) on any clone | the same at once: writes that wait, and all later ones, fail with [`Closed`](crate::ErrorKind::Closed) |
/// | [`abort_with`](Self::abort_with) on any clone | the queue is dropped and the connection reset: all waiting and later calls fail with the cause |
/// | a clone is dropped while its task panics | the others go on, and only `finish` ends in order from then on; the drop of the last clone resets |
///
/// # Bounds
///
/// The queue is bounded, but the tasks that wait for room in it are not, nor what they hold: a server that spawns
/// a task for each request it reads, and whose client sends requests without reading answers, soon holds all of
/// them. Limit the tasks: `TaskGroup::limit` makes the reading loop wait, and thereby the client.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// let (mut input, output) = forebay::pipe(4096);
/// let output = output.share();
/// let other = output.clone();
/// forebay::write_line!(output, "{} and {}", 1, 2).await?;
/// other.write_str("3\n").await?;
/// drop((output, other)); // the last one ends the stream
///
/// assert_eq!(input.read_line().await?.as_deref(), Some("1 and 2"));
/// assert_eq!(input.read_line().await?.as_deref(), Some("3"));
/// assert_eq!(input.read_line().await?, None);
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SharedWriteChannel(pub(super) Arc<SharedOutput>);

pub(super) struct SharedOutput {
    pub(super) outbox: Arc<Outbox>,
    pub(super) auto_flush: bool,
    pub(super) tickets: Tickets,
    /// Taken out while it is polled, because it wakes tasks.
    pub(super) pace: Mutex<WriterPace>,
    /// Ends the stream when it is dropped.
    pub(super) channel: ByteWriteChannel,
}

impl ByteWriteChannel {
    /// Makes this channel one that many tasks can write to.
    ///
    /// What was set before stays: [`manual_flush`](Self::manual_flush), [`abort_on_drop`](Self::abort_on_drop).
    #[must_use = "dropping the shared channel ends the stream"]
    pub fn share(self) -> SharedWriteChannel {
        // Each waiting writer counts what all of them have written, so only the bytes of a turn limit them.
        let mut pace = WriterPace { share: Share::of_calls(u16::MAX), ..WriterPace::default() };
        pace.counted = self.outbox.accepted();
        SharedWriteChannel(Arc::new(SharedOutput {
            outbox: Arc::clone(&self.outbox),
            auto_flush: self.auto_flush,
            tickets: Tickets::default(),
            pace: Mutex::new(pace),
            channel: self,
        }))
    }
}

impl SharedWriteChannel {
    /// Writes text of up to 1 MiB.
    ///
    /// # Errors
    ///
    /// - [`Closed`](crate::ErrorKind::Closed) after `finish` or `close`, on any clone.
    /// - [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if it is larger than 1 MiB: one item could not be
    ///   accepted in one step. [`write_bytes`](Self::write_bytes) takes any size.
    /// - The connection's error: [`Reset`](crate::ErrorKind::Reset), …
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    #[doc(alias = "writeStringUtf8")]
    #[inline]
    pub fn write_str<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Future<Output = Result<()>> + Send + use<'a> {
        Write::new(self, text.as_bytes())
    }

    /// Writes several pieces of text as one item of up to 1 MiB.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    #[inline]
    pub fn write_strs<'a>(
        &'a self,
        pieces: &'a [&'a str],
    ) -> impl Future<Output = Result<()>> + Send + use<'a> {
        Write::new(self, Pieces::new(pieces))
    }

    /// Writes a slice of up to 1 MiB.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    #[doc(alias = "writeFully")]
    #[inline]
    pub fn write_all<'a>(
        &'a self,
        bytes: &'a [u8],
    ) -> impl Future<Output = Result<()>> + Send + use<'a> {
        Write::new(self, bytes)
    }

    /// Writes a value of any size. From 32 KiB on it is queued without a copy; from 4 KiB on it is
    /// copied only if the peer does not take it at once.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str), but for the limit; the value is dropped.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    #[inline]
    pub fn write_bytes(&self, bytes: Bytes) -> impl Future<Output = Result<()>> + Send + use<'_> {
        Write::new(self, bytes)
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
    #[inline]
    pub fn write_packet(
        &self,
        packet: Packet,
    ) -> impl Future<Output = Result<()>> + Send + use<'_> {
        self.write_bytes(packet.into_bytes())
    }

    /// Waits for room, then runs `compose` once, outside every lock, and writes what it composed as one item, as
    /// [`ByteWriteChannel::write_with`] does.
    ///
    /// # Errors
    ///
    /// Those of [`ByteWriteChannel::write_with`].
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing. `compose` runs at most once.
    pub async fn write_with<T: ComposeResult>(
        &self,
        compose: impl FnOnce(&mut ItemBuffer) -> T,
    ) -> Result<()> {
        let ticket = self.ticket_if_full().await?;
        let item = ItemBuffer::composed(compose)?;
        self.0.channel.check_composed(&item)?;
        if self.accept_composed(ticket.as_ref(), &item) {
            return Ok(());
        }
        Box::pin(self.write_composed(ticket, item)).await
    }

    /// Writes text, unless the call would have to wait. Returns `false` if it would: nothing is written then.
    /// It would also wait behind other writers that wait.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    pub fn try_write_str(&self, text: &str) -> Result<bool> {
        self.try_write_all(text.as_bytes())
    }

    /// Writes a slice, unless the call would have to wait, as [`try_write_str`](Self::try_write_str) does.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    pub fn try_write_all(&self, bytes: &[u8]) -> Result<bool> {
        self.check_item(bytes.len())?;
        Ok(self.is_next() && self.0.outbox.try_accept(self.0.auto_flush, bytes)?)
    }

    /// Writes a value of any size, unless the call would have to wait, as
    /// [`try_write_str`](Self::try_write_str) does. The value is dropped if it is not written.
    ///
    /// # Errors
    ///
    /// Those of [`write_bytes`](Self::write_bytes).
    pub fn try_write_bytes(&self, bytes: Bytes) -> Result<bool> {
        Ok(self.is_next() && self.0.outbox.try_accept_bytes(self.0.auto_flush, bytes)?)
    }

    /// Waits until the kernel (or the pipe) has accepted everything that any clone has written before this call.
    /// Other writers are not held up meanwhile.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Resumes: what has been sent stays sent, and sending goes on.
    pub async fn flush(&self) -> Result<()> {
        self.0.outbox.check_whole("flush")?;
        poll_fn(|cx| {
            self.poll_pace(|pace| {
                pace.share.spend(0);
                pace.share.poll_room(cx, 0)
            })
        })
        .await;
        self.0.outbox.flush().await
    }

    /// Sends everything that any clone has written, and then the end mark. Writes of other clones that wait for
    /// room, and all later ones, fail with [`Closed`](crate::ErrorKind::Closed). Idempotent.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Resumes: from the first poll on the channel is finishing, and continues to.
    #[doc(alias = "flushAndClose")]
    pub async fn finish(&self) -> Result<()> {
        self.0.outbox.check_whole("finish")?;
        self.give_way().await;
        self.0.outbox.finish_by_writer();
        self.0.outbox.wait(Until::Finished).await
    }

    /// Aborts with a cause, as [`ByteWriteChannel::abort_with`] does, for all clones.
    #[doc(alias = "cancel")]
    #[allow(clippy::needless_pass_by_value, reason = "the cause becomes the channel's own")]
    pub fn abort_with(&self, cause: Error) {
        self.0.outbox.abort(&cause);
    }

    /// Returns the number of bytes written by all clones and not yet accepted by the kernel.
    pub fn queued(&self) -> usize {
        self.0.channel.queued()
    }

    /// Returns the number of bytes that can be written before a write waits for room, as
    /// [`ByteWriteChannel::free_space`] does.
    pub fn free_space(&self) -> usize {
        self.0.channel.free_space()
    }

    /// Returns the number of bytes written to the channel, by all clones and before it was shared, as
    /// [`ByteWriteChannel::counted`] does.
    pub fn counted(&self) -> u64 {
        self.0.channel.counted()
    }

    /// Returns `true` after `finish`, `abort_with`, the socket's `close`, or an error.
    #[doc(alias = "isClosedForWrite")]
    pub fn is_closed_for_write(&self) -> bool {
        self.0.channel.is_closed_for_write()
    }

    /// Returns the error that writes return, as [`ByteWriteChannel::closed_cause`] does.
    #[doc(alias = "closedCause")]
    pub fn closed_cause(&self) -> Option<Error> {
        self.0.channel.closed_cause()
    }

    /// Returns the channel itself, for the macros.
    #[doc(hidden)]
    #[inline]
    pub fn itself(&self) -> &Self {
        self
    }

    /// Adds the peer's address to an error that has none.
    pub(super) fn named(&self, error: Error) -> Error {
        self.0.outbox.named(error)
    }

    /// Fails if a formatter has failed.
    pub(super) fn check_formats(&self, failed: bool) -> Result<()> {
        self.0.channel.check_formats(failed)
    }

    pub(super) fn check_item(&self, bytes: usize) -> Result<()> {
        self.0.channel.check_item(bytes)
    }
}

impl Sealed for &SharedWriteChannel {}

impl Drop for SharedWriteChannel {
    fn drop(&mut self) {
        if unwinding() {
            // What this task has written may be half of a message.
            self.0.outbox.require_finish();
        }
    }
}

impl fmt::Debug for SharedWriteChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWriteChannel")
            .field("channel", &self.0.channel)
            .field("tickets", &self.0.tickets)
            .finish_non_exhaustive()
    }
}
