//! The bytes that wait to be sent, in the pieces that hold them.

mod kernel;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;

use bytes::{Buf, Bytes};

use crate::block::{BLOCK_BYTES, Block, BlockPart, SMALL_BLOCK_BYTES, Size};
use crate::kernel::KernelSegment;
use crate::seam::WakeList;

/// A written [`Bytes`] of this size or more is queued without a copy.
///
/// A `Bytes` may be a slice of a much larger allocation. With a lower threshold, a queue of 64 KiB could
/// keep a multiple of that alive (`docs/decisions/010-copy-below-32-kib.md`).
pub(crate) const SHARE_BYTES: usize = BLOCK_BYTES / 2;

/// A written [`Bytes`] of this size or more, and any that others hold too, is not copied if it is sent before the queue
/// has to wait for its peer. So one message to many connections takes no block for each
/// (`docs/decisions/082-one-message-to-many.md`).
const LEND_BYTES: usize = 4 * 1024;

/// The number of values that are lent at once: with a block of each size behind them, they leave in one call.
const LENT_COUNT_MAX: usize = SLICES_COUNT - 2;

/// While it waits for the peer, a queue keeps a block only if at least one part in this many is in use.
const KEEP_BLOCK_PART: usize = 2;

/// The number of segments offered to one vectored send.
const SLICES_COUNT: usize = 32;

#[derive(Debug)]
enum Segment {
    /// `block[start..end]`; more may be appended behind `end`.
    Block { block: Block, start: usize, end: usize },
    /// `bytes[start..]`; the content of a block that was returned because the queue had to wait.
    Kept { bytes: Vec<u8>, start: usize },
    /// A value of the caller's, not copied.
    Shared(Bytes),
    /// A value of the caller's that is copied if the queue has to wait.
    Lent(Bytes),
    /// Bytes outside the memory of this process.
    Kernel(KernelSegment),
}

impl Segment {
    /// Returns the bytes, as far as they are in memory.
    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Block { block, start, end } => &block.as_slice()[*start..*end],
            Self::Kept { bytes, start } => &bytes[*start..],
            Self::Shared(bytes) | Self::Lent(bytes) => bytes,
            Self::Kernel(_) => &[],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Kernel(kernel) => kernel.len,
            _ => self.as_slice().len(),
        }
    }

    /// Moves the content of a mostly empty block, or of a lent value, to a buffer of its own.
    fn trim(&mut self, after: &mut WakeList) {
        let is_kept = match self {
            Self::Block { block, start, end } => {
                *end - *start >= block.as_slice().len() / KEEP_BLOCK_PART
            }
            Self::Lent(_) => false,
            Self::Kept { .. } | Self::Shared(_) | Self::Kernel(_) => true,
        };
        if is_kept {
            return;
        }
        let bytes = self.as_slice().to_vec();
        if let Self::Lent(bytes) = mem::replace(self, Self::Kept { bytes, start: 0 }) {
            after.drop_later(bytes);
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Block { start, .. } | Self::Kept { start, .. } => *start += count,
            Self::Shared(bytes) | Self::Lent(bytes) => bytes.advance(count),
            Self::Kernel(kernel) => kernel.len -= count,
        }
    }
}

/// The queue of an [`Outbox`](crate::seam::Outbox): bytes that were accepted and not sent yet.
///
/// Small items are copied one behind another into pooled blocks, so that the writes of one turn form one
/// piece. Large [`Bytes`] are queued without a copy, and middling ones until the queue has to wait.
///
/// Bytes beyond what may be sent in this turn are withheld: a drain does not see them.
///
/// Invariants: `len` is the sum of the segments' lengths; no segment is empty; `withheld <= len`.
#[derive(Debug, Default)]
#[repr(C)]
pub struct SendQueue {
    len: usize,
    /// The number of bytes at the end that are not offered now.
    withheld: usize,
    /// The first segment. It is kept apart, so that the usual queue of one segment allocates nothing.
    front: Option<Segment>,
    rest: VecDeque<Segment>,
}

