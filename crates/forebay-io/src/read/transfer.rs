//! The part of a copy that moves bytes within the kernel, from one socket to another.
//!
//! ```text
//!   copying:      source ──recv──► block ──► queue ──send──► drain
//!   transferring: source ──splice──► pipe ──► queue ──splice──► drain
//! ```
//!
//! The source decides whether the bytes come in a segment of the kernel or in the buffer, each time. A segment is an
//! entry of the queue like a block, so limits, ends, waits and counts are those of every write. It is put there in
//! the poll that has received it: a dropped copy holds no bytes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::ByteReadChannel;
use crate::kernel::KernelSegment;
use crate::seam::{Filled, Inlet};
use crate::{ByteWriteChannel, Error, Result};

/// A copy goes over to transferring after a read of this many bytes.
const BULK_BYTES: usize = 32 * 1024;

/// A transfer of fewer bytes costs more than copying them: it takes a call more than a copy, to learn that there is
/// nothing left.
const SMALL_BYTES: usize = 16 * 1024;

/// After this many small transfers in a row a copy goes back to copying.
const SMALL_COUNT: u8 = 2;

/// The most bytes in one transfer, which is the share of a turn.
const TRANSFER_BYTES_MAX: usize = 256 * 1024;

/// The number of full blocks that are copied, before a source that has not transferred is asked again.
const BLOCKS_BEFORE_RETRY: u16 = 1024;

/// Decides between copying and transferring, by what has come.
#[derive(Debug, Default)]
pub(super) struct TransferPace {
    is_bulk: bool,
    /// The number of transfers in a row that were small.
    small: u8,
    /// The number of full blocks to be copied before the next try.
    waits: u16,
}

impl TransferPace {
    /// Returns `true` if the next bytes are to be transferred.
    #[inline]
    pub(super) fn is_bulk(&self) -> bool {
        self.is_bulk
    }

    /// Notes that this many bytes were copied.
    #[inline]
    pub(super) fn copied(&mut self, count: usize) {
        if count >= BULK_BYTES {
            self.is_bulk = self.waits == 0;
            self.waits = self.waits.saturating_sub(1);
        }
    }

    fn transferred(&mut self, count: usize) {
        self.small = if count < SMALL_BYTES { self.small + 1 } else { 0 };
        if self.small >= SMALL_COUNT {
            (self.is_bulk, self.small) = (false, 0);
        }
    }

    /// Notes that bytes of this source, or to this output, cannot be transferred now.
    fn refused(&mut self) {
        (self.is_bulk, self.small, self.waits) = (false, 0, BLOCKS_BEFORE_RETRY);
    }
}

impl ByteReadChannel {
    /// Moves up to `most` bytes within the kernel, waiting for at least one. Nothing may be buffered. Returns 0 at the
    /// end, and `None` if nothing was moved: bytes may have been received into the buffer instead.
    pub(super) async fn transfer(
        &mut self,
        output: &mut ByteWriteChannel,
        most: u64,
        pace: &mut TransferPace,
    ) -> Result<Option<u64>> {
        if !output.passes_segments() {
            pace.refused();
            return Ok(None);
        }
        // A pipe in the queue at a time, and none is taken while another is full.
        output.outbox().emptied().await?;
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(TRANSFER_BYTES_MAX);
        let (has_more, mut segment) = poll_fn(|cx| self.poll_segment(cx, most)).await?;
        let Some(count) = segment.as_ref().map(|segment| segment.len) else {
            if !has_more {
                return Ok(Some(0));
            }
            pace.refused();
            return Ok(None);
        };
        // From here to the end there is no wait: the bytes are in no place that a dropped call leaves.
        let passed = output.outbox().pass_segment(&mut segment);
        if let Some(refused) = segment {
            self.take_back(refused)?;
            return passed.map(|_| None);
        }
        self.buffer.passed_by(count);
        pace.transferred(count);
        Ok(Some(count as u64))
    }

    /// Waits for bytes in a segment or, as the source decides, in the buffer. `false` is the end.
    fn poll_segment(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Result<(bool, Option<KernelSegment>)>> {
        if ready!(self.poll_over(cx))? {
            self.buffer.trim();
            return Poll::Ready(Ok((false, None)));
        }
        if self.buffer.front.behind_cr {
            // The next byte may be the late half of a terminator, which is not to be copied.
            return self.poll_more(cx, 1).map_ok(|has_more| (has_more, None));
        }
        let mut segment = None;
        let mut inlet = Inlet::kernel(&mut self.buffer, most, &mut segment);
        let filled = self.source.poll_fill(cx, &mut inlet);
        self.record_fill(&filled);
        filled.map_ok(|filled| (filled == Filled::More, segment))
    }

    /// Reads a segment that the output has refused into the buffer.
    fn take_back(&mut self, mut segment: KernelSegment) -> Result<()> {
        while segment.len > 0 {
            let mut inlet = Inlet::buffer(&mut self.buffer, usize::MAX);
            let space = inlet.space();
            let most = space.len().min(segment.len);
            let count = segment.bytes.read(&mut space[..most]);
            let count = count.map_err(|error| Error::from_io("copy_to", error))?;
            if count == 0 {
                return Err(Error::other("bytes in a pipe of the kernel were lost"));
            }
            inlet.fill(count);
            segment.len -= count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk() -> TransferPace {
        let mut pace = TransferPace::default();
        pace.copied(BULK_BYTES);
        assert!(pace.is_bulk());
        pace
    }

    #[test]
    fn a_large_read_begins_a_transfer() {
        let mut pace = TransferPace::default();
        pace.copied(BULK_BYTES - 1);
        assert!(!pace.is_bulk());
        pace.copied(BULK_BYTES);
        assert!(pace.is_bulk());
        pace.copied(1);
        assert!(pace.is_bulk(), "a remainder says nothing about what follows");
    }

    #[test]
    fn two_small_transfers_in_a_row_end_it() {
        let mut pace = bulk();
        for count in [SMALL_BYTES - 1, SMALL_BYTES, 1, SMALL_BYTES] {
            pace.transferred(count);
            assert!(pace.is_bulk());
        }
        pace.transferred(SMALL_BYTES - 1);
        assert!(pace.is_bulk());
        pace.transferred(SMALL_BYTES - 1);
        assert!(!pace.is_bulk());
        // Begun again, it has both again.
        pace.copied(BULK_BYTES);
        pace.transferred(1);
        assert!(pace.is_bulk());
    }

    #[test]
    fn one_that_was_refused_is_not_tried_for_a_while() {
        let mut pace = bulk();
        pace.refused();
        for _ in 0..BLOCKS_BEFORE_RETRY {
            assert!(!pace.is_bulk());
            pace.copied(BULK_BYTES - 1);
            pace.copied(BULK_BYTES);
        }
        assert!(!pace.is_bulk());
        pace.copied(BULK_BYTES);
        assert!(pace.is_bulk());
    }
}
