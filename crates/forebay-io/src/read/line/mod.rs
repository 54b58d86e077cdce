//! Reading lines with one resumable scan, which never examines a byte twice.

mod ending;
mod lend;
mod lines;
mod options;
mod skip;
#[cfg(test)]
mod tests;
mod wait;

use std::task::{Context, Poll, ready};

use self::ending::Found;
pub use self::ending::LineEnding;
pub use self::lines::Lines;
pub(super) use self::options::LINE_BYTES_MAX;
pub use self::options::{LineOptions, TooLong};
use self::wait::{Form, LineSource, ReadLine};
use super::front::Standing;
use super::{ByteReadChannel, Extras};
use crate::{ErrorKind, Result};

impl ByteReadChannel {
    /// Sets how lines are read from now on, by every call that reads or skips one.
    ///
    /// A line that was refused is judged anew. The rest of a line that is being skipped, or was cut, is still
    /// discarded.
    pub fn set_line_options(&mut self, options: LineOptions) {
        let before = self.line_options();
        if options.ending != before.ending {
            self.buffer.front.scanned = 0;
        }
        if options != before {
            self.extras.get_or_insert_default().line_options = options;
        }
        self.judge_lines_anew();
    }

    /// Makes the next call judge the line at the front by the options and limits of now.
    pub(super) fn judge_lines_anew(&mut self) {
        let front = &mut self.buffer.front;
        if matches!(front.standing(), Some(Standing::Refused(_))) {
            front.forget_line();
        }
        // They may be too long now, or end elsewhere.
        front.checked.clear();
    }

    #[inline]
    pub(super) fn line_options(&self) -> LineOptions {
        self.extras.as_ref().map_or_else(LineOptions::new, |extras| extras.line_options)
    }

    /// Returns the limit of a line, from the options or from the limits.
    #[inline]
    pub(super) fn line_limit(&self) -> usize {
        let of_extras = |extras: &Extras| extras.line_options.limit_or(extras.limits.line);
        self.extras.as_deref().map_or(LINE_BYTES_MAX, of_extras)
    }

    /// Reads a line, without its LF or CRLF. A lone CR is content. Returns `None` at the end; a last line
    /// without a terminator counts as a line if it has content. [`LineOptions`] change all of this.
    ///
    /// # Errors
    ///
    /// - [`LineTooLong`](ErrorKind::LineTooLong): there is more content than the limit, 64 KiB unless the
    ///   options or the selector set another.
    /// - [`InvalidUtf8`](ErrorKind::InvalidUtf8), with the offset in the line.
    /// - [`UnexpectedEnd`](ErrorKind::UnexpectedEnd), with [`LineOptions::strict`] only: the input ended in
    ///   the middle of a line.
    /// - The connection's error: [`Reset`](ErrorKind::Reset), [`Closed`](ErrorKind::Closed), …
    ///
    /// After the first three, the channel stays at the start of the line and the next call returns the same
    /// error, without examining the line again. The line's bytes can still be read, and
    /// [`skip_line`](Self::skip_line) gets past them. A line that was refused as text can be read by
    /// [`read_line_bytes_ref`](Self::read_line_bytes_ref).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call leaves the line and the scan position in the channel. With
    /// [`TooLong::Skip`], what was discarded of a long line stays discarded, and the next call that reads or
    /// skips a line goes on to the end of that line.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from("one\r\n\ntwo");
    /// while let Some(line) = input.read_line().await? {
    ///     println!("{line:?}"); // "one", "", "two"
    /// }
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "readUTF8Line")]
    #[doc(alias = "readLine")]
    #[inline]
    pub fn read_line(&mut self) -> impl Future<Output = Result<Option<String>>> + Send + use<'_> {
        ReadLine::new(self)
    }

    /// Reads a line and lends it from the channel's own memory, without allocating or copying.
    ///
    /// # Errors
    ///
    /// Those of [`read_line`](Self::read_line).
    ///
    /// # Cancel safety
    ///
    /// Lossless, as [`read_line`](Self::read_line).
    #[inline]
    pub fn read_line_ref(
        &mut self,
    ) -> impl Future<Output = Result<Option<&'_ str>>> + Send + use<'_> {
        ReadLine::new(self)
    }

    /// Appends a line to `line`. Returns `false` at the end.
    ///
    /// # Errors
    ///
    /// Those of [`read_line`](Self::read_line); nothing is appended then.
    ///
    /// # Cancel safety
    ///
    /// Lossless, as [`read_line`](Self::read_line): nothing is appended before the line is complete.
    #[doc(alias = "readUTF8LineTo")]
    pub async fn read_line_into(&mut self, line: &mut String) -> Result<bool> {
        let Some(content) = self.read_line_ref().await? else {
            return Ok(false);
        };
        line.push_str(content);
        self.buffer.end_call();
        Ok(true)
    }

    /// Reads a line and lends its bytes, whatever they are, for protocols whose lines need not be UTF-8. Returns `None`
    /// at the end.
    ///
    /// # Errors
    ///
    /// Those of [`read_line`](Self::read_line), but for [`InvalidUtf8`](ErrorKind::InvalidUtf8).
    ///
    /// # Cancel safety
    ///
    /// Lossless, as [`read_line`](Self::read_line).
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::from(&b"X-Name: Ad\xe9le\r\n\r\n"[..]);
    /// assert!(input.read_line().await.is_err());
    /// assert_eq!(input.read_line_bytes_ref().await?, Some(&b"X-Name: Ad\xe9le"[..]));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn read_line_bytes_ref(
        &mut self,
    ) -> impl Future<Output = Result<Option<&'_ [u8]>>> + Send + use<'_> {
        ReadLine::new(self)
    }

    /// Searches the bytes that no earlier search has seen. On success the position stays before the end of the line.
    #[inline]
    fn search(&mut self) -> Option<Found> {
        let ending = self.line_options().ending;
        let (readable, cursor) = self.buffer.parts();
        // The usual wait begins with nothing at all.
        if readable.is_empty() {
            return None;
        }
        let found = ending.find(readable, cursor.front.scanned);
        cursor.front.scanned = found.map_or(readable.len(), |found| found.content);
        found
    }

    /// Returns the line that the end of the input ends, if there is one.
    fn last_line(&mut self) -> Result<Option<Found>> {
        let left = self.buffer.len();
        if left == 0 {
            return Ok(None);
        }
        if self.line_options().strict && left <= self.line_limit() {
            return Err(self.refuse_line(cut_off(left)));
        }
        Ok(Some(Found::whole(left, left)))
    }

    /// Answers where the input has ended while the rest of a line was being discarded.
    fn end_inside(&mut self) -> Result<Option<Found>> {
        self.buffer.front.set_standing(None);
        if self.line_options().strict { Err(self.refuse_line(cut_off(0))) } else { Ok(None) }
    }
}

