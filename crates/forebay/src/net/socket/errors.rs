//! The errors of a connection's calls: each is noted while the descriptor is held, and the first counts.

use std::io;

use forebay_io::seam::Afterwards;
use forebay_io::{Error, ErrorKind, Result};

use super::core::Core;
use super::life::State;
use super::note::Note;

/// The [`Note`] of a call on a connection.
#[derive(Clone, Copy)]
pub(super) struct CoreNote<'a> {
    core: &'a Core,
    operation: &'static str,
    /// Whether a call may begin no more.
    is_refused: fn(State) -> bool,
}

impl Note for CoreNote<'_> {
    fn check(&self) -> Result<()> {
        if (self.is_refused)(self.core.life().state()) {
            return Err(self.core.refusal(self.operation));
        }
        Ok(())
    }

    fn error(&self, error: io::Error) -> io::Error {
        self.core.note(self.operation, error).into()
    }

    fn is_last(&self) -> bool {
        self.core.life().state().ends_by_release()
    }
}

impl Core {
    /// The note of a call that may always begin.
    pub(super) fn noting(&self, operation: &'static str) -> CoreNote<'_> {
        CoreNote { core: self, operation, is_refused: |_| false }
    }

    /// The note of a reader: once the connection is being closed, only the close receives. What lies on
    /// top of the connection reads until it is ready.
    pub(super) fn reading(&self, is_layer: bool) -> CoreNote<'_> {
        let is_refused =
            if is_layer { State::refuses_reads_of_layer } else { State::refuses_reads };
        CoreNote { core: self, operation: "read", is_refused }
    }

    /// Names the address, and keeps the error if it is the connection's first. Called while the
    /// descriptor is held; see [`Note`].
    pub(super) fn note(&self, operation: &'static str, error: io::Error) -> Error {
        let error = Error::from_io(operation, error);
        if matches!(error.kind(), ErrorKind::Reset | ErrorKind::TimedOut | ErrorKind::Unreachable) {
            self.life().lose();
        }
        self.cause().record(error.with_address(&self.parts().remote))
    }

    /// Tells everybody of an error that a call came back with, and gives the one that counts. What a
    /// closing selector or our own close answers is no error of the connection.
    ///
    /// Like everything here that takes `after`, it may run under the outbox's lock.
    pub(super) fn record(
        &self,
        operation: &'static str,
        error: io::Error,
        after: &mut Afterwards,
    ) -> Error {
        let error = Error::from_io(operation, error);
        let cause = match self.cause().get() {
            // Noted before, as the link's is, it is the same one.
            Some(cause) => cause.clone(),
            None if error.is_closed() => return error,
            None => self.note(operation, error.into()),
        };
        if self.is_lost() {
            // A reader that waits would otherwise depend on the kernel to tell it as well.
            self.link().wake(after);
        }
        self.wake_waiters(after);
        cause
    }

    /// Asks the link for an error that no call has told yet.
    pub(super) fn ask(&self, operation: &'static str, after: &mut Afterwards) -> Option<Error> {
        let error = self.link().take_error(self.noting(operation))?;
        Some(self.record(operation, error, after))
    }

    /// The first error, including one that a call has taken and is about to note.
    pub(super) fn settled_cause(&self) -> Option<&Error> {
        self.link().let_calls_end();
        self.cause().get()
    }

    /// The connection is gone already. There is nothing to be reset, and what arrived before can
    /// still be received from the descriptor.
    pub(super) fn is_lost(&self) -> bool {
        self.life().state().is_lost()
    }
}
