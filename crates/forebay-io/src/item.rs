//! The unit in which a write hands over bytes: one item, wherever it is stored.

use crate::queue::SendQueue;

/// A place that takes an item's bytes.
pub(crate) trait Sink {
    fn push_slice(&mut self, bytes: &[u8]);
}

impl Sink for SendQueue {
    #[inline]
    fn push_slice(&mut self, bytes: &[u8]) {
        SendQueue::push_slice(self, bytes);
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn push_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Bytes that are accepted together or not at all. Copying them runs no user code, so it may be done under
/// a lock.
pub(crate) trait Item: Copy {
    fn len(self) -> usize;
    fn put(self, sink: &mut impl Sink);
}

impl Item for &[u8] {
    #[inline]
    fn len(self) -> usize {
        self.len()
    }

    #[inline]
    fn put(self, sink: &mut impl Sink) {
        sink.push_slice(self);
    }
}

/// Pieces of text that are one item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces<'a> {
    pieces: &'a [&'a str],
    len: usize,
}

impl<'a> Pieces<'a> {
    #[inline]
    pub(crate) fn new(pieces: &'a [&'a str]) -> Self {
        Self { pieces, len: pieces.iter().map(|piece| piece.len()).sum() }
    }
}

impl Item for Pieces<'_> {
    #[inline]
    fn len(self) -> usize {
        self.len
    }

    #[inline]
    fn put(self, sink: &mut impl Sink) {
        for piece in self.pieces {
            sink.push_slice(piece.as_bytes());
        }
    }
}
