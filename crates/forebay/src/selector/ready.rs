//! The wait for a descriptor of any kind, with level semantics.

use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;
use std::task::Poll;

use forebay_io::seam::poll_answer;
use forebay_io::{Error, ErrorKind, Result};
use rustix::io::Errno;

use super::shared::Shared;
use crate::host::{Interest, seems_always_ready};
use crate::time::is_last_poll;

const CALL: &str = "ready";

impl Shared {
    /// Waits until one of the conditions holds, and returns those that do.
    pub(crate) async fn ready(&self, fd: BorrowedFd<'_>, interest: Interest) -> Result<Interest> {
        // A loop in which the descriptor always is ready gives way to others.
        poll_fn(|cx| poll_answer(cx)).await;
        self.ready_now_or_later(fd, interest).await.map_err(explained)
    }

    async fn ready_now_or_later(
        &self,
        fd: BorrowedFd<'_>,
        interest: Interest,
    ) -> io::Result<Interest> {
        let mut look = || {
            self.check_open(CALL)?;
            interest.look(fd)
        };
        let knows = !seems_always_ready(fd)?;
        if knows && let Some(ready) = look()? {
            return Ok(ready);
        }
        if cfg!(not(any(target_os = "linux", target_os = "android"))) && !knows {
            return Err(Errno::PERM.into());
        }
        let mut nested = self.here().nest(fd, interest)?;
        poll_fn(|cx| {
            let found = nested.poll_look(cx, &mut look);
            // Asked again after the waker is stored: by a selector that closes before that, it was not
            // found; and what has come by a deadline counts, also if no worker has noticed it yet.
            if found.is_pending() && (self.is_closing() || is_last_poll()) {
                return look().transpose().map_or(Poll::Pending, Poll::Ready);
            }
            found
        })
        .await
    }
}

/// Explains the two errors whose cause the system's text does not tell.
fn explained(error: io::Error) -> Error {
    let (kind, detail) = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM) => (
            ErrorKind::InvalidInput,
            "a regular file or a directory does not tell when it is ready, and its calls block: read and \
             write it through blocking_reader and blocking_writer",
        ),
        // Of the paths that an event may take from one descriptor through polls in polls.
        Some(Errno::INVAL) => (
            ErrorKind::Exhausted,
            "the system allows no more waits for this descriptor at once (Linux about 500): let one task \
             wait for the others",
        ),
        _ => return Error::from_io(CALL, error),
    };
    Error::new(kind, CALL).with_cause(error).with_detail(detail)
}
