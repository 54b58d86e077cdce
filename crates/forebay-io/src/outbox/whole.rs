//! Decides whether an end mark may follow what was accepted: half a message never gets one.
//!
//! A message is not whole in two cases. A slice above the item limit is accepted in pieces, and some of
//! them are missing. Or the channel was told to reset its connection unless it is finished
//! ([`abort_on_drop`](crate::ByteWriteChannel::abort_on_drop)), and it has not been finished. The outbox
//! records both, and not the channel, because most ends do not pass through the channel: closing the socket
//! or its selector, dropping the last handle, a limit on silence. In each of these cases an incomplete
//! message resets the connection.

use crate::{Error, ErrorKind, Result};

/// The state that decides whether an end mark may be sent.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) partial: Option<Partial>,
    /// The channel must be finished by its writer, or the connection is reset.
    pub(super) needs_finish: bool,
    /// An end was turned into a reset, because the message was not whole.
    pub(super) was_cut: bool,
}

/// A slice that is accepted in pieces, of which the last is still missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) accepted: usize,
    pub(super) of: usize,
}

/// One piece of a slice, with the number of bytes before it and in the whole slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) before: usize,
    pub(crate) of: usize,
}

impl Whole {
    /// Returns `true` while a slice is accepted only in part. No other item is accepted behind it.
    pub(super) fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    pub(super) fn check_partial(&self, operation: &'static str) -> Result<()> {
        let Some(Partial { accepted, of }) = self.partial else { return Ok(()) };
        let kind = ErrorKind::Incomplete { accepted: accepted as u64, of: of as u64 };
        Err(Error::new(kind, operation))
    }

    /// Fails if an end mark would follow half a message.
    pub(super) fn check(&self) -> Result<()> {
        self.check_partial("write")?;
        if self.needs_finish {
            return Err(Error::new(ErrorKind::Closed, "write").with_detail(
                "the channel was dropped or its connection closed before it was finished, and it \
                 aborts then (abort_on_drop)",
            ));
        }
        Ok(())
    }
}
