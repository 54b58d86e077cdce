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
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Mutex;

use forebay_io::{Error, ErrorKind, Result};
use rustix::cmsg_space;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, recvmsg};

use crate::lock::lock;
use crate::net::system;

/// The most descriptors in one message (`SCM_MAX_FD`, `unix(7)`).
pub(super) const MESSAGE_MAX: usize = 253;

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
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MESSAGE_MAX))];
        let room = cmsg_space!(ScmRights(usize::from(self.most).min(MESSAGE_MAX)));
        let mut control = RecvAncillaryBuffer::new(&mut space[..room]);
        let into = &mut [IoSliceMut::new(into)];
        let received = recvmsg(fd, into, &mut control, system::RECEIVE_FDS_FLAGS)?;
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
        if is_cut || !fds.is_empty() {
            self.arrived(fds, is_cut);
        }
        Ok(received.bytes)
    }

    /// Notes what came with a message. Descriptors that cannot be kept are closed.
    fn arrived(&self, fds: Vec<OwnedFd>, is_cut: bool) {
        let most = usize::from(self.most);
        fds.iter().for_each(system::close_on_exec);
        let mut closed = Vec::new();
        let mut waiting = lock(&self.waiting);
        let held: usize = waiting.iter().map(Arrival::count).sum();
        let arrival = if held + fds.len() > most || is_cut {
            let is_over = held + fds.len() >= most;
            closed = fds;
            // Fewer than there was room for: the process has no more numbers.
            Arrival::Lost(if is_over {
                ErrorKind::LimitExceeded { limit: u64::from(self.most) }
            } else {
                ErrorKind::Exhausted
            })
        } else {
            Arrival::Descriptors(fds)
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
            Arrival::Lost(kind) => Err(Error::new(kind, "receive_with_fds").with_detail(match kind {
                ErrorKind::Exhausted => {
                    "this process has no room for the descriptors of a message; all of them were closed"
                }
                _ => {
                    "a message had more descriptors than descriptors_max leaves room for; all of them were \
                     closed"
                }
            })),
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
