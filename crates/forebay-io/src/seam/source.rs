//! The origin of a channel's bytes.

use std::any::Any;
use std::task::{Context, Poll};

use super::Inlet;
use crate::{Error, Result};

/// The outcome of [`Source::poll_fill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// At least one byte was appended.
    More,
    /// The input has ended; no more bytes will come.
    End,
}

/// The reading end of a transport. `Any`, so that a channel can give back what it was made of.
pub trait Source: Any + Send + Sync {
    /// Appends at least one byte to the inlet, or reports the end, or keeps the waker and waits.
    ///
    /// # Errors
    ///
    /// The transport's error. A lasting error is returned by every later call too; one that happens once (a
    /// read timeout) is returned once, and the channel stays usable.
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>>;

    /// Fills like [`poll_fill`](Self::poll_fill), for a layer that looks further ahead than its reader has
    /// asked. A source whose `poll_fill` gives way to other tasks, or limits how long a reader waits, does
    /// neither here: `Pending` means that nothing has arrived.
    ///
    /// # Errors
    ///
    /// The transport's error.
    fn poll_ahead(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        self.poll_fill(cx, inlet)
    }

    /// Gives up as the reader, with this cause: the source will not be polled again.
    fn abort(&mut self, cause: &Error);

    /// Returns the reason why nothing will come after what has arrived already, if it is known.
    fn cause(&self) -> Option<Error> {
        None
    }

    /// Returns the peer's address, if there is one. Called only to name it in an error that the channel
    /// makes: a line that is too long, an end in the middle of an item.
    fn peer(&self) -> Option<String> {
        None
    }
}
