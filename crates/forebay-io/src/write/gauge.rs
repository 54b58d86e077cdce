//! Reading how full a channel is, how much it has accepted, and why it ended.

use super::ByteWriteChannel;
use crate::{Error, Result};

impl ByteWriteChannel {
    /// Returns the number of bytes written and not yet accepted by the kernel.
    pub fn queued(&self) -> usize {
        self.outbox.queued()
    }

    /// Returns `true` after `finish`, `abort_with`, the socket's `close`, or an error.
    #[doc(alias = "isClosedForWrite")]
    pub fn is_closed_for_write(&self) -> bool {
        !self.outbox.is_open()
    }

    /// Returns the number of bytes that can be written before a write waits for room: 64 KiB, less what is
    /// queued; of a [`pipe`](crate::pipe), what its capacity leaves. `0` if the channel is closed.
    ///
    /// An item is accepted as a whole while this is not zero, however large it is.
    #[doc(alias = "availableForWrite")]
    pub fn free_space(&self) -> usize {
        self.outbox.free_space()
    }

    /// Waits until [`free_space`](Self::free_space) is not zero, so that the next write does not wait. Every
    /// write waits for this by itself; the call is for a producer that makes its next item only when it can be
    /// sent.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves nothing behind, and what is queued is still sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let (mut input, mut output) = forebay::pipe(4096);
    /// output.await_free_space().await?;
    /// assert!(output.try_write_str("the newest figures\n")?);
    /// assert_eq!(output.free_space(), 4096 - 19);
    /// # assert_eq!(input.read_line().await?.as_deref(), Some("the newest figures"));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "awaitFreeSpace")]
    pub async fn await_free_space(&mut self) -> Result<()> {
        self.answer().await
    }

    /// Returns the number of bytes written to this channel since it was opened. Those that an abort has dropped
    /// no longer count.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let (_input, mut output) = forebay::pipe(4096);
    /// output.write_str("five\n").await?;
    /// output.write_u32(7).await?;
    /// assert_eq!(output.counted(), 9);
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "totalBytesWritten")]
    pub fn counted(&self) -> u64 {
        self.counted_before.saturating_add(self.outbox.accepted())
    }

    /// Returns the error that writes return: the connection's first one, the cause given to
    /// [`abort_with`](Self::abort_with) on either side, or [`Incomplete`](crate::ErrorKind::Incomplete) after a
    /// write above 1 MiB was dropped before it was complete. `None` while the channel is open, and after an end
    /// in order.
    #[doc(alias = "closedCause")]
    pub fn closed_cause(&self) -> Option<Error> {
        self.outbox.closed_cause()
    }
}
