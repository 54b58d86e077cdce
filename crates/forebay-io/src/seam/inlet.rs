//! The place where a source puts the bytes it receives.

use crate::kernel::KernelSegment;
use crate::read::Buffer;

/// Space for arriving bytes: a channel's block, or the caller's own slice.
///
/// Memory is taken only when [`space`](Self::space) is called, so that a source that knows it has nothing
/// to deliver takes no block.
#[derive(Debug)]
pub struct Inlet<'a>(Space<'a>);

#[derive(Debug)]
enum Space<'a> {
    Slice {
        slice: &'a mut [u8],
        filled: usize,
    },
    Buffer {
        buffer: &'a mut Buffer,
        most: usize,
    },
    /// The buffer, or a segment that stays outside the memory of this process.
    Kernel {
        buffer: &'a mut Buffer,
        most: usize,
        segment: &'a mut Option<KernelSegment>,
    },
}

impl<'a> Inlet<'a> {
    /// Makes an inlet into the caller's own memory.
    pub fn slice(slice: &'a mut [u8]) -> Self {
        Self(Space::Slice { slice, filled: 0 })
    }

    /// Makes an inlet into the channel's buffer, which may grow to `most` bytes.
    pub(crate) fn buffer(buffer: &'a mut Buffer, most: usize) -> Self {
        Self(Space::Buffer { buffer, most })
    }

    /// Makes an inlet into the channel's buffer, or into a segment of up to `most` bytes, as the source decides.
    pub(crate) fn kernel(
        buffer: &'a mut Buffer,
        most: usize,
        segment: &'a mut Option<KernelSegment>,
    ) -> Self {
        Self(Space::Kernel { buffer, most, segment })
    }

    /// Returns the number of bytes that may be put in as a segment, by [`put`](Self::put); `None` if only memory is
    /// filled.
    #[inline]
    pub fn segment_max(&self) -> Option<usize> {
        match &self.0 {
            Space::Kernel { most, .. } => Some(*most),
            _ => None,
        }
    }

    /// Puts a segment in, instead of filling the space; filling it afterwards changes nothing. Without an effect where
    /// [`segment_max`](Self::segment_max) is `None`.
    pub fn put(&mut self, kernel: Option<KernelSegment>) {
        if let Space::Kernel { segment, .. } = &mut self.0 {
            **segment = kernel;
        }
    }

    /// Returns the free space, which is at least one byte.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Space::Slice { slice, filled } => &mut slice[*filled..],
            Space::Buffer { buffer, most } | Space::Kernel { buffer, most, .. } => {
                buffer.space(*most)
            }
        }
    }

    /// Marks the first `count` bytes of the space as filled.
    ///
    /// # Panics
    ///
    /// Panics if the space is smaller than that. This is a defect of the source, whose bytes must not pass
    /// for data.
    #[inline]
    pub fn fill(&mut self, count: usize) {
        match &mut self.0 {
            Space::Slice { slice, filled } => {
                assert!(count <= slice.len() - *filled, "a source filled more than it was offered");
                *filled += count;
            }
            Space::Buffer { buffer, .. } | Space::Kernel { buffer, segment: None, .. } => {
                buffer.fill(count);
            }
            // The count of a segment is its own.
            Space::Kernel { .. } => {}
        }
    }

    /// Returns the number of bytes put into the caller's slice so far.
    pub(crate) fn filled(&self) -> usize {
        match &self.0 {
            Space::Slice { filled, .. } => *filled,
            Space::Buffer { .. } | Space::Kernel { .. } => 0,
        }
    }
}
