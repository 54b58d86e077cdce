//! The next whole lines, checked for UTF-8 together and ahead of their reader.
//!
//! To check a line of 32 bytes alone costs as much as to find it. std checks 16 bytes in a few instructions, but only
//! where as many are left; and it is std alone that may take bytes for text without a look, unless they are in a `String`,
//! which is text already. So the lines are copied into one, and lent from there.

use std::cell::Cell;

use memchr::{memchr, memrchr};

use crate::sync::thread_local;

/// The bytes that are checked at once.
const CHECKED_BYTES: usize = 2 * 1024;

/// With fewer bytes than this a copy saves nothing, and a handler that waits for something else holds its memory. The
/// texts of unit tests are short.
const WORTH_BYTES: usize = if cfg!(test) { 1 } else { 64 };

thread_local! {
    /// The memory of a channel that has gone to sleep, for the next one that reads lines.
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

/// A copy of whole lines at the front of a buffer, with their terminators. Usually there are none.
///
/// Invariants: `text[at..]` are the first readable bytes; it is empty or ends with LF.
#[derive(Debug, Default)]
pub(super) struct CheckedLines {
    text: String,
    at: usize,
}

impl CheckedLines {
    /// Copies the whole lines at the beginning of these bytes, if there are more of them than the first `known` bytes,
    /// which are one line. Returns their length, or zero if there are no more, or if the first is not UTF-8.
    ///
    /// No line is longer than `limit`.
    pub(super) fn fill(&mut self, readable: &[u8], known: usize, limit: usize) -> usize {
        let piece = &readable[..readable.len().min(CHECKED_BYTES).min(limit)];
        if piece.len() < WORTH_BYTES {
            return 0;
        }
        let mut whole = whole_lines(piece);
        if whole <= known {
            return 0;
        }
        let text = std::str::from_utf8(&piece[..whole]).or_else(|error| {
            // The fault is for the call to meet that reads this line.
            whole = whole_lines(&piece[..error.valid_up_to()]);
            std::str::from_utf8(&piece[..whole])
        });
        let Some(text) = text.ok().filter(|text| !text.is_empty()) else { return 0 };
        if self.text.capacity() < CHECKED_BYTES {
            // While the thread ends its thread-locals are gone.
            self.text = SPARE.try_with(Cell::take).unwrap_or_default();
        }
        self.text.clear();
        self.text.reserve_exact(CHECKED_BYTES);
        self.text.push_str(text);
        self.at = 0;
        whole
    }

    /// Returns the length of the next line's content, and with its terminator, LF or CRLF. `None` if no line is there.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be a tenth of a line")]
    pub(super) fn find(&self) -> Option<(usize, usize)> {
        let lines = &self.text.as_bytes()[self.at..];
        let lf = memchr(b'\n', lines)?;
        let has_cr = lines.get(lf.wrapping_sub(1)) == Some(&b'\r');
        Some((lf - usize::from(has_cr), lf + 1))
    }

    /// Consumes a line and lends its content.
    #[inline]
    pub(super) fn take(&mut self, content: usize, consumed: usize) -> &str {
        let start = self.at;
        self.at += consumed;
        &self.text[start..start + content]
    }

    /// Follows the buffer, `count` bytes of which were consumed.
    #[inline]
    pub(super) fn follow(&mut self, count: usize) {
        if !self.text.is_empty() {
            self.at += count;
            // Other bytes are at the front now, or the second half of a character.
            if !self.text.is_char_boundary(self.at) {
                self.clear();
            }
        }
    }

    /// Forgets the lines, because other bytes are at the front.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.at = 0;
    }

    /// Returns the memory, because the task may sleep for long.
    #[inline]
    pub(super) fn release(&mut self) {
        if self.text.capacity() > 0 {
            self.release_memory();
        }
    }

    fn release_memory(&mut self) {
        self.clear();
        let text = std::mem::take(&mut self.text);
        SPARE.try_with(|spare| spare.set(text)).ok();
    }

    /// Returns the size of the memory that is kept.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.text.capacity()
    }
}

impl Drop for CheckedLines {
    fn drop(&mut self) {
        self.release();
    }
}

/// Returns the length of the whole lines at the beginning of these bytes.
fn whole_lines(bytes: &[u8]) -> usize {
    memrchr(b'\n', bytes).map_or(0, |at| at + 1)
}
