//! Where a source puts what it received.

use crate::read::Buffer;

/// Room for arriving bytes: a channel's block, or the caller's own slice.
///
/// Memory is taken only when [`space`](Self::space) is called, so that a source that knows it has
/// nothing costs no block.
#[derive(Debug)]
pub struct Inlet<'a>(Room<'a>);

#[derive(Debug)]
enum Room<'a> {
    Slice { slice: &'a mut [u8], filled: usize },
    Buffer { buffer: &'a mut Buffer, most: usize },
}

impl<'a> Inlet<'a> {
    /// The caller's own memory.
    pub fn slice(slice: &'a mut [u8]) -> Self {
        Self(Room::Slice { slice, filled: 0 })
    }

    /// The channel's buffer, which may grow to `most` bytes.
    pub(crate) fn buffer(buffer: &'a mut Buffer, most: usize) -> Self {
        Self(Room::Buffer { buffer, most })
    }

    /// The free room: as much as there is, at least one byte.
    pub fn space(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Room::Slice { slice, filled } => &mut slice[*filled..],
            Room::Buffer { buffer, most } => buffer.space(*most),
        }
    }

    /// The first `count` bytes of the space were written.
    ///
    /// # Panics
    ///
    /// If that is more than the space: a defect of the source, which must not pass for data.
    pub fn fill(&mut self, count: usize) {
        match &mut self.0 {
            Room::Slice { slice, filled } => {
                assert!(count <= slice.len() - *filled, "a source filled more than it was offered");
                *filled += count;
            }
            Room::Buffer { buffer, .. } => buffer.fill(count),
        }
    }

    /// Bytes put into the caller's slice so far.
    pub(crate) fn filled(&self) -> usize {
        match &self.0 {
            Room::Slice { filled, .. } => *filled,
            Room::Buffer { .. } => 0,
        }
    }
}