impl SendQueue {
    /// Returns the number of bytes that wait and may be sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.len - self.withheld
    }

    /// Returns `true` if nothing may be sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == self.withheld
    }

    /// Offers `most` bytes and withholds the rest, until [`offer_all`](Self::offer_all).
    #[inline]
    pub(crate) fn offer(&mut self, most: usize) {
        self.withheld = self.len.saturating_sub(most);
    }

    /// Offers everything.
    #[inline]
    pub(crate) fn offer_all(&mut self) {
        self.withheld = 0;
    }

    /// Appends a copy of these bytes.
    #[inline]
    pub(crate) fn push_slice(&mut self, bytes: &[u8]) {
        // The usual queue is one block with room, and then this is a copy and nothing else.
        if let Some(Segment::Block { block, end, .. }) = &mut self.front
            && self.rest.is_empty()
            && let Some(room) = block.as_mut_slice().get_mut(*end..*end + bytes.len())
        {
            room.copy_from_slice(bytes);
            *end += bytes.len();
            self.len += bytes.len();
            return;
        }
        if self.front.is_none() && bytes.len() <= SMALL_BLOCK_BYTES {
            return self.begin_with(bytes);
        }
        self.push_in_blocks(bytes);
    }

    /// Begins an empty queue with a small block.
    #[inline]
    fn begin_with(&mut self, bytes: &[u8]) {
        let end = bytes.len();
        if end == 0 {
            return;
        }
        let mut block = Block::take(Size::Small);
        block.as_mut_slice()[..end].copy_from_slice(bytes);
        self.front = Some(Segment::Block { block, start: 0, end });
        self.len = end;
    }

    /// Appends a copy of these bytes, in as many blocks as they take.
    fn push_in_blocks(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            let (block, end) = self.open_block(bytes.len());
            let count = bytes.len().min(block.as_slice().len() - *end);
            block.as_mut_slice()[*end..*end + count].copy_from_slice(&bytes[..count]);
            *end += count;
            bytes = &bytes[count..];
        }
    }

    /// Appends a value. One that is copied is left to the caller, to be dropped after unlocking. Any other one is taken: a
    /// large one, and if `lends` also such as [`trim`](Self::trim) copies.
    pub(crate) fn push_bytes(&mut self, bytes: &mut Bytes, lends: bool) {
        let length = bytes.len();
        let segment = match length {
            0 => return,
            SHARE_BYTES.. => Segment::Shared(mem::take(bytes)),
            _ if lends && self.may_lend(bytes) => Segment::Lent(mem::take(bytes)),
            _ => return self.push_slice(bytes),
        };
        self.len += length;
        self.push(segment);
    }

    /// Returns `true` if it is better to lend this value to the queue than to copy it.
    fn may_lend(&self, bytes: &Bytes) -> bool {
        // A small one is copied into a block that has been begun, which usually has room.
        let small = || !bytes.is_unique() && !self.ends_with_block();
        self.rest.len() + 1 < LENT_COUNT_MAX && (bytes.len() >= LEND_BYTES || small())
    }

    fn ends_with_block(&self) -> bool {
        matches!(self.last(), Some(Segment::Block { .. }))
    }

    /// Returns `true` if more than a small block is in use.
    #[inline]
    pub(crate) fn fills_blocks(&self) -> bool {
        self.len > SMALL_BLOCK_BYTES && self.ends_with_block()
    }

    /// Appends a block without a copy.
    pub(crate) fn push_block(&mut self, part: BlockPart) {
        let BlockPart { block, start, end } = part;
        self.len += end - start;
        self.push(Segment::Block { block, start, end });
    }

    /// Returns the first piece; empty if nothing waits, or if that is not in memory.
    #[inline]
    pub fn first(&self) -> &[u8] {
        let front = self.front.as_ref().map_or(&[][..], Segment::as_slice);
        &front[..front.len().min(self.len())]
    }

    /// Returns `true` if everything that waits is one piece.
    pub fn is_one_piece(&self) -> bool {
        self.one_piece().is_some()
    }

    /// Returns everything that waits, if it is one piece.
    #[inline]
    pub fn one_piece(&self) -> Option<&[u8]> {
        let first = self.first();
        (first.len() == self.len()).then_some(first)
    }

    /// Returns the first pieces that are in memory, and their number, for a vectored send.
    pub fn slices(&self) -> ([IoSlice<'_>; SLICES_COUNT], usize) {
        let mut slices = [IoSlice::new(&[]); SLICES_COUNT];
        let (mut count, mut left) = (0, self.len());
        for (slot, segment) in slices.iter_mut().zip(self.front.iter().chain(&self.rest)) {
            let segment = segment.as_slice();
            // What is left is withheld, or behind bytes that are not in memory.
            if left == 0 || segment.is_empty() {
                break;
            }
            let offered = segment.len().min(left);
            *slot = IoSlice::new(&segment[..offered]);
            left -= offered;
            count += 1;
        }
        (slices, count)
    }

    /// Removes the first `count` bytes, which have been sent.
    ///
    /// # Panics
    ///
    /// Panics if fewer are offered, which is a defect of the drain.
    #[inline]
    pub fn sent(&mut self, count: usize, after: &mut WakeList) {
        assert!(count <= self.len(), "a drain sent more than it was offered");
        // The usual send empties a queue of one block. Then nothing is moved, and nothing touches the memory of `rest`.
        if let Some(Segment::Block { start, end, .. }) = &self.front
            && count == self.len
            && count == end - start
        {
            self.len = 0;
            self.front = None;
            return;
        }
        self.sent_some(count, after);
    }

    fn sent_some(&mut self, mut count: usize, after: &mut WakeList) {
        self.len -= count;
        while count > 0 {
            let Some(front) = &mut self.front else { return };
            let length = front.len();
            if count < length {
                return front.advance(count);
            }
            count -= length;
            self.pop_sent(after);
        }
    }

    /// Moves up to `most` bytes to the end of another queue; large pieces are moved without a copy.
    pub(crate) fn move_to(&mut self, other: &mut Self, most: usize, after: &mut WakeList) {
        let mut left = most.min(self.len());
        while left > 0 {
            // The length of the whole piece, part of which may be withheld.
            let length = self.front.as_ref().map_or(0, |front| front.as_slice().len());
            // A small piece is copied: moved, it would keep a whole block in use for few bytes.
            if length > left || length < SHARE_BYTES {
                let count = length.min(left);
                other.push_slice(&self.first()[..count]);
                self.sent(count, after);
                left -= count;
            } else if let Some(segment) = self.pop() {
                self.len -= length;
                other.len += length;
                other.push(segment);
                left -= length;
            }
        }
    }

    /// Returns blocks that are mostly empty to the pool, and lent values to their owners. Called before the queue waits
    /// for its peer.
    pub(crate) fn trim(&mut self, after: &mut WakeList) {
        let rest = mem::take(&mut self.rest);
        for mut segment in self.front.take().into_iter().chain(rest) {
            segment.trim(after);
            self.push_kept(segment);
        }
    }

    /// Empties the queue. The values in it go to `after`, to be dropped after unlocking.
    pub(crate) fn clear(&mut self, after: &mut WakeList) {
        while self.front.is_some() {
            self.pop_sent(after);
        }
        *self = Self::default();
    }

    /// Appends a segment to the last one, if both are remainders, or behind it. Without this, a peer that reads nothing
    /// while small items keep coming would make the queue collect pieces.
    fn push_kept(&mut self, segment: Segment) {
        let (last, added) = match (self.rest.back_mut().or(self.front.as_mut()), &segment) {
            (Some(Segment::Kept { bytes, start }), Segment::Kept { .. }) => {
                ((bytes, start), segment)
            }
            _ => return self.push(segment),
        };
        let (bytes, start) = last;
        // Removes what was sent: a peer that never empties the queue must not make sent bytes pile up here.
        if *start > bytes.len() / 2 {
            bytes.drain(..*start);
            *start = 0;
        }
        bytes.extend_from_slice(added.as_slice());
    }

    /// Returns the block at the end of the queue and its fill mark, adding a block if there is no room: a large one
    /// behind another block, and otherwise a small one, if that is enough.
    fn open_block(&mut self, wanted: usize) -> (&mut Block, &mut usize) {
        // The usual queue is empty, and then nothing touches the memory of `rest`.
        let is_first = self.front.is_none();
        let last = if is_first { None } else { self.last() };
        let (full, small) = match last {
            Some(Segment::Block { block, end, .. }) => (*end == block.as_slice().len(), false),
            _ => (true, wanted <= SMALL_BLOCK_BYTES),
        };
        if full {
            let size = if small { Size::Small } else { Size::Large };
            self.push(Segment::Block { block: Block::take(size), start: 0, end: 0 });
        }
        let last = if is_first { None } else { self.rest.back_mut() };
        match last.or(self.front.as_mut()) {
            Some(Segment::Block { block, end, .. }) => (block, end),
            _ => unreachable!("a block was just pushed"),
        }
    }

    fn last(&self) -> Option<&Segment> {
        self.rest.back().or(self.front.as_ref())
    }

    fn push(&mut self, segment: Segment) {
        if self.front.is_none() {
            self.front = Some(segment);
        } else {
            self.rest.push_back(segment);
        }
    }

    /// Removes the first segment. What is not this crate's own is dropped after unlocking.
    fn pop_sent(&mut self, after: &mut WakeList) {
        match self.pop() {
            Some(Segment::Shared(bytes) | Segment::Lent(bytes)) => after.drop_later(bytes),
            Some(Segment::Kernel(kernel)) => after.close_later(kernel),
            _ => {}
        }
    }

    fn pop(&mut self) -> Option<Segment> {
        mem::replace(&mut self.front, self.rest.pop_front())
    }
}
