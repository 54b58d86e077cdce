//! A Unix socket by which descriptors come with the bytes (`SCM_RIGHTS`, `unix(7)`).
//!
//! ```text
//!   peer:      bytes ─── message with 2 descriptors ─── bytes ─── message with 1
//!   receive:   │ ends behind a message with descriptors; the bytes go into the channel's buffer
//!   waiting:   [2], [1]     one entry for each message, in order, `most` descriptors in all
//! ```
//!
//! Each receive offers room for them, whichever read has asked for it: the system closes descriptors for which a
//! receive has no room, and a read never knows what it will find.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Mutex;

use forebay_io::{ErrorKind, Result};

use crate::lock::lock;
use crate::net::rights::{self, Received};

/// The descriptors that have come by a connection, and are not taken yet.
pub(super) struct Passing {
    most: u8,
    waiting: Mutex<VecDeque<Arrival>>,
}

/// The descriptors of one message.
enum Arrival {
    Descriptors(Vec<OwnedFd>),
    /// They were closed, for lack of the room that is set or of numbers in this process.
    Lost(ErrorKind),
}

impl Passing {
    pub(super) fn new(most: u8) -> Self {
        Self { most, waiting: Mutex::default() }
    }

    /// Receives bytes, and keeps the descriptors that come with them.
    pub(super) fn receive(&self, fd: BorrowedFd<'_>, into: &mut [u8]) -> rustix::io::Result<usize> {
        let received = rights::receive(fd, into, self.most)?;
        let bytes = received.bytes;
        if received.is_cut || !received.fds.is_empty() {
            self.arrived(received);
        }
        Ok(bytes)
    }

    /// Notes what came with a message. Descriptors that cannot be kept are closed.
    fn arrived(&self, received: Received) {
        let mut closed = Vec::new();
        let mut waiting = lock(&self.waiting);
        let held: usize = waiting.iter().map(Arrival::count).sum();
        let room = usize::from(self.most).saturating_sub(held);
        let arrival = if let Some(loss) = rights::loss(&received, room, self.most) {
            closed = received.fds;
            Arrival::Lost(loss)
        } else {
            Arrival::Descriptors(received.fds)
        };
        // One loss stands for those that follow it at once: a peer must not make this grow.
        let follows_a_loss = matches!(waiting.back(), Some(Arrival::Lost(_)));
        if !(follows_a_loss && matches!(arrival, Arrival::Lost(_))) {
            waiting.push_back(arrival);
        }
        drop(waiting);
        drop(closed);
    }

    /// Takes what came with the first message that had descriptors.
    pub(super) fn take(&self) -> Option<Result<Vec<OwnedFd>>> {
        let first = lock(&self.waiting).pop_front()?;
        Some(match first {
            Arrival::Descriptors(fds) => Ok(fds),
            Arrival::Lost(kind) => Err(rights::loss_error(kind)),
        })
    }
}

impl Arrival {
    fn count(&self) -> usize {
        match self {
            Self::Descriptors(fds) => fds.len(),
            Self::Lost(_) => 0,
        }
    }
}
