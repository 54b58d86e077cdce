//! Segments of a queue that are not in the memory of this process.

use super::{Segment, SendQueue};
use crate::block::{Block, Size};
use crate::kernel::{KernelBytes, KernelSegment};
use crate::seam::WakeList;
use crate::{Error, ErrorKind, Result};

impl SendQueue {
    /// Appends a segment.
    pub(crate) fn push_segment(&mut self, segment: KernelSegment) {
        self.len += segment.len;
        self.push(Segment::Kernel(segment));
    }

    /// Returns the first bytes, and how many of them may be sent, if they are not in memory. What was sent of them is
    /// removed by [`sent`](Self::sent).
    #[inline]
    pub fn front_segment(&mut self) -> Option<(&mut dyn KernelBytes, usize)> {
        let offered = self.len();
        match &mut self.front {
            Some(Segment::Kernel(kernel)) if offered > 0 => {
                let most = kernel.len.min(offered);
                Some((&mut *kernel.bytes, most))
            }
            _ => None,
        }
    }

    /// Returns `true` if any bytes are not in memory.
    #[inline]
    pub(crate) fn has_segment(&self) -> bool {
        // The usual queue is one segment.
        matches!(self.front, Some(Segment::Kernel(_)))
            || (!self.rest.is_empty()
                && self.rest.iter().any(|segment| matches!(segment, Segment::Kernel(_))))
    }

    /// Withholds, besides what is withheld already, all bytes from the first one on that is not in memory.
    pub(crate) fn withhold_segments(&mut self) {
        let in_memory = |segment: &&Segment| !matches!(segment, Segment::Kernel(_));
        let most = self.segments().take_while(in_memory).map(Segment::len).sum();
        self.withheld = self.withheld.max(self.len.saturating_sub(most));
    }

    /// Reads the first bytes into a block, if they are not in memory.
    ///
    /// # Errors
    ///
    /// The error of the file that they come from; `UnexpectedEnd` if it has become shorter.
    pub fn load_segment(&mut self, after: &mut WakeList) -> Result<()> {
        let Some(Segment::Kernel(kernel)) = &mut self.front else { return Ok(()) };
        let mut block = Block::take(Size::Large);
        let space = block.as_mut_slice();
        let most = space.len().min(kernel.len);
        let count = match kernel.bytes.read(&mut space[..most]) {
            Ok(0) => return Err(self.cut_short()),
            Ok(count) => count.min(most),
            Err(error) => return Err(Error::from_io("write_file", error)),
        };
        kernel.len -= count;
        if kernel.len == 0 {
            self.pop_sent(after);
        }
        let loaded = Segment::Block { block, start: 0, end: count };
        if let Some(next) = self.front.replace(loaded) {
            self.rest.push_front(next);
        }
        Ok(())
    }

    /// Makes the error for a file that ends before the first segment does.
    pub fn cut_short(&self) -> Error {
        let needed = self.front.as_ref().map_or(0, Segment::len) as u64;
        Error::new(ErrorKind::UnexpectedEnd { needed, available: 0 }, "write_file").with_detail(
            "the file became shorter after it was written to the channel, before it was sent",
        )
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.front.iter().chain(&self.rest)
    }
}
