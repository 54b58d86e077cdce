//! The memory of a reading channel: one contiguous window over a block, or over the remainder of one.
//!
//! ```text
//!   storage   ______________________________________________
//!            | consumed |   readable bytes   |  free space  |
//!            0         head                 tail           len
//! ```
//!
//! Invariants: `head <= tail <= storage.len()`; empty storage has `head == tail == 0`.
//!
//! A block is taken when bytes arrive. It is returned as soon as a call leaves little in it
//! ([`Buffer::end_call`]), because the task may wait for something other than this channel: a remainder
//! below [`KEEP_BLOCK_BYTES`] moves to a small buffer of its own, and a larger one stays where it is.
//! Before the task sleeps on the channel ([`Buffer::trim`]), the small buffer shrinks to its content. So
//! the channel of a sleeping task never pins more than four times what it holds.
//!
//! When bytes arrive behind such a remainder, the smaller of the two is copied to the other. Either way
//! this costs O(1) per byte received, however small the pieces in which a peer sends.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::front::Front;
use super::remainder::Remainder;
use crate::block::{BLOCK_BYTES, Block, BlockPart, Size};

/// The channel of a sleeping task keeps a block only for this many bytes or more.
pub(crate) const KEEP_BLOCK_BYTES: usize = BLOCK_BYTES / 4;

/// Chunks of this size or more are returned with the block they lie in; smaller ones are copied.
const FREEZE_BYTES: usize = BLOCK_BYTES / 2;

/// If this much space is free at the end, moving the readable bytes to the front is not worth it.
const ENOUGH_SPACE_BYTES: usize = BLOCK_BYTES / 4;

#[derive(Debug, Default)]
enum Storage {
    #[default]
    Empty,
    Block(Block),
    /// The remainder of a block that was returned; every byte up to its length is in use.
    Kept(Remainder),
    /// A buffer for an item that does not fit a block; initialised up to its length.
    Grown(Vec<u8>),
}

impl Storage {
    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Block(block) => block.as_slice(),
            Self::Kept(bytes) => bytes,
            Self::Grown(bytes) => bytes,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Empty => &mut [],
            Self::Block(block) => block.as_mut_slice(),
            Self::Kept(bytes) => bytes,
            Self::Grown(bytes) => bytes,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Buffer {
    storage: Storage,
    /// A block that is being filled behind a kept remainder. It leaves room for the remainder at its front.
    arriving: Option<Block>,
    head: usize,
    tail: usize,
    pub(super) front: Front,
    /// The number of bytes that have arrived, in all.
    arrived: u64,
}

/// Consumes bytes of a buffer while the buffer's bytes are lent.
pub(crate) struct Cursor<'a> {
    head: &'a mut usize,
    pub(super) front: &'a mut Front,
}

impl Cursor<'_> {
    /// Consumes `count` bytes, of which the caller has seen that they are there.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        *self.head += count;
        self.front.consume(count);
    }
}

impl Buffer {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.tail - self.head
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    #[inline]
    pub(crate) fn readable(&self) -> &[u8] {
        &self.storage.as_slice()[self.head..self.tail]
    }

    #[inline]
    pub(crate) fn readable_mut(&mut self) -> &mut [u8] {
        let Self { storage, head, tail, .. } = self;
        &mut storage.as_mut_slice()[*head..*tail]
    }

