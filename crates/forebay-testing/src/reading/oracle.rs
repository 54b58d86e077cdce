//! The oracle: the whole input, and a position in it. It is written to be obvious, not to be quick.

use forebay_io::{Error, ErrorKind, LineEnding, TooLong};

/// The outcome of a call, without the words of its error.
pub(super) type Answer<T> = std::result::Result<T, ErrorKind>;

/// The error that some inputs have instead of an end.
pub(super) fn broken() -> Error {
    Error::new(ErrorKind::Reset, "recv")
}

/// The rules of lines, as the oracle reads them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) limit: usize,
    pub(super) ending: LineEnding,
    pub(super) strict: bool,
    pub(super) replaces: bool,
    pub(super) too_long: TooLong,
}

#[derive(Debug)]
pub(super) struct Oracle {
    pub(super) input: Vec<u8>,
    pub(super) at: usize,
    /// An error stands at the end of the input.
    is_broken: bool,
    pub(super) rules: Rules,
    /// The line began in front of `at`, and its rest is not wanted.
    inside: bool,
    /// The input has ended inside such a line, which is an error.
    pub(super) is_cut_off: bool,
}

impl Oracle {
    pub(super) fn new(input: Vec<u8>, is_broken: bool) -> Self {
        let rules = Rules {
            limit: 64 * 1024,
            ending: LineEnding::Default,
            strict: false,
            replaces: false,
            too_long: TooLong::Fail,
        };
        Self { input, at: 0, is_broken, rules, inside: false, is_cut_off: false }
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.input[self.at..]
    }

    /// Returns this value, or the error that stands where the input would end.
    fn at_the_end<T>(&self, value: T) -> Answer<T> {
        if self.is_broken { Err(broken().kind()) } else { Ok(value) }
    }

