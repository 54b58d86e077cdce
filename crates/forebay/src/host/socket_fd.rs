//! The owner of a descriptor, which depends on what watches it.
//!
//! A worker watches a descriptor that it does not own. A foreign runtime only watches what it owns, so at
//! the first wait there the descriptor moves into a socket of the runtime. On Windows a worker, too, watches
//! only what it owns.

use std::io;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Direction, Progress, RuntimeSocket, Wait};

/// An open descriptor, and what owns it.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "tokio", feature = "smol", windows)),
    expect(dead_code, reason = "no runtime owns one")
)]
pub(crate) enum SocketFd {
    /// No runtime watches it.
    Own(OwnedFd),
    /// A runtime watches it for reading and writing, or on Windows a worker. Boxed, so that other sockets are not larger for it.
    Runtime(Box<RuntimeSocket>),
}

impl SocketFd {
    /// Runs a system call, and clears the owner's readiness if nothing is left to do.
    #[inline]
    pub(crate) fn attempt(
        &self,
        direction: Direction,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        match self {
            Self::Own(fd) => call(fd.as_fd()),
            Self::Runtime(socket) => socket.attempt(direction, &mut call),
        }
    }

    /// Waits in the owner's own way, after a wait has begun in the host's slot.
    #[inline]
    pub(crate) fn wait(&self, direction: Direction) -> Wait {
        match self {
            Self::Own(_) => Wait::Begun,
            Self::Runtime(socket) => socket.wait(direction),
        }
    }
}

impl From<OwnedFd> for SocketFd {
    fn from(fd: OwnedFd) -> Self {
        Self::Own(fd)
    }
}

impl AsFd for SocketFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => fd.as_fd(),
            Self::Runtime(socket) => socket.as_fd(),
        }
    }
}
