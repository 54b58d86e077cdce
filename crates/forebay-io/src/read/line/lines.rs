//! Lending all whole lines that have arrived.

use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::task::ready;

use memchr::{memchr, memrchr};

use super::LineEnding;
use super::ending::{Found, Next, content_before};
use super::lend::text_of;
use super::wait::{Form, LineSource as _};
use crate::Result;
use crate::read::ByteReadChannel;
use crate::read::buffer::Cursor;

/// The bytes that are checked for UTF-8 at once. A loop that takes one line of each call has no more than these checked
/// again and again.
const CHECKED_BYTES: usize = 1024;

/// The whole lines that have arrived, lent by a channel: an iterator over `&str`, without their terminators.
///
/// Made by [`read_lines_ref`](ByteReadChannel::read_lines_ref). Each call of [`next`](Iterator::next) takes one
/// line out of the channel, so those that are left when this is dropped are the channel's next lines.
pub struct Lines<'a> {
    /// The next lines, with their terminators.
    checked: &'a str,
    /// A line in front of all others that is lent otherwise, and what to consume for it.
    first: Option<(&'a str, Found)>,
    /// The bytes behind them.
    unchecked: &'a [u8],
    /// The largest number of bytes of content; a longer line is the channel's to refuse.
    limit: usize,
    ending: LineEnding,
    cursor: Cursor<'a>,
}

impl<'a> Lines<'a> {
    /// Returns the next line where none is checked, and checks those behind it, if they can be checked together.
    fn next_unchecked(&mut self) -> Option<&'a str> {
        if let Some((line, found)) = self.first.take() {
            self.cursor.consume_line(found);
            return Some(line);
        }
        let bytes = std::mem::take(&mut self.unchecked);
        if self.ending != LineEnding::Default {
            return self.next_alone(bytes);
        }
        let whole = whole_lines(bytes, self.limit)?;
        match std::str::from_utf8(&bytes[..whole]) {
            Ok(checked) => (self.checked, self.unchecked) = (checked, &bytes[whole..]),
            // A fault is the next call's to meet.
            Err(error) => self.checked = whole_before(bytes, error.valid_up_to()),
        }
        self.next_checked()
    }

    /// Returns the next line of those that are checked.
    #[inline]
    fn next_checked(&mut self) -> Option<&'a str> {
        let bytes = self.checked.as_bytes();
        let (content, consumed) = match memchr(b'\n', bytes) {
            Some(at) => (content_before(bytes, at), at + 1),
            // The last line of the input.
            None => (bytes.len(), bytes.len()),
        };
        if consumed == 0 || content > self.limit {
            (self.checked, self.unchecked) = ("", &[]);
            return None;
        }
        // Both are beside an ASCII character or at an end, so they are boundaries of characters.
        let line = &self.checked[..content];
        self.checked = &self.checked[consumed..];
        self.cursor.consume(consumed);
        Some(line)
    }

    /// Returns the first line of these bytes, if it is whole and valid.
    fn next_alone(&mut self, bytes: &'a [u8]) -> Option<&'a str> {
        let found = self.ending.find(bytes, 0).filter(|found| found.content <= self.limit)?;
        let line = std::str::from_utf8(&bytes[..found.content]).ok()?;
        self.unchecked = &bytes[found.consumed..];
        self.cursor.consume_line(found);
        Some(line)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        if self.checked.is_empty() { self.next_unchecked() } else { self.next_checked() }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let first = usize::from(self.first.is_some());
        (0, Some(first + self.checked.len() + self.unchecked.len()))
    }
}

/// Returns the length of the first whole lines: those that are checked at once, or one that is longer. `None` if there
/// is none of a length that may be lent.
fn whole_lines(bytes: &[u8], limit: usize) -> Option<usize> {
    let piece = &bytes[..bytes.len().min(CHECKED_BYTES)];
    let last = memrchr(b'\n', piece).or_else(|| {
        let longest = &bytes[..bytes.len().min(limit.saturating_add(2))];
        let behind = longest.get(piece.len()..)?;
        Some(piece.len() + memchr(b'\n', behind)?)
    });
    last.map(|at| at + 1)
}

/// Returns the whole lines among the first `valid` bytes, which are UTF-8.
fn whole_before(bytes: &[u8], valid: usize) -> &str {
    let whole = memrchr(b'\n', &bytes[..valid]).map_or(0, |at| at + 1);
    std::str::from_utf8(&bytes[..whole]).unwrap_or_default()
}

impl FusedIterator for Lines<'_> {}

impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("checked", &self.checked).finish_non_exhaustive()
    }
}

