//! The errors of a connection's calls. Each is noted while the descriptor is held, and the first one
//! counts.

use std::io;

use forebay_io::seam::WakeList;
use forebay_io::{Error, ErrorKind, Result};

use super::core::Core;
use super::life::State;
use super::note::Note;

/// The [`Note`] of a call on a connection that may always begin.
#[derive(Clone, Copy)]
pub(super) struct CoreNote<'a> {
    core: &'a Core,
    operation: &'static str,
}

/// The [`Note`] of a reader, which may not begin once the connection is being closed.
#[derive(Clone, Copy)]
pub(super) struct ReadNote<'a> {
    core: &'a Core,
    is_layer: bool,
}

impl ReadNote<'_> {
    #[inline]
    fn is_refused(&self, state: State) -> bool {
        if self.is_layer { state.refuses_reads_of_layer() } else { state.refuses_reads() }
    }

    /// Returns `true` if nothing that has happened to the connection is a reason to read.
    #[inline]
    pub(super) fn may_wait(&self) -> bool {
        let state = self.core.life().state();
        !state.is_lost() && !self.is_refused(state)
    }
}

impl Note for ReadNote<'_> {
    #[inline]
    fn check(&self) -> Result<()> {
        if self.is_refused(self.core.life().state()) {
            return Err(self.core.refusal("read"));
        }
        Ok(())
    }

    fn error(&self, error: io::Error) -> io::Error {
        self.core.note("read", error).into()
    }

    fn is_last(&self) -> bool {
        self.core.life().state().ends_by_release()
    }
}

impl Note for CoreNote<'_> {
    fn check(&self) -> Result<()> {
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
        CoreNote { core: self, operation }
    }

    /// The note of a reader: once the connection is being closed, only the close receives. A layer on top
    /// of the connection may read until its handshake is complete.
    #[inline]
    pub(super) fn reading(&self, is_layer: bool) -> ReadNote<'_> {
        ReadNote { core: self, is_layer }
    }

    /// Adds the address to the error, and stores it if it is the connection's first. Called while the
    /// descriptor is held; see [`Note`].
    pub(super) fn note(&self, operation: &'static str, error: io::Error) -> Error {
        let error = Error::from_io(operation, error);
        if matches!(error.kind(), ErrorKind::Reset | ErrorKind::TimedOut | ErrorKind::Unreachable) {
            self.life().lose();
        }
        self.record_cause(self.named(error))
    }

    /// Records the connection's cause, if this error is its first, and returns its first.
    pub(super) fn record_cause(&self, error: Error) -> Error {
        let cause = self.cause().record(error);
        self.life().fail();
        cause
    }

    /// Reports an error of a call to all waits, and returns the error that counts. Errors that come from a
    /// closing selector or from a close on this side are not errors of the connection.
    ///
    /// Like every function here that takes `after`, it may run under the outbox's lock.
    pub(super) fn record(
        &self,
        operation: &'static str,
        error: io::Error,
        after: &mut WakeList,
    ) -> Error {
        let error = Error::from_io(operation, error);
        let cause = match self.cause().get() {
            // If the error was noted before, as the link's errors are, it is the same one.
            Some(cause) => cause.clone(),
            None if error.is_closed() => return self.named(error),
            None => self.note(operation, error.into()),
        };
        if self.is_lost() {
            // Otherwise a waiting reader would depend on the kernel to report the error to it as well.
            self.link().wake(after);
        }
        self.wake_waiters(after);
        cause
    }

    /// Asks the link for an error that no call has returned yet.
    pub(super) fn ask(&self, operation: &'static str, after: &mut WakeList) -> Option<Error> {
        let error = self.link().take_error(self.noting(operation))?;
        Some(self.record(operation, error, after))
    }

    /// The first error, including one that a call has received and is about to note.
    pub(super) fn settled_cause(&self) -> Option<&Error> {
        self.link().let_calls_end();
        self.cause().get()
    }

    /// True if the connection is gone already. There is nothing left to reset, and bytes that arrived
    /// before can still be received from the descriptor.
    pub(super) fn is_lost(&self) -> bool {
        self.life().state().is_lost()
    }
}
