//! Lending all whole lines that have arrived.

use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::task::ready;

use memchr::{memchr, memrchr};

use super::{Found, content_before};
use crate::read::ByteReadChannel;
use crate::read::buffer::Cursor;
use crate::{ErrorKind, Result};

/// The whole lines that have arrived, lent by a channel: an iterator over `&str`, without their terminators.
///
/// Made by [`read_lines_ref`](ByteReadChannel::read_lines_ref). Each call of [`next`](Iterator::next) takes one
/// line out of the channel, so those that are left when this is dropped are the channel's next lines.
pub struct Lines<'a> {
    /// The lines that are left, with their terminators.
    rest: &'a str,
    /// The largest number of bytes of content; a longer line is the channel's to refuse.
    limit: usize,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        let (content, consumed) = match memchr(b'\n', bytes) {
            Some(at) => (content_before(bytes, at), at + 1),
            // The last line of the input.
            None => (bytes.len(), bytes.len()),
        };
        if consumed == 0 || content > self.limit {
            self.rest = "";
            return None;
        }
        // Both are beside an ASCII character or at an end, so they are boundaries of characters.
        let line = &self.rest[..content];
        self.rest = &self.rest[consumed..];
        self.cursor.consume(consumed);
        Some(line)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.rest.len()))
    }
}

impl FusedIterator for Lines<'_> {}

impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("rest", &self.rest).finish_non_exhaustive()
    }
}

impl ByteReadChannel {
    /// Waits until a line has arrived, and lends it together with all whole lines behind it: nothing is copied,
    /// they are checked for UTF-8 at once, and a program that answers them with one
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
            self.poll_line(cx)
        });
        let Some(first) = first.await? else { return Ok(None) };
        self.buffer.front.answers.count();
        self.buffer.trim_block();
        self.lend_lines(&first)
    }

    /// Lends the line that was found, if it is UTF-8, and the valid lines behind it.
    fn lend_lines(&mut self, first: &Found) -> Result<Option<Lines<'_>>> {
        let limit = self.line_options.limit;
        let (readable, cursor) = self.buffer.parts();
        let whole = memrchr(b'\n', readable).map_or(first.consumed, |at| at + 1);
        let rest = match std::str::from_utf8(&readable[..whole]) {
            Ok(rest) => rest,
            Err(error) => {
                let valid = error.valid_up_to();
                if valid < first.content {
                    let kind = ErrorKind::InvalidUtf8 { offset: valid as u64 };
                    return Err(cursor.front.refuse_line(kind, readable, &*self.source));
                }
                let whole = memrchr(b'\n', &readable[..valid]).map_or(0, |at| at + 1);
                std::str::from_utf8(&readable[..whole]).unwrap_or_default()
            }
        };
        Ok(Some(Lines { rest, limit, cursor }))
    }
}
