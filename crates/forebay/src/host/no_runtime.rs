//! No socket of a foreign runtime: what is compiled without the feature that brings one, and on systems where
//! a runtime watches a worker's poll instead.

use std::io;

use rustix::fd::{AsFd, BorrowedFd};

use super::{Direction, Progress, Wait};

/// A descriptor that a runtime owns and watches; there is none.
#[derive(Debug)]
pub(crate) enum NoRuntimeSocket {}

impl NoRuntimeSocket {
    pub(super) fn attempt(
        &self,
        _: Direction,
        _: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        match *self {}
    }

    pub(super) fn wait(&self, _: Direction) -> Wait {
        match *self {}
    }

    pub(crate) fn leave(&self) {
        match *self {}
    }
}

impl AsFd for NoRuntimeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
