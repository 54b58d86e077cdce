//! Reading lines with one resumable scan, which never examines a byte twice.

mod lines;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use memchr::memchr;

pub use self::lines::Lines;
use super::ByteReadChannel;
use super::front::Front;
use crate::seam::Source;
use crate::{Error, ErrorKind, Result};

/// The limit of a line's content unless [`LineOptions::limit`] sets another: 64 KiB.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The first bytes of a TLS handshake: the type of its record, and the first half of the version (RFC 8446,
/// section 5.1).
const TLS_HANDSHAKE: [u8; 2] = [22, 3];

/// The rules by which a channel reads lines. Set with [`set_line_options`](ByteReadChannel::set_line_options), and used by
/// every call that reads a line.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// use forebay::{ByteReadChannel, LineOptions};
///
/// let mut input = ByteReadChannel::from("far too long\nok\n");
/// input.set_line_options(LineOptions::new().limit(5));
/// assert!(input.read_line().await.is_err_and(|error| error.is_line_too_long()));
/// assert!(input.skip_line().await?);
/// assert_eq!(input.read_line().await?.as_deref(), Some("ok"));
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineOptions {
    limit: usize,
}

impl LineOptions {
    /// Returns the defaults: lines end in LF or CRLF, and have at most 64 KiB of content.
    pub const fn new() -> Self {
        Self { limit: LINE_BYTES_MAX }
    }

    /// Sets the largest number of bytes of content that a line may have, without its terminator.
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

impl Default for LineOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A line at the front of the buffer: the length of its content, and the number of bytes to consume.
struct Found {
    content: usize,
    consumed: usize,
}

impl ByteReadChannel {
    /// Sets how lines are read from now on.
    pub fn set_line_options(&mut self, options: LineOptions) {
        self.line_options = options;
        // The line that was too long may be short enough now.
        self.buffer.front.forget_fault();
    }