    /// Returns the position of the first readable byte: the number of bytes that were consumed.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        // No more is given back than has arrived, so this does not wrap, except in tests of this type alone.
        self.arrived.wrapping_sub(self.len() as u64)
    }

    /// Returns the readable bytes, and what was found in them.
    pub(super) fn readable_and_front(&mut self) -> (&[u8], &mut Front) {
        let Self { storage, head, tail, front, .. } = self;
        (&storage.as_slice()[*head..*tail], front)
    }

    /// Ends a reading call, after which the task may not come back for a long time: an empty buffer returns
    /// its block, and one with little in it moves that to a buffer of its own. The move happens once for
    /// each block that arrived, however many calls read from it.
    #[inline]
    pub(crate) fn end_call(&mut self) {
        if self.is_empty() {
            self.release();
        } else {
            self.trim_block();
        }
    }

    /// Ends a reading call that has taken a checked line. Whether the block is kept was decided when it was checked.
    #[inline]
    pub(super) fn end_checked_call(&mut self) {
        if self.is_empty() {
            self.release();
            self.front.checked.release();
        }
    }

    /// Moves little content, including a line that is about to be lent, from a block to a remainder.
    #[inline]
    pub(crate) fn trim_block(&mut self) {
        if self.len() < KEEP_BLOCK_BYTES {
            self.move_out_of_block();
        }
    }

    #[inline]
    fn move_out_of_block(&mut self) {
        if matches!(self.storage, Storage::Block(_)) {
            self.keep(Remainder::of(self.readable()));
        }
    }

    /// Checks the whole lines at the front for UTF-8, if there are others behind the first one, which is `known` bytes
    /// long. None of them is longer than `limit`. Returns `true` if so, and if the first is valid. Little content behind
    /// them is moved out of a block.
    pub(super) fn check_lines(&mut self, known: usize, limit: usize) -> bool {
        let readable = &self.storage.as_slice()[self.head..self.tail];
        let checked = self.front.checked.fill(readable, known, limit);
        if checked > 0 && self.len() - checked < KEEP_BLOCK_BYTES {
            self.move_out_of_block();
        }
        checked > 0
    }

    /// Finds the first line, if it is checked: the length of its content, and with its terminator.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be a tenth of a line")]
    pub(super) fn find_checked(&self) -> Option<(usize, usize)> {
        self.front.checked.find()
    }

    /// Consumes a line that is checked, and lends its content.
    #[inline]
    pub(super) fn take_checked(&mut self, content: usize, consumed: usize) -> &str {
        self.head += consumed;
        self.front.move_on();
        self.front.checked.take(content, consumed)
    }

    fn keep(&mut self, left: Remainder) {
        self.head = 0;
        self.tail = left.len();
        self.storage = if left.is_empty() { Storage::Empty } else { Storage::Kept(left) };
    }

    /// Consumes the next `count` bytes and lends them.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> &[u8] {
        let start = self.head;
        self.consume(count);
        &self.storage.as_slice()[start..start + count]
    }

    /// Returns the readable bytes and the cursor that consumes them, so that a caller can examine and lend
    /// bytes and consume them only if they are valid.
    #[inline]
    pub(super) fn parts(&mut self) -> (&[u8], Cursor<'_>) {
        let Self { storage, head, tail, front, .. } = self;
        (&storage.as_slice()[*head..*tail], Cursor { head, front })
    }

    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consumed more than was buffered");
        self.head += count;
        self.moved_on(count);
    }

    /// Notes that `count` bytes were consumed. Consuming none is no progress: a loop over it gives way.
    #[inline]
    fn moved_on(&mut self, count: usize) {
        if count > 0 {
            self.front.consume(count);
        }
    }

    /// Returns free space behind the readable bytes, growing the storage up to `most` readable bytes.
    #[inline]
    pub(crate) fn space(&mut self, most: usize) -> &mut [u8] {
        if !matches!(self.storage, Storage::Empty) {
            return self.space_behind(most);
        }
        self.storage = Storage::Block(Block::take(Size::Large));
        self.storage.as_mut_slice()
    }

    /// Returns free space of a buffer that has memory.
    fn space_behind(&mut self, most: usize) -> &mut [u8] {
        if self.is_empty() {
            self.restart();
        }
        match self.storage {
            Storage::Empty => self.storage = Storage::Block(Block::take(Size::Large)),
            Storage::Kept(_) if self.len() < KEEP_BLOCK_BYTES => {
                // A small remainder stays where it is. More bytes go to a block behind it, and `fill` joins
                // the two.
                let gap = self.len();
                return &mut self
                    .arriving
                    .get_or_insert_with(|| Block::take(Size::Large))
                    .as_mut_slice()[gap..];
            }
            // A remainder fills its memory completely, so there is no free space behind it.
            Storage::Kept(_) => self.move_to_block(),
            Storage::Grown(_) if self.len() < KEEP_BLOCK_BYTES => self.move_to_block(),
            Storage::Block(_) | Storage::Grown(_) => {}
        }
        self.make_room(most);
        let tail = self.tail;
        &mut self.storage.as_mut_slice()[tail..]
    }

    /// Marks the first `count` bytes of the space as filled.
    #[inline]
    pub(crate) fn fill(&mut self, count: usize) {
        self.arrived = self.arrived.wrapping_add(count as u64);
        if self.arriving.is_some() {
            return self.join(count);
        }
        assert!(
            count <= self.storage.as_slice().len() - self.tail,
            "a source filled more than it was offered"
        );
        self.tail += count;
    }

    /// Notes that `count` bytes were received into a caller's memory, and not into this buffer.
    pub(super) fn passed_by(&mut self, count: usize) {
        self.arrived = self.arrived.wrapping_add(count as u64);
        if count > 0 {
            self.front.set_standing(None);
        }
    }

    /// Discards an LF at the front, if it is the second half of a terminator whose CR was consumed before. Returns
    /// `true` if no other byte has arrived.
    #[cold]
    pub(super) fn end_terminator(&mut self) -> bool {
        self.front.behind_cr = false;
        if self.readable().first() == Some(&b'\n') {
            self.consume(1);
        }
        self.is_empty()
    }

    /// Joins the kept remainder and the bytes that arrived behind it, copying the smaller of the two.
    fn join(&mut self, count: usize) {
        let Some(mut block) = self.arriving.take() else { return };
        let left = self.len();
        assert!(count <= BLOCK_BYTES - left, "a source filled more than it was offered");
        // Copying the smaller part keeps the cost per received byte constant, even if a peer sends single
        // bytes.
        if let (Storage::Kept(bytes), true) = (&mut self.storage, count < left) {
            bytes.drain(..self.head);
            bytes.extend_from_slice(&block.as_slice()[left..left + count]);
        } else {
            block.as_mut_slice()[..left].copy_from_slice(self.readable());
            self.storage = Storage::Block(block);
        }
        self.head = 0;
        self.tail = left + count;
    }

    /// Returns the memory that is not needed, before the task sleeps on the channel.
    #[inline]
    pub(crate) fn trim(&mut self) {
        self.front.checked.release();
        // The usual wait finds nothing to return.
        let has_memory = !matches!(self.storage, Storage::Empty) || self.arriving.is_some();
        if has_memory || self.front.sought().is_some() {
            self.trim_memory();
        }
    }

    fn trim_memory(&mut self) {
        self.arriving = None;
        let position = self.position();
        if self.front.sought().is_some_and(|sought| !sought.began_at(position)) {
            self.front.take_sought();
        }
        if self.is_empty() {
            return self.release();
        }
        match &self.storage {
            Storage::Block(_) | Storage::Grown(_) if self.len() < KEEP_BLOCK_BYTES => {
                self.keep(Remainder::exact(self.readable()));
            }
            // Memory without bytes in it: an item once needed it, or the bytes have been consumed since.
            Storage::Kept(bytes) if 4 * self.len() < bytes.capacity() => {
                self.keep(Remainder::exact(self.readable()));
            }
            Storage::Grown(bytes) if 4 * self.len() < bytes.capacity() => {
                self.keep(Remainder::exact(self.readable()));
            }
            _ => {}
        }
    }

    /// Takes `count` bytes as a value of their own. They keep the memory they lie in if they fill at least
    /// half of it, and are copied otherwise. So neither the value nor the copy of what stays behind costs
    /// more than twice its bytes.
    pub(crate) fn freeze(&mut self, count: usize) -> Bytes {
        if count < FREEZE_BYTES || 2 * count < self.storage.as_slice().len() {
            return Bytes::copy_from_slice(self.take(count));
        }
        let (start, end) = (self.head, self.head + count);
        let rest = Remainder::exact(&self.storage.as_slice()[end..self.tail]);
        let frozen = match std::mem::take(&mut self.storage) {
            Storage::Block(block) => Bytes::from_owner(block),
            Storage::Kept(bytes) => Bytes::from(bytes.into_vec()),
            Storage::Grown(bytes) => Bytes::from(bytes),
            Storage::Empty => Bytes::new(),
        };
        self.keep(rest);
        self.moved_on(count);
        frozen.slice(start..end)
    }

    /// Offers the block with all readable bytes in it to `accept`, if there are at least `least` of them.
    /// The block stays here if `accept` does not take it. Returns the outcome of `accept`, or `None` if
    /// there is no such block.
    pub(crate) fn offer_block<R>(
        &mut self,
        least: usize,
        accept: impl FnOnce(&mut Option<BlockPart>) -> R,
    ) -> Option<R> {
        if self.len() < least {
            return None;
        }
        let block = match std::mem::take(&mut self.storage) {
            Storage::Block(block) => block,
            other => {
                self.storage = other;
                return None;
            }
        };
        let mut part = Some(BlockPart { block, start: self.head, end: self.tail });
        // Empty meanwhile, because `accept` may run foreign code, which may panic.
        let front = std::mem::take(&mut self.front);
        self.release();
        let outcome = accept(&mut part);
        if let Some(refused) = part {
            (self.head, self.tail) = (refused.start, refused.end);
            self.storage = Storage::Block(refused.block);
            self.front = front;
        }
        Some(outcome)
    }

    /// Puts bytes back in front of the buffered ones.
    pub(crate) fn give_back(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut joined = Vec::with_capacity(bytes.len() + self.len());
        joined.extend_from_slice(bytes);
        joined.extend_from_slice(self.readable());
        self.keep(Remainder::from(joined));
        self.front.forget();
    }

    /// Drops everything. The bytes count as if they had not arrived.
    pub(crate) fn clear(&mut self) {
        self.arrived = self.position();
        self.arriving = None;
        self.front.take_sought();
        self.front.forget();
        self.release();
    }

    fn release(&mut self) {
        match std::mem::take(&mut self.storage) {
            // A separate arm for the usual case: a block returns to its pool without a function call.
            Storage::Block(block) => drop(block),
            other => drop(other),
        }
        self.head = 0;
        self.tail = 0;
    }

    /// Starts at the front of an empty buffer, in a block of ordinary size.
    fn restart(&mut self) {
        if !matches!(self.storage, Storage::Block(_)) {
            self.storage = Storage::Empty;
        }
        self.head = 0;
        self.tail = 0;
    }

    /// Moves the readable bytes into a block, or into a larger buffer if they do not fit one.
    fn move_to_block(&mut self) {
        let left = self.len();
        if left >= BLOCK_BYTES {
            let bytes = self.readable().to_vec();
            (self.head, self.tail) = (0, left);
            self.storage = Storage::Grown(bytes);
            return;
        }
        let mut block = Block::take(Size::Large);
        block.as_mut_slice()[..left].copy_from_slice(self.readable());
        self.storage = Storage::Block(block);
        self.head = 0;
        self.tail = left;
    }

    /// Ensures at least one free byte: by moving the bytes to the front or, if that is not enough, by
    /// growing.
    fn make_room(&mut self, most: usize) {
        let len = self.storage.as_slice().len();
        // With `head >= len()`, no more bytes are moved than were consumed since the last move.
        let worth_moving = len - self.tail < ENOUGH_SPACE_BYTES && self.head >= self.len();
        if self.head > 0 && (worth_moving || self.tail == len) {
            let (head, tail) = (self.head, self.tail);
            self.storage.as_mut_slice().copy_within(head..tail, 0);
            self.head = 0;
            self.tail = tail - head;
        }
        if self.tail == len {
            self.grow(most);
        }
    }

    /// Doubles the storage, but not beyond `most` bytes, and adds at least one byte.
    fn grow(&mut self, most: usize) {
        let size = (self.tail * 2).min(most).max(self.tail + 1);
        let mut bytes = match std::mem::take(&mut self.storage) {
            Storage::Kept(bytes) => bytes.into_vec(),
            Storage::Grown(bytes) => bytes,
            Storage::Block(block) => block.as_slice().to_vec(),
            Storage::Empty => Vec::new(),
        };
        bytes.reserve_exact(size.saturating_sub(bytes.len()));
        bytes.resize(size, 0);
        self.storage = Storage::Grown(bytes);
    }
}
