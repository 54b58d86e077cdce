//! The rules by which lines are read.

use std::num::NonZero;

use super::LineEnding;

/// The limit of a line's content, unless the selector or [`LineOptions::limit`] sets another: 64 KiB.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// The rules by which a channel reads lines. Set with
/// [`set_line_options`](crate::ByteReadChannel::set_line_options), and used by every call that reads or skips a line.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// use forebay::{ByteReadChannel, LineEnding, LineOptions, TooLong};
///
/// let mut input = ByteReadChannel::from("far too long\rok\rcut off");
/// input.set_line_options(
///     LineOptions::new().limit(7).ending(LineEnding::Lenient).too_long(TooLong::Skip).strict(true),
/// );
/// assert_eq!(input.read_line().await?.as_deref(), Some("ok"));
/// assert!(input.read_line().await.is_err_and(|error| error.is_end()));
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineOptions {
    /// The limit and one, because zero is a limit. `None`: as much as the channel allows by itself.
    above_limit: Option<NonZero<usize>>,
    pub(super) ending: LineEnding,
    pub(super) too_long: TooLong,
    pub(super) strict: bool,
    pub(super) replaces_invalid: bool,
}

/// The treatment of a line that is longer than its limit. Set with [`LineOptions::too_long`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TooLong {
    /// The call returns [`LineTooLong`](crate::ErrorKind::LineTooLong) and the channel stays at the start of the line,
    /// which [`skip_line`](crate::ByteReadChannel::skip_line) gets past.
    #[default]
    Fail,
    /// The line is discarded as it arrives, and the call goes on to the next one.
    Skip,
    /// The call returns the first bytes of the line, as many as the limit allows; text is cut between two characters.
    /// The next call that reads or skips a line discards the rest of it first. A call that reads bytes instead gets
    /// that rest.
    Cut,
}

impl LineOptions {
    /// Returns the defaults: lines end in LF or CRLF, have at most as much content as the selector allows (64 KiB
    /// unless it was told otherwise), and are valid UTF-8; the last one needs no terminator.
    pub const fn new() -> Self {
        Self {
            above_limit: None,
            ending: LineEnding::Default,
            too_long: TooLong::Fail,
            strict: false,
            replaces_invalid: false,
        }
    }

    /// Sets the largest number of bytes of content that a line may have, without its terminator.
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.above_limit = NonZero::new(bytes.saturating_add(1));
        self
    }

    /// Sets the bytes that end a line.
    #[doc(alias = "LineEndingMode")]
    #[must_use]
    pub const fn ending(mut self, ending: LineEnding) -> Self {
        self.ending = ending;
        self
    }

    /// Refuses a last line without a terminator, as [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd): the input may
    /// have been cut off. Its bytes stay readable, and every further line call returns the same error. Off by default:
    /// such a line is a line.
    #[doc(alias = "readLineStrict")]
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Replaces each sequence of bytes that is not UTF-8 by U+FFFD, as [`String::from_utf8_lossy`] does, instead of
    /// returning [`InvalidUtf8`](crate::ErrorKind::InvalidUtf8). Off by default. The limit counts the bytes that
    /// arrived; a replaced text can be three times as long.
    #[must_use]
    pub const fn replace_invalid(mut self, replace: bool) -> Self {
        self.replaces_invalid = replace;
        self
    }

    /// Sets the treatment of a line that is longer than the limit.
    #[must_use]
    pub const fn too_long(mut self, treatment: TooLong) -> Self {
        self.too_long = treatment;
        self
    }

    /// Returns the limit, which is this one unless another was set.
    pub(super) fn limit_or(&self, default: usize) -> usize {
        self.above_limit.map_or(default, |above| above.get() - 1)
    }
}

impl Default for LineOptions {
    fn default() -> Self {
        Self::new()
    }
}