    /// Reads a line, without its LF or CRLF. A lone CR is content. Returns `None` at the end; a last line
    /// without a terminator counts as a line if it has content.
    ///
    /// # Errors
    ///
    /// - [`LineTooLong`](ErrorKind::LineTooLong), [`InvalidUtf8`](ErrorKind::InvalidUtf8): the channel
    ///   stays at the start of the line and the next call returns the same error. The line's bytes can
    ///   still be read, and [`skip_line`](Self::skip_line) skips them.
    /// - The connection's error: [`Reset`](ErrorKind::Reset), [`Closed`](ErrorKind::Closed), …
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call leaves the line and the scan position in the channel.
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
    pub async fn read_line(&mut self) -> Result<Option<String>> {
        let line = self.read_line_ref().await?.map(str::to_owned);
        self.buffer.end_call();
        Ok(line)
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
    pub async fn read_line_ref(&mut self) -> Result<Option<&str>> {
        // Not in a future of its own, which would be polled by a call for every line.
        let found = match self.find_line() {
            Some(found) => found,
            None => match poll_fn(|cx| self.poll_line(cx)).await? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        // Moved before it is lent: afterwards it cannot be moved, and the task may keep it for long.
        self.buffer.trim_block();
        self.lend_line(&found)
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

    /// Discards everything up to and including the next LF, in bounded memory. Returns `false` if there was
    /// nothing left at all.
    ///
    /// # Errors
    ///
    /// The connection's error.
    ///
    /// # Cancel safety
    ///
    /// Resumes: what was discarded stays discarded, and another call continues to the same LF.
    pub async fn skip_line(&mut self) -> Result<bool> {
        self.lent("skip_line").await?;
        let mut skipped = false;
        loop {
            if let Some(at) = memchr(b'\n', self.buffer.readable()) {
                self.discard_buffered(at + 1);
                return Ok(true);
            }
            skipped |= !self.buffer.is_empty();
            self.discard_buffered(self.buffer.len());
            if !poll_fn(|cx| self.poll_more(cx, 1)).await? {
                return Ok(skipped);
            }
        }
    }

    /// Finds a line that is buffered already: the usual case.
    #[inline]
    fn find_line(&mut self) -> Option<Found> {
        if self.lent.taken != 0 || self.buffer.front.fault.is_some() {
            return None;
        }
        let (readable, cursor) = self.buffer.parts();
        let scanned = cursor.front.scanned;
        let Some(at) = memchr(b'\n', &readable[scanned..]) else {
            cursor.front.scanned = readable.len();
            return None;
        };
        let at = scanned + at;
        let found = Found { content: content_before(readable, at), consumed: at + 1 };
        (found.content <= self.line_options.limit).then_some(found)
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Found>>> {
        ready!(self.poll_lent(cx, "read_line"))?;
        if let Some(fault) = self.buffer.front.fault {
            return self.poll_fault(cx, fault);
        }
        let limit = self.line_options.limit;
        // Space for a line at its limit and its terminator. One more byte would not change the answer.
        let most = limit.saturating_add(2);
        loop {
            if let Some(at) = self.search() {
                let content = content_before(self.buffer.readable(), at);
                return self.checked(Found { content, consumed: at + 1 });
            }
            if self.too_long_already() {
                return self.too_long();
            }
            if !ready!(self.poll_more(cx, most))? {
                let left = self.buffer.len();
                if left == 0 {
                    return Poll::Ready(Ok(None));
                }
                return self.checked(Found { content: left, consumed: left });
            }
        }
    }

    /// Searches the bytes that no earlier search has seen. On success the position stays before the LF.
    #[inline]
    fn search(&mut self) -> Option<usize> {
        let unseen = &self.buffer.readable()[self.buffer.front.scanned..];
        let Some(at) = memchr(b'\n', unseen) else {
            self.buffer.front.scanned = self.buffer.len();
            return None;
        };
        self.buffer.front.scanned += at;
        Some(self.buffer.front.scanned)
    }

    /// Returns `true` if the content exceeds the limit whatever comes; there is no LF yet. A CR just behind
    /// the limit may be half of the terminator.
    fn too_long_already(&self) -> bool {
        let bytes = self.buffer.readable();
        match bytes.get(self.line_options.limit) {
            None => false,
            Some(b'\r') => bytes.len() > self.line_options.limit + 1,
            Some(_) => true,
        }
    }

    fn checked(&mut self, found: Found) -> Poll<Result<Option<Found>>> {
        if found.content > self.line_options.limit {
            return self.too_long();
        }
        Poll::Ready(Ok(Some(found)))
    }

    fn too_long(&mut self) -> Poll<Result<Option<Found>>> {
        let kind = ErrorKind::LineTooLong { limit: self.line_options.limit as u64 };
        Poll::Ready(Err(self.refuse_line(kind)))
    }

    /// Repeats the error without examining the line again. A loop that ignores it gives way to other tasks.
    fn poll_fault<T>(&mut self, cx: &mut Context<'_>, fault: ErrorKind) -> Poll<Result<T>> {
        ready!(self.buffer.front.answers.poll_more(cx));
        Poll::Ready(Err(self.refuse_line(fault)))
    }

    #[cold]
    fn refuse_line(&mut self, fault: ErrorKind) -> Error {
        let (readable, cursor) = self.buffer.parts();
        cursor.front.refuse_line(fault, readable, &*self.source)
    }

    /// Consumes the line and lends its content, if it is UTF-8.
    #[inline]
    fn lend_line(&mut self, found: &Found) -> Result<Option<&str>> {
        let (readable, mut cursor) = self.buffer.parts();
        match std::str::from_utf8(&readable[..found.content]) {
            Ok(content) => {
                cursor.consume(found.consumed);
                Ok(Some(content))
            }
            Err(error) => {
                let kind = ErrorKind::InvalidUtf8 { offset: error.valid_up_to() as u64 };
                Err(cursor.front.refuse_line(kind, readable, &*self.source))
            }
        }
    }
}

/// Returns the length of the content in front of an LF.
#[inline]
fn content_before(bytes: &[u8], lf: usize) -> usize {
    if lf > 0 && bytes[lf - 1] == b'\r' { lf - 1 } else { lf }
}

impl Front {
    /// Keeps the error for the calls to come, and returns it.
    #[cold]
    fn refuse_line(&mut self, fault: ErrorKind, bytes: &[u8], source: &dyn Source) -> Error {
        self.fault = Some(fault);
        self.answers.count();
        let error = Error::new(fault, "read_line").or_address(|| source.peer());
        error.with_detail(match fault {
            _ if bytes.starts_with(&TLS_HANDSHAKE) => {
                "it begins like a TLS handshake: the peer speaks TLS, and this side does not"
            }
            ErrorKind::InvalidUtf8 { .. } => "skip_line skips it, and read returns its bytes",
            _ => "skip_line skips it",
        })
    }
}
