//! Writing the whole of an item or a slice: at once where there is room, or as long as it takes.

use std::future::poll_fn;

use super::ByteWriteChannel;
use super::item::{WholeWrite, Written};
use crate::item::{Item, Pieces};
use crate::outbox::{Piece, Until};
use crate::{Error, ErrorKind, Result};

impl ByteWriteChannel {
    /// Waits for room and accepts one item in one step, if it is of a size that is accepted in one step.
    pub(super) async fn write_item(&mut self, item: impl Item) -> Result<()> {
        self.check_item(item.len())?;
        if item.len() == 0 {
            return self.answer().await;
        }
        // An error is left to the wait, which finds it again, returns it, and gives way if it is ignored.
        while !self.outbox.accept(self.auto_flush, item).unwrap_or(false) {
            self.wait_for_room().await?;
        }
        Ok(())
    }

    /// Writes nothing. Gives way if such a call has returned at once a few times in a row.
    pub(super) async fn answer(&mut self) -> Result<()> {
        if !self.outbox.has_room() {
            return self.wait_for_room().await;
        }
        poll_fn(|cx| self.pace.answers.poll_one(cx)).await;
        Ok(())
    }

    /// Waits for room and accepts a slice of any size.
    async fn write_slice(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.item_max {
            return self.write_pieces(bytes).await;
        }
        self.write_item(bytes).await
    }

    /// Accepts a slice above the item limit in pieces. Until the last one the outbox is not whole, so that
    /// any end of the connection in between resets it.
    async fn write_pieces(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut before, of) = (0, bytes.len());
        for bytes in bytes.chunks(self.item_max) {
            // The first piece is refused like any item; the pieces behind it wait as pieces.
            let until = if before == 0 { Until::Room } else { Until::RoomForPiece };
            let piece = Piece { bytes, before, of };
            while !self.outbox.accept_piece(self.auto_flush, piece).unwrap_or(false) {
                self.outbox.wait_for_room(until, &mut self.pace).await?;
            }
            before += bytes.len();
        }
        Ok(())
    }

    /// Fails if an item is larger than one may be.
    pub(super) fn check_item(&self, bytes: usize) -> Result<()> {
        if bytes <= self.item_max {
            return Ok(());
        }
        let kind = ErrorKind::LimitExceeded { limit: self.item_max as u64 };
        let error = Error::new(kind, "write").with_detail(format!(
            "one item of {bytes} bytes; write_bytes and write_all take any number"
        ));
        Err(self.outbox.named(error))
    }
}

impl<'a> Written<'a, &'a mut ByteWriteChannel> for &'a [u8] {
    #[inline]
    #[expect(clippy::mut_mut, reason = "the write holds a reference, of either kind")]
    fn accept(&mut self, channel: &mut &'a mut ByteWriteChannel) -> bool {
        channel.accept_usual(*self)
    }

    fn write_whole(self, channel: &'a mut ByteWriteChannel) -> WholeWrite<'a> {
        Box::pin(channel.write_slice(self))
    }
}

impl<'a> Written<'a, &'a mut ByteWriteChannel> for Pieces<'a> {
    #[inline]
    #[expect(clippy::mut_mut, reason = "the write holds a reference, of either kind")]
    fn accept(&mut self, channel: &mut &'a mut ByteWriteChannel) -> bool {
        channel.accept_usual(*self)
    }

    fn write_whole(self, channel: &'a mut ByteWriteChannel) -> WholeWrite<'a> {
        Box::pin(channel.write_item(self))
    }
}