    // ---- bytes -------------------------------------------------------------------------------------

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.at += count;
        self.inside &= count == 0;
        self.input[self.at - count..self.at].to_vec()
    }

    pub(super) fn exact(&mut self, needed: usize) -> Answer<Vec<u8>> {
        let available = self.rest().len();
        if available >= needed {
            return Ok(self.take(needed));
        }
        self.at_the_end(())?;
        Err(ErrorKind::UnexpectedEnd { needed: needed as u64, available: available as u64 })
    }

    pub(super) fn up_to(&mut self, count: usize) -> Answer<Vec<u8>> {
        if self.rest().len() < count {
            self.at_the_end(())?;
        }
        Ok(self.take(count.min(self.rest().len())))
    }

    pub(super) fn peek(&self, count: usize) -> Answer<Option<Vec<u8>>> {
        match self.rest().get(..count) {
            Some(bytes) => Ok(Some(bytes.to_vec())),
            None => self.at_the_end(None),
        }
    }

    pub(super) fn discard(&mut self, count: usize) -> Answer<usize> {
        let discarded = count.min(self.rest().len());
        self.take(discarded);
        if discarded < count { self.at_the_end(discarded) } else { Ok(discarded) }
    }

    pub(super) fn discard_exact(&mut self, count: usize) -> Answer<()> {
        let discarded = self.discard(count)?;
        if discarded == count {
            return Ok(());
        }
        Err(ErrorKind::UnexpectedEnd { needed: count as u64, available: discarded as u64 })
    }

    pub(super) fn skip_if_found(&mut self, bytes: &[u8]) -> Answer<bool> {
        let rest = self.rest();
        if rest.starts_with(bytes) {
            self.take(bytes.len());
            return Ok(true);
        }
        if bytes.starts_with(rest) { self.at_the_end(false) } else { Ok(false) }
    }

    /// Checks a read of whatever there was.
    pub(super) fn took_some(&mut self, read: Answer<Option<usize>>, slice: &[u8]) {
        match read {
            Ok(None) => {}
            Ok(Some(0)) => assert!(slice.is_empty() || (self.rest().is_empty() && !self.is_broken)),
            Ok(Some(count)) => assert_eq!(slice[..count], self.take(count)),
            Err(kind) => assert!(self.rest().is_empty() && self.is_broken, "{kind:?}"),
        }
    }

    pub(super) fn remaining(&mut self) -> Answer<Vec<u8>> {
        let rest = self.rest().len();
        self.at_the_end(())?;
        Ok(self.take(rest))
    }

    // ---- delimiters --------------------------------------------------------------------------------

    pub(super) fn until(
        &mut self,
        delimiter: &[u8],
        limit: usize,
        or_end: bool,
    ) -> Answer<Option<Vec<u8>>> {
        let beyond = ErrorKind::LimitExceeded { limit: limit as u64 };
        let rest = self.rest();
        let places = 0..=rest.len().saturating_sub(delimiter.len());
        if let Some(at) = places.into_iter().find(|at| rest[*at..].starts_with(delimiter)) {
            if at > limit {
                return Err(beyond);
            }
            let content = self.take(at);
            self.take(delimiter.len());
            return Ok(Some(content));
        }
        // The input may end in the beginning of a delimiter.
        let begun = (0..delimiter.len()).rev().find(|begun| rest.ends_with(&delimiter[..*begun]));
        let earliest = rest.len() - begun.unwrap_or(0);
        if earliest > limit {
            return Err(beyond);
        }
        self.at_the_end(())?;
        match rest.len() {
            0 => Ok(None),
            available if !or_end => {
                let needed = (earliest + delimiter.len()) as u64;
                Err(ErrorKind::UnexpectedEnd { needed, available: available as u64 })
            }
            left if left > limit => Err(beyond),
            left => Ok(Some(self.take(left))),
        }
    }

    // ---- lines -------------------------------------------------------------------------------------

    /// Returns the length of the content of the first line that ends in these bytes, and with its terminator.
    fn first_line(&self) -> Option<(usize, usize)> {
        let rest = self.rest();
        (0..rest.len()).find_map(|at| {
            let terminator = match (self.rules.ending, &rest[at..]) {
                (LineEnding::Default, [b'\n', ..]) => {
                    let content = if rest[..at].ends_with(b"\r") { at - 1 } else { at };
                    return Some((content, at + 1));
                }
                (LineEnding::CrlfOnly | LineEnding::Lenient, [b'\r', b'\n', ..]) => 2,
                (LineEnding::LfOnly, [b'\n', ..]) | (LineEnding::Lenient, [b'\r' | b'\n', ..]) => 1,
                _ => return None,
            };
            Some((at, at + terminator))
        })
    }

    /// Returns true if the last line, of which nothing more comes, is too long even if half a terminator follows it.
    fn exceeds(&self) -> bool {
        let (rest, limit) = (self.rest(), self.rules.limit);
        let may_end = matches!(self.rules.ending, LineEnding::Default | LineEnding::CrlfOnly)
            && rest.len() == limit.saturating_add(1)
            && rest.ends_with(b"\r");
        rest.len() > limit && !may_end
    }

    /// Goes to the end of the line. Returns false at the end of the input.
    fn pass_line(&mut self) -> Answer<bool> {
        if let Some((_, whole)) = self.first_line() {
            self.take(whole);
            return Ok(true);
        }
        // Half a terminator is kept while its other half may come.
        let kept = usize::from(
            self.is_broken
                && self.rules.ending == LineEnding::CrlfOnly
                && self.rest().ends_with(b"\r"),
        );
        let was_inside = self.inside;
        let discarded = self.rest().len() - kept;
        self.take(discarded);
        self.inside = was_inside || discarded > 0;
        self.at_the_end(false)
    }

    pub(super) fn skip_line(&mut self) -> Answer<bool> {
        self.is_cut_off = false;
        let is_past = self.pass_line()?;
        Ok(std::mem::take(&mut self.inside) || is_past)
    }

    pub(super) fn line(&mut self, is_text: bool) -> Answer<Option<Vec<u8>>> {
        let cut_off = |available: usize| ErrorKind::UnexpectedEnd {
            needed: available as u64 + 1,
            available: available as u64,
        };
        if self.is_cut_off {
            return Err(cut_off(0));
        }
        loop {
            if self.inside && !self.pass_line()? {
                self.inside = false;
                self.is_cut_off = self.rules.strict;
                return if self.rules.strict { Err(cut_off(0)) } else { Ok(None) };
            }
            let left = self.rest().len();
            let found = self.first_line();
            if found.is_none() && (left == 0 || !self.exceeds()) {
                self.at_the_end(())?;
            }
            if left == 0 {
                return Ok(None);
            }
            let (content, whole) = found.unwrap_or((left, left));
            let limit = self.rules.limit;
            if content > limit {
                match self.rules.too_long {
                    TooLong::Skip => self.inside = true,
                    TooLong::Cut => {
                        let shown = self.cut(is_text);
                        let line = self.shown(shown, is_text)?;
                        self.take(shown);
                        self.inside = true;
                        return Ok(Some(line));
                    }
                    _ => return Err(ErrorKind::LineTooLong { limit: limit as u64 }),
                }
                continue;
            }
            if found.is_none() && self.rules.strict {
                return Err(cut_off(left));
            }
            let line = self.shown(content, is_text)?;
            self.take(whole);
            return Ok(Some(line));
        }
    }

    /// Returns how much of a long line is shown.
    fn cut(&self, is_text: bool) -> usize {
        let (rest, limit) = (self.rest(), self.rules.limit);
        // Not in front of a byte that continues a character, unless there are more of them than a character has.
        let is_boundary = |at: &usize| !(0x80..0xc0).contains(&rest[*at]);
        let back = [limit, limit.wrapping_sub(1), limit.wrapping_sub(2), limit.wrapping_sub(3)];
        let boundary = back.into_iter().filter(|at| *at <= limit).find(is_boundary);
        if is_text { boundary.unwrap_or(limit) } else { limit }
    }

    fn shown(&self, content: usize, is_text: bool) -> Answer<Vec<u8>> {
        let content = &self.rest()[..content];
        if !is_text {
            return Ok(content.to_vec());
        }
        match std::str::from_utf8(content) {
            Ok(text) => Ok(text.into()),
            Err(_) if self.rules.replaces => {
                Ok(String::from_utf8_lossy(content).into_owned().into())
            }
            Err(error) => Err(ErrorKind::InvalidUtf8 { offset: error.valid_up_to() as u64 }),
        }
    }
}
