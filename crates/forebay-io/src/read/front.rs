//! The findings of calls about the bytes at the front of a buffer.

use crate::ErrorKind;
use crate::frame::FramingKey;
use crate::turn::Answers;

/// The findings of earlier calls. The buffer keeps them true when bytes are consumed, taken or put back, so
/// that no call has to.
///
/// Invariant: the first `scanned` readable bytes contain no LF.
#[derive(Debug, Default)]
pub(crate) struct Front {
    /// The position of the search for a line end.
    pub(super) scanned: usize,
    /// An error that every call that reads a line repeats until bytes are consumed.
    pub(super) fault: Option<ErrorKind>,
    /// The number of bytes in which the framing of this key has found no frame.
    seen: usize,
    seen_by: Option<FramingKey>,
    /// The answers (that error, ends, other errors) since bytes were last consumed or arrived.
    pub(super) answers: Answers,
}

impl Front {
    /// Forgets all, because other bytes are at the front now. The next search examines what was behind the
    /// consumed bytes again; to subtract their number from `scanned` would cost every call more than that.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.scanned = 0;
        self.seen = 0;
        self.forget_fault();
    }

    /// Returns the number of bytes that a framing with this key has seen without finding a frame.
    pub(super) fn seen_by(&self, key: FramingKey) -> usize {
        if self.seen_by == Some(key) { self.seen } else { 0 }
    }

    /// Notes that a framing with this key has seen so many bytes, and no frame.
    pub(super) fn see(&mut self, key: FramingKey, bytes: usize) {
        self.seen = bytes;
        self.seen_by = Some(key);
    }

    /// Forgets the error and the answers that it has given.
    #[inline]
    pub(super) fn forget_fault(&mut self) {
        self.fault = None;
        self.answers.restart();
    }
}