impl LineSource for ByteReadChannel {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be a tenth of a line")]
    fn find_checked(&self) -> Option<Found> {
        let (content, consumed) = self.buffer.find_checked()?;
        Some(Found::whole(content, consumed))
    }

    fn poll_line(&mut self, cx: &mut Context<'_>, form: Form) -> Poll<Result<Option<Found>>> {
        ready!(self.poll_lent(cx, "read_line"))?;
        match self.buffer.front.standing() {
            // It was refused as text.
            Some(Standing::Refused(ErrorKind::InvalidUtf8 { .. })) if form == Form::Bytes => {}
            Some(Standing::Refused(fault)) => return self.poll_refused(cx, fault),
            Some(Standing::Inside) if !ready!(self.poll_past_line(cx))? => {
                return Poll::Ready(self.end_inside());
            }
            Some(Standing::Inside) | None => {}
        }
        let (limit, options) = (self.line_limit(), self.line_options());
        // Space for a line at its limit and its terminator. One more byte would not change the answer.
        let most = limit.saturating_add(2);
        loop {
            let found = match self.search() {
                Some(found) => found,
                None if options.ending.exceeds(self.buffer.readable(), limit) => {
                    Found::cut(self.buffer.len())
                }
                None if ready!(self.poll_more(cx, most))? => continue,
                None => match self.last_line() {
                    Ok(Some(found)) => found,
                    end => return Poll::Ready(end),
                },
            };
            if found.content <= limit {
                return Poll::Ready(Ok(Some(found)));
            }
            match options.too_long {
                TooLong::Fail => return Poll::Ready(Err(self.refuse_line(too_long(limit)))),
                TooLong::Cut => return Poll::Ready(Ok(Some(self.cut(form)))),
                TooLong::Skip if !ready!(self.poll_past_line(cx))? => {
                    return Poll::Ready(self.end_inside());
                }
                TooLong::Skip => {}
            }
        }
    }
}

fn too_long(limit: usize) -> ErrorKind {
    ErrorKind::LineTooLong { limit: limit as u64 }
}

/// Returns the error of a line of which the input has only the first bytes.
fn cut_off(available: usize) -> ErrorKind {
    ErrorKind::UnexpectedEnd { needed: available as u64 + 1, available: available as u64 }
}
