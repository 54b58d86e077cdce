//! The owner of a socket that a worker watches, on Windows, where it watches only what it owns.

use std::fmt::Debug;
use std::io;

use rustix::fd::{AsFd, BorrowedFd};

use super::{Direction, Progress, Wait};

/// A socket in the hands of the poll that watches it.
pub(crate) trait SocketOwner: AsFd + Debug + Send + Sync {
    /// Runs a system call. Waits for the next event if it finds nothing, or leaves nothing.
    fn attempt(&self, call: &mut dyn FnMut() -> io::Result<Progress>) -> io::Result<Progress>;
}

/// A socket that a worker's poll owns and watches.
#[derive(Debug)]
pub(crate) struct PolledSocket(Box<dyn SocketOwner>);

impl PolledSocket {
    pub(super) fn attempt(
        &self,
        _: Direction,
        call: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        self.0.attempt(&mut || call(self.as_fd()))
    }

    /// The slot has all that there is to wait for.
    #[allow(clippy::unused_self, reason = "the same methods as a socket of a foreign runtime")]
    pub(super) fn wait(&self, _: Direction) -> Wait {
        Wait::Begun
    }
}

impl From<Box<dyn SocketOwner>> for PolledSocket {
    fn from(owner: Box<dyn SocketOwner>) -> Self {
        Self(owner)
    }
}

impl AsFd for PolledSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
