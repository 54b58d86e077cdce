//! Lending the line that was found, or refusing it.

use std::task::{Context, Poll, ready};

use super::LineEnding;
use super::ending::{Found, Next};
use super::wait::{Form, Lent};
use crate::read::buffer::Cursor;
use crate::read::front::{Front, Standing};
use crate::read::{ByteReadChannel, Extras};
use crate::seam::Source;
use crate::{Error, ErrorKind, Result};

/// The first bytes of a TLS handshake: the type of its record, and the first half of the version (RFC 8446,
/// section 5.1).
const TLS_HANDSHAKE: [u8; 2] = [22, 3];

impl<'a> Lent<'a, ByteReadChannel> for &'a str {
    const FORM: Form = Form::Text;

    #[inline]
    fn of_checked(channel: &'a mut ByteReadChannel, found: Found) -> Self {
        channel.buffer.take_checked(found.content, found.consumed)
    }

    fn of(channel: &'a mut ByteReadChannel, found: Found) -> Result<Option<Self>> {
        if channel.check_with(found) {
            return Ok(Some(Self::of_checked(channel, found)));
        }
        // Moved before it is lent: afterwards it cannot be moved, and the task may keep it for long.
        channel.buffer.trim_block();
        channel.lend_text(found)
    }
}

impl<'a> Lent<'a, ByteReadChannel> for &'a [u8] {
    const FORM: Form = Form::Bytes;

    #[inline]
    fn of_checked(channel: &'a mut ByteReadChannel, found: Found) -> Self {
        channel.buffer.take_checked(found.content, found.consumed).as_bytes()
    }

    fn of(channel: &'a mut ByteReadChannel, found: Found) -> Result<Option<Self>> {
        channel.check_with(found);
        channel.buffer.trim_block();
        Ok(Some(channel.lend_bytes(found)))
    }
}

impl<'a> Lent<'a, ByteReadChannel> for String {
    const FORM: Form = Form::Text;

    #[inline]
    fn of_checked(channel: &'a mut ByteReadChannel, found: Found) -> Self {
        let line = channel.buffer.take_checked(found.content, found.consumed).to_owned();
        channel.buffer.end_checked_call();
        line
    }

    fn of(channel: &'a mut ByteReadChannel, found: Found) -> Result<Option<Self>> {
        let line = if channel.check_with(found) {
            Some(channel.buffer.take_checked(found.content, found.consumed))
        } else {
            channel.lend_text(found)?
        };
        let line = line.map(str::to_owned);
        channel.buffer.end_call();
        Ok(line)
    }
}

impl ByteReadChannel {
    /// Checks the lines that have arrived with this one, the first. Returns `true` if it is checked then.
    #[inline]
    fn check_with(&mut self, first: Found) -> bool {
        first.consumed < self.buffer.len()
            && first.next == Next::Line
            && self.line_options().ending == LineEnding::Default
            && self.buffer.check_lines(first.consumed, self.line_limit())
    }

    /// Consumes the line and lends its content, if it is UTF-8 or may be replaced.
    pub(super) fn lend_text(&mut self, found: Found) -> Result<Option<&str>> {
        let (readable, mut cursor) = self.buffer.parts();
        let line = &readable[..found.content];
        if let Ok(content) = std::str::from_utf8(line) {
            cursor.consume_line(found);
            return Ok(Some(content));
        }
        match text_of(self.extras.as_deref_mut(), line) {
            Ok(content) => {
                cursor.consume_line(found);
                Ok(Some(content))
            }
            Err(kind) => Err(cursor.front.refuse_line(kind, readable, &*self.source)),
        }
    }

    /// Consumes the line and lends its content.
    pub(super) fn lend_bytes(&mut self, found: Found) -> &[u8] {
        let (readable, mut cursor) = self.buffer.parts();
        cursor.consume_line(found);
        &readable[..found.content]
    }

    /// Returns as much of the line, which is longer than the limit, as may be lent.
    pub(super) fn cut(&self, form: Form) -> Found {
        let (readable, limit) = (self.buffer.readable(), self.line_limit());
        Found::cut(match form {
            Form::Text => floor_of_character(readable, limit),
            Form::Bytes => limit,
        })
    }

    /// Repeats the error without examining the line again. A loop that ignores it gives way to other tasks.
    pub(super) fn poll_refused<T>(
        &mut self,
        cx: &mut Context<'_>,
        fault: ErrorKind,
    ) -> Poll<Result<T>> {
        ready!(self.buffer.front.answers.poll_more(cx));
        Poll::Ready(Err(self.refuse_line(fault)))
    }

    #[cold]
    pub(super) fn refuse_line(&mut self, fault: ErrorKind) -> Error {
        let (readable, cursor) = self.buffer.parts();
        cursor.front.refuse_line(fault, readable, &*self.source)
    }
}

/// Returns the largest boundary of a character up to `at`, at which there is a byte. Bytes that are not UTF-8 have none
/// near, and any is as good.
fn floor_of_character(bytes: &[u8], at: usize) -> usize {
    let is_boundary = |&at: &usize| bytes[at] & 0b1100_0000 != 0b1000_0000;
    (at.saturating_sub(3)..=at).rev().find(is_boundary).unwrap_or(at)
}

/// Returns the text of a line: its own bytes, or what replaces them.
#[cold]
pub(super) fn text_of<'a>(
    extras: Option<&'a mut Extras>,
    line: &'a [u8],
) -> std::result::Result<&'a str, ErrorKind> {
    match (std::str::from_utf8(line), extras) {
        (Ok(text), _) => Ok(text),
        (Err(_), Some(extras)) if extras.line_options.replaces_invalid => {
            Ok(extras.replaced.insert(String::from_utf8_lossy(line).into()))
        }
        (Err(error), _) => Err(ErrorKind::InvalidUtf8 { offset: error.valid_up_to() as u64 }),
    }
}

impl Cursor<'_> {
    /// Consumes a line.
    #[inline]
    pub(super) fn consume_line(&mut self, line: Found) {
        self.consume(line.consumed);
        match line.next {
            Next::Line => {}
            Next::MaybeLf => self.front.behind_cr = true,
            Next::Rest => self.front.set_standing(Some(Standing::Inside)),
        }
    }
}

impl Front {
    /// Keeps the error for the calls to come, and returns it.
    #[cold]
    pub(super) fn refuse_line(
        &mut self,
        fault: ErrorKind,
        bytes: &[u8],
        source: &dyn Source,
    ) -> Error {
        self.set_standing(Some(Standing::Refused(fault)));
        self.answers.count();
        let error = Error::new(fault, "read_line").or_address(|| source.peer());
        error.with_detail(match fault {
            _ if bytes.starts_with(&TLS_HANDSHAKE) => {
                "it begins like a TLS handshake: the peer speaks TLS, and this side does not"
            }
            ErrorKind::InvalidUtf8 { .. } => "skip_line skips it, and read returns its bytes",
            ErrorKind::UnexpectedEnd { .. } => {
                "the last line has no terminator, which LineOptions::strict refuses"
            }
            _ => "skip_line skips it",
        })
    }
}
