//! The findings of calls about the bytes at the front of a buffer.

use super::checked::CheckedLines;
use super::until::Sought;
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
    /// Made when something is found of which there is usually nothing.
    findings: Option<Box<Findings>>,
    /// The byte in front of the first one was a CR that ended a line. An LF that comes next belongs to it. Nothing is
    /// readable then.
    pub(super) behind_cr: bool,
    /// The answers (that error, ends, other errors) since bytes were last consumed or arrived.
    pub(super) answers: Answers,
}

#[derive(Debug, Default)]
struct Findings {
    /// The state of the line at the front, which a call that reads one meets first.
    standing: Option<Standing>,
    /// The number of bytes in which the framing of this key has found no frame.
    seen: usize,
    seen_by: Option<FramingKey>,
    /// The search for a delimiter that has not been found yet.
    sought: Option<Box<Sought>>,
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
        self.behind_cr = false;
        self.answers.restart();
        if let Some(findings) = &mut self.findings {
            findings.seen = 0;
            findings.standing = None;
        }
    }

    /// Forgets the state of the line at the front, and the answers that were given about it.
    pub(super) fn forget_line(&mut self) {
        self.set_standing(None);
        self.answers.restart();
    }

    #[inline]
    pub(super) fn standing(&self) -> Option<Standing> {
        self.findings.as_ref().and_then(|findings| findings.standing)
    }

    pub(super) fn set_standing(&mut self, standing: Option<Standing>) {
        if standing != self.standing() {
            self.findings.get_or_insert_default().standing = standing;
        }
    }

    #[cfg(test)]
    pub(super) fn has_findings(&self) -> bool {
        self.findings.is_some()
    }

    /// Returns the number of bytes that a framing with this key has seen without finding a frame.
    pub(super) fn seen_by(&self, key: FramingKey) -> usize {
        let findings = self.findings.as_ref().filter(|findings| findings.seen_by == Some(key));
        findings.map_or(0, |findings| findings.seen)
    }

    /// Notes that a framing with this key has seen so many bytes, and no frame.
    pub(super) fn see(&mut self, key: FramingKey, bytes: usize) {
        let findings = self.findings.get_or_insert_default();
        findings.seen = bytes;
        findings.seen_by = Some(key);
    }

    /// Returns the search that has not found its delimiter yet.
    pub(super) fn sought(&self) -> Option<&Sought> {
        self.findings.as_ref().and_then(|findings| findings.sought.as_deref())
    }

    /// Takes that search, to go on with it.
    pub(super) fn take_sought(&mut self) -> Option<Box<Sought>> {
        self.findings.as_mut().and_then(|findings| findings.sought.take())
    }

    /// Keeps a search for the calls to come.
    pub(super) fn keep_sought(&mut self, sought: Box<Sought>) {
        self.findings.get_or_insert_default().sought = Some(sought);
    }
}
