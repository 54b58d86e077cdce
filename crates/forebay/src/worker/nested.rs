//! A poll of its own for one descriptor, which the worker's poll watches in turn.
//!
//! ```text
//!   worker's poll ──► nested poll ──► any descriptor
//! ```
//!
//! A poll knows a descriptor by its number, and refuses or replaces a second registration of it. In a poll
//! of its own a descriptor can be registered whatever else is: a wait of another task, a registration of
//! another library, or what is left of one whose number was used before. The end of the wait closes the
//! nested poll, and with it every trace of the registration.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mio::Token;
use mio::unix::SourceFd;

use super::{Watched, Worker};
use crate::host::{Direction, Interest, Progress, Ready};
use crate::interrupted::uninterrupted;

/// A poll that watches one descriptor, and is watched by a worker.
pub(crate) struct NestedPoll {
    watched: Watched,
    poll: mio::Poll,
    events: mio::Events,
}

impl NestedPoll {
    /// Makes a wait that `look` answers, called whenever the descriptor may have changed.
    ///
    /// The events are edge-triggered: `look` asks the system for the present state of the descriptor, so an
    /// event only says that it is time to ask. Each event is taken before the state is asked for, so that
    /// one that comes later is reported again.
    pub(crate) fn poll_look<T>(
        &mut self,
        cx: &mut Context<'_>,
        look: &mut dyn FnMut() -> io::Result<Option<T>>,
    ) -> Poll<io::Result<T>> {
        let Self { watched, poll, events } = self;
        let mut found = None;
        let done = ready!((watched as &dyn Ready).poll_io(cx, Direction::Read, || {
            uninterrupted(|| poll.poll(events, Some(Duration::ZERO)))?;
            found = look()?;
            match found {
                Some(_) => Ok(Progress { count: 0, drained: false }),
                None => Err(io::ErrorKind::WouldBlock.into()),
            }
        }));
        Poll::Ready(done.and_then(|_| found.ok_or_else(|| io::ErrorKind::WouldBlock.into())))
    }
}

impl Worker {
    /// Watches a descriptor of any kind here, whether or not it is watched already, until the result is
    /// dropped.
    pub(crate) fn nest(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        interest: Interest,
    ) -> io::Result<NestedPoll> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry();
        registry.register(&mut SourceFd(&fd.as_raw_fd()), Token(0), of_mio(interest))?;
        // A poll can be waited for in no other way (`kqueue(2)` refuses the others).
        let watched = self.watch(registry.as_fd(), mio::Interest::READABLE)?;
        Ok(NestedPoll { watched, poll, events: mio::Events::with_capacity(1) })
    }
}

fn of_mio(interest: Interest) -> mio::Interest {
    let parts = [
        interest.is_readable().then_some(mio::Interest::READABLE),
        interest.is_writable().then_some(mio::Interest::WRITABLE),
        priority(interest),
    ];
    // An interest has at least one part.
    parts.into_iter().flatten().reduce(|all, part| all | part).unwrap_or(mio::Interest::READABLE)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn priority(interest: Interest) -> Option<mio::Interest> {
    interest.is_priority().then_some(mio::Interest::PRIORITY)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn priority(_: Interest) -> Option<mio::Interest> {
    None
}