impl ByteReadChannel {
    /// Waits until a line has arrived, and lends it together with all whole lines behind it: nothing is copied,
    /// they are checked for UTF-8 many at a time, and a program that answers them with one
    /// [`write_with`](crate::ByteWriteChannel::write_with) pays for one write. Returns `None` at the end.
    ///
    /// The lines are those that [`read_line`](Self::read_line) would return. A line is taken out of the channel
    /// when the iterator yields it. A loop that asks again without taking any gives way to other tasks.
    ///
    /// # Errors
    ///
    /// Those of [`read_line`](Self::read_line), for the first line. Lines before one that is too long or is not
    /// UTF-8 are lent without it, and the next call returns the error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has taken nothing, and neither has an iterator that is dropped before its end
    /// taken the lines that it has not yielded.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from("Ada\nGrace\r\nKatherine");
    /// let (mut answers, mut output) = forebay::pipe(4096);
    /// while let Some(names) = input.read_lines_ref().await? {
    ///     output
    ///         .write_with(|out| {
    ///             for name in names {
    ///                 writeln!(out, "Hello, {name}!");
    ///             }
    ///         })
    ///         .await?;
    /// }
    /// output.finish().await?;
    /// assert_eq!(answers.read_line().await?.as_deref(), Some("Hello, Ada!"));
    /// assert_eq!(answers.read_line().await?.as_deref(), Some("Hello, Grace!"));
    /// assert_eq!(answers.read_line().await?.as_deref(), Some("Hello, Katherine!"));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn read_lines_ref(&mut self) -> Result<Option<Lines<'_>>> {
        let first = poll_fn(|cx| {
            // Lending lines of which none is taken is an answer that may be repeated without end.
            ready!(self.buffer.front.answers.poll_more(cx));
            self.poll_line(cx, Form::Text)
        });
        let Some(first) = first.await? else { return Ok(None) };
        self.buffer.front.answers.count();
        self.buffer.trim_block();
        self.lend_lines(first)
    }

    /// Lends the line that was found, if it is UTF-8 or may be replaced, and the valid lines behind it.
    fn lend_lines(&mut self, first: Found) -> Result<Option<Lines<'_>>> {
        let (limit, ending) = (self.line_limit(), self.line_options().ending);
        let (readable, cursor) = self.buffer.parts();
        let mut lines = Lines { checked: "", first: None, unchecked: &[], limit, ending, cursor };
        if ending == LineEnding::Default && first.next == Next::Line {
            // The last line of the input has no terminator.
            let whole = whole_lines(readable, limit).unwrap_or(0).max(first.consumed);
            match std::str::from_utf8(&readable[..whole]) {
                Ok(checked) => {
                    (lines.checked, lines.unchecked) = (checked, &readable[whole..]);
                    return Ok(Some(lines));
                }
                Err(error) if error.valid_up_to() >= first.content => {
                    lines.checked = whole_before(readable, error.valid_up_to());
                    return Ok(Some(lines));
                }
                Err(_) => {}
            }
        }
        match text_of(self.extras.as_deref_mut(), &readable[..first.content]) {
            Ok(text) => lines.first = Some((text, first)),
            Err(kind) => {
                return Err(lines.cursor.front.refuse_line(kind, readable, &*self.source));
            }
        }
        if first.next == Next::Line {
            lines.unchecked = &readable[first.consumed..];
        }
        Ok(Some(lines))
    }
}

#[cfg(test)]
mod tests {
    use forebay_testing::at_once;

    use super::*;
    use crate::read::LineOptions;

    /// A loop that takes one line of each call would have a whole block checked for each of them.
    #[test]
    fn a_call_checks_few_lines_before_they_are_taken() {
        const COUNT: usize = 32 * 1024;
        let mut input = ByteReadChannel::from("a\n".repeat(COUNT));
        let mut count = 0;
        while let Some(mut lines) = at_once(input.read_lines_ref()).unwrap() {
            assert!(lines.checked.len() <= CHECKED_BYTES, "{} bytes", lines.checked.len());
            assert_eq!(lines.next(), Some("a"));
            count += 1;
            if count % 1_000 == 0 {
                count += lines.inspect(|line| assert_eq!(*line, "a")).count();
            }
        }
        assert_eq!(count, COUNT);
    }

    #[test]
    fn the_lines_that_come_next_are_shown() {
        let mut input = ByteReadChannel::from("one\ntwo\n");
        let lines = at_once(input.read_lines_ref()).unwrap().expect("lines");
        assert_eq!(format!("{lines:?}"), r#"Lines { checked: "one\ntwo\n", .. }"#);
    }

    /// As many lines as bytes may come, which may all be line feeds.
    #[test]
    fn the_hint_counts_each_byte_as_a_line() {
        let most = |text: &str, ending, taken| {
            let mut input = ByteReadChannel::from(text.to_owned());
            input.set_line_options(LineOptions::new().ending(ending));
            let mut lines = at_once(input.read_lines_ref()).unwrap().expect("lines");
            assert_eq!(lines.by_ref().take(taken).count(), taken);
            let (least, most) = lines.size_hint();
            assert_eq!(least, 0);
            most
        };
        assert_eq!(most("a\nb\n", LineEnding::Default, 0), Some(4));
        assert_eq!(most("a\nb\n", LineEnding::Default, 2), Some(0));
        assert_eq!(most("a\nb\n", LineEnding::Lenient, 0), Some(3), "the first, and two bytes");
        assert_eq!(most("a\nb\n", LineEnding::Lenient, 1), Some(2));
        assert_eq!(most(&"a\n".repeat(600), LineEnding::Default, 0), Some(1200));
    }
}
