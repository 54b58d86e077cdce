//! Where a channel's bytes come from.

use std::task::{Context, Poll};

use super::Inlet;
use crate::{Error, Result};

/// What a call of [`Source::poll_fill`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// At least one byte was appended.
    More,
    /// There is nothing more, and there never will be.
    End,
}

/// The reading end of a transport.
pub trait Source: Send + Sync {
    /// Appends at least one byte to the inlet, or reports the end, or keeps the waker and waits.
    ///
    /// # Errors
    ///
    /// What the transport met. An error that lasts is returned by every later call as well; one
    /// that happens once (a read timeout) is returned once, and the channel stays usable.
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>>;

    /// As [`poll_fill`](Self::poll_fill), for a layer that looks further than its reader has asked for.
    /// A source whose `poll_fill` gives way to other tasks, or limits how long a reader waits, does
    /// neither here: `Pending` means that nothing is there.
    ///
    /// # Errors
    ///
    /// What the transport met.
    fn poll_ahead(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        self.poll_fill(cx, inlet)
    }

    /// The reader gave up for this cause: nobody will fill from here any more.
    fn abort(&mut self, cause: &Error);

    /// Why nothing will come after what has arrived already, where that is known.
    fn cause(&self) -> Option<Error> {
        None
    }
}
