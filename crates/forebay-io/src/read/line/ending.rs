//! The places at which lines end.

use memchr::{memchr, memchr2};

/// The bytes that end a line. Set with [`LineOptions::ending`](crate::LineOptions::ending).
///
/// | | LF | CRLF | CR alone |
/// |---|---|---|---|
/// | `Default` | ends a line | ends a line | content |
/// | `Lenient` | ends a line | ends a line | ends a line |
/// | `CrlfOnly` | content | ends a line | content |
/// | `LfOnly` | ends a line | the CR is content | content |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineEnding {
    /// LF or CRLF, as [`BufRead::lines`](std::io::BufRead::lines) has it.
    #[default]
    Default,
    /// LF, CRLF, or CR alone. A line that ends in CR is returned without waiting for the next byte; should that be an
    /// LF, it is discarded when it arrives, whichever call reads next.
    #[doc(alias = "LineEndingMode.Any")]
    Lenient,
    /// CRLF and nothing else, as most text protocols write it.
    CrlfOnly,
    /// LF and nothing else. A CR in front of it is content.
    LfOnly,
}

/// A line at the front of the buffer: the length of its content, and the number of bytes to consume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) content: usize,
    pub(super) consumed: usize,
    pub(super) next: Next,
}

/// The bytes that come behind those that a line consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next line.
    Line,
    /// The next line, and perhaps an LF in front of it, which is the second half of this line's terminator.
    MaybeLf,
    /// The rest of this line, which is longer than it may be.
    Rest,
}

impl Found {
    #[inline]
    pub(super) fn whole(content: usize, consumed: usize) -> Self {
        Self { content, consumed, next: Next::Line }
    }

    /// Returns the first bytes of a longer line.
    pub(super) fn cut(content: usize) -> Self {
        Self { content, consumed: content, next: Next::Rest }
    }
}

impl LineEnding {
    /// Finds the end of the first line. No line ends within the first `from` bytes.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be a tenth of a line")]
    pub(super) fn find(self, bytes: &[u8], from: usize) -> Option<Found> {
        if self != Self::Default {
            return self.find_by_rule(bytes, from);
        }
        let lf = from + memchr(b'\n', &bytes[from..])?;
        Some(Found::whole(content_before(bytes, lf), lf + 1))
    }

    #[inline(never)]
    fn find_by_rule(self, bytes: &[u8], from: usize) -> Option<Found> {
        match self {
            Self::Default | Self::LfOnly => {
                let lf = from + memchr(b'\n', &bytes[from..])?;
                Some(Found::whole(lf, lf + 1))
            }
            Self::CrlfOnly => crlf(bytes, from),
            Self::Lenient => cr_or_lf(bytes, from),
        }
    }

    /// Returns `true` if the content exceeds the limit whatever comes; no line ends in these bytes. A CR just behind
    /// the limit may be half of the terminator.
    pub(super) fn exceeds(self, bytes: &[u8], limit: usize) -> bool {
        match (bytes.get(limit), self) {
            (None, _) => false,
            (Some(b'\r'), Self::Default | Self::CrlfOnly) => bytes.len() > limit + 1,
            (Some(_), _) => true,
        }
    }

    /// Returns the number of bytes that must be kept of those in which no line ends, so that the next terminator is
    /// recognised.
    pub(super) fn kept_of(self, bytes: &[u8]) -> usize {
        usize::from(self == Self::CrlfOnly && bytes.last() == Some(&b'\r'))
    }
}

/// Returns the length of the content in front of an LF.
#[inline]
pub(super) fn content_before(bytes: &[u8], lf: usize) -> usize {
    if lf > 0 && bytes[lf - 1] == b'\r' { lf - 1 } else { lf }
}

fn crlf(bytes: &[u8], mut from: usize) -> Option<Found> {
    loop {
        let lf = from + memchr(b'\n', &bytes[from..])?;
        if lf > 0 && bytes[lf - 1] == b'\r' {
            return Some(Found::whole(lf - 1, lf + 1));
        }
        from = lf + 1;
    }
}

fn cr_or_lf(bytes: &[u8], from: usize) -> Option<Found> {
    let end = from + memchr2(b'\r', b'\n', &bytes[from..])?;
    Some(match (bytes[end], bytes.get(end + 1)) {
        (b'\r', Some(b'\n')) => Found::whole(end, end + 2),
        (b'\r', None) => Found { next: Next::MaybeLf, ..Found::whole(end, end + 1) },
        _ => Found::whole(end, end + 1),
    })
}
