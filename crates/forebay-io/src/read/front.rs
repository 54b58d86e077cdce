//! The findings of calls about the bytes at the front of a buffer.

use super::checked::CheckedLines;
use crate::ErrorKind;
use crate::frame::FramingKey;
use crate::turn::Answers;

/// The findings of earlier calls. The buffer keeps them true when bytes are consumed, taken or put back, so
/// that no call has to.
///
/// Invariant: no line ends within the first `scanned` readable bytes.
#[derive(Debug, Default)]
pub(crate) struct Front {
    /// The position of the search for a line end.
    pub(super) scanned: usize,
    /// The lines at the front that are known to be whole and UTF-8.
    pub(super) checked: CheckedLines,
    /// The state of the line at the front, which a call that reads one meets first.
    pub(super) standing: Option<Standing>,
    /// The byte in front of the first one was a CR that ended a line. An LF that comes next belongs to it. Nothing is
    /// readable then.
    pub(super) behind_cr: bool,
    /// The number of bytes in which the framing of this key has found no frame.
    seen: usize,
    seen_by: Option<FramingKey>,
    /// The answers (that error, ends, other errors) since bytes were last consumed or arrived.
    pub(super) answers: Answers,
}

/// The state of the front that the next call which reads a line meets, before it looks at the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The line was refused with this error, which is repeated until bytes are consumed.
    Refused(ErrorKind),
    /// The line began further ahead, and its rest is to be discarded.
    Inside,
}

impl Front {
    /// Notes that `count` bytes were consumed. The next search examines what was behind them again; to subtract their
    /// number from `scanned` would cost every call more than that.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.checked.follow(count);
        self.move_on();
    }

    /// Forgets all, because other bytes are at the front now.
    pub(super) fn forget(&mut self) {
        self.checked.release();
        self.move_on();
    }

    /// Forgets everything but the lines that are checked.
    #[inline]
    pub(super) fn move_on(&mut self) {
        self.scanned = 0;
        self.seen = 0;
        self.behind_cr = false;
        self.forget_line();
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

    /// Forgets the state of the line at the front, and the answers that were given about it.
    #[inline]
    pub(super) fn forget_line(&mut self) {
        self.standing = None;
        self.answers.restart();
    }
}
