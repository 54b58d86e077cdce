//! Writing frames: messages on a stream.

use super::format::check_formats;
use super::{ByteWriteChannel, ItemBuffer, SharedWriteChannel};
use crate::Result;
use crate::frame::Framing;
use crate::queue::SHARE_BYTES;

impl ByteWriteChannel {
    /// Writes a frame around the pieces of a body, as one item, which
    /// [`read_frame`](crate::ByteReadChannel::read_frame) with the same framing reads.
    ///
    /// A frame may be larger than 1 MiB, if its framing allows that.
    ///
    /// # Errors
    ///
    /// - Those of [`write_str`](Self::write_str).
    /// - [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if the body is larger than the framing's limit, and
    ///   [`InvalidInput`](crate::ErrorKind::InvalidInput) if the framing cannot hold it. Nothing is written then.
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
    /// use forebay::LengthFraming;
    ///
    /// let (mut input, mut output) = forebay::pipe(4096);
    /// output.write_frame(&LengthFraming::u32(), &[&7_u16.to_be_bytes(), b"hello"]).await?;
    /// assert_eq!(input.read_packet(11).await?.as_slice(), b"\0\0\0\x07\0\x07hello");
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn write_frame<F: Framing + ?Sized>(
        &mut self,
        framing: &F,
        body: &[&[u8]],
    ) -> Result<()> {
        if !self.outbox.has_room() {
            self.wait_for_room().await?;
        }
        let item = composed(framing, body).map_err(|error| self.outbox.named(error))?;
        if item.len() >= SHARE_BYTES {
            return Box::pin(self.write_bytes(item.into_bytes())).await;
        }
        if item.is_empty() {
            return Box::pin(self.answer()).await;
        }
        while !self.accept(item.as_slice()).unwrap_or(false) {
            self.wait_for_room().await?;
        }
        Ok(())
    }

    /// Writes a frame, unless the call would have to wait, as [`try_write_str`](Self::try_write_str) does.
    ///
    /// # Errors
    ///
    /// Those of [`write_frame`](Self::write_frame).
    pub fn try_write_frame<F: Framing + ?Sized>(
        &mut self,
        framing: &F,
        body: &[&[u8]],
    ) -> Result<bool> {
        let item = composed(framing, body).map_err(|error| self.outbox.named(error))?;
        if item.len() >= SHARE_BYTES {
            return self.try_write_bytes(item.into_bytes());
        }
        self.outbox.try_accept(self.auto_flush, item.as_slice())
    }
}

impl SharedWriteChannel {
    /// Writes a frame as one item, as [`ByteWriteChannel::write_frame`] does.
    ///
    /// # Errors
    ///
    /// Those of [`ByteWriteChannel::write_frame`].
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    pub async fn write_frame<F: Framing + ?Sized>(
        &self,
        framing: &F,
        body: &[&[u8]],
    ) -> Result<()> {
        let ticket = self.ticket_if_full().await?;
        let item = composed(framing, body).map_err(|error| self.named(error))?;
        if self.accept_composed(ticket.as_ref(), &item) {
            return Ok(());
        }
        Box::pin(self.write_composed(ticket, item)).await
    }
}

/// Composes a frame in memory of this thread.
fn composed<F: Framing + ?Sized>(framing: &F, body: &[&[u8]]) -> Result<ItemBuffer> {
    let item = ItemBuffer::composed(|out| framing.put(body, out))?;
    check_formats(item.has_failed())?;
    Ok(item)
}
