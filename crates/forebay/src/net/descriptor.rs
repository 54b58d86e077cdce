//! The one place where a socket's descriptor lives.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use forebay_io::seam::Afterwards;

use super::registration::Registration;
use crate::host::{self, Direction, Hangup, Host, Progress, Ready};
use crate::interrupted::uninterrupted;
use crate::selector::{Shared, closed};
use crate::time::WakeUp;

/// Who waits, and therefore what a closing selector means to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// A user's call: a closing selector ends it.
    User,
    /// The way out (sending what was accepted, closing): a closing selector lets it finish, for as
    /// long as it runs at all.
    WayOut,
}

/// An open descriptor, or what is left after it was released.
///
/// A call holds the descriptor for the length of one system call, and releasing waits for it. So a
/// number is never reused under a call, and closing works while channels are alive.
pub(crate) struct Descriptor {
    /// Registered at the first wait, by the host of the thread that waits.
    registration: Registration<OwnedFd, dyn Ready>,
    /// The last receive before the first wait took everything that was there.
    drained: AtomicBool,
    selector: Arc<Shared>,
}

impl Descriptor {
    pub(crate) fn new(fd: OwnedFd, selector: Arc<Shared>) -> Self {
        selector.sockets().counters.sockets.add(1);
        let registration = Registration::new(fd);
        Self { registration, drained: AtomicBool::new(false), selector }
    }

    pub(crate) fn selector(&self) -> &Arc<Shared> {
        &self.selector
    }

    /// Runs a system call now, or once the descriptor is ready for it.
    pub(crate) fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waits: Waits,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        let mut call = || {
            if self.is_refused(waits) {
                return Err(closed("wait").into());
            }
            self.call(&mut call)
        };
        let ready = match self.registration.ready() {
            Some(ready) => ready,
            None => match self.attempt_unwatched(direction, &mut call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.register() {
                    Ok(ready) => ready,
                    Err(error) => return Poll::Ready(Err(error)),
                },
                done => return Poll::Ready(done),
            },
        };
        let progress = ready.poll_io(cx, direction, &mut call);
        if progress.is_pending() {
            // Asked after the waker is kept, because a selector that closed before the descriptor
            // was registered, or whose wake-up another wait has used up, does not wake again.
            if self.is_refused(waits) {
                return Poll::Ready(Err(closed("wait").into()));
            }
            self.selector.worker().ensure_driven();
        }
        progress
    }

    /// Most connections have something for their first receive, and nothing behind it before they
    /// are answered: the second one waits without asking. Watching begins with a look at what is
    /// there, so nothing is missed.
    fn attempt_unwatched(
        &self,
        direction: Direction,
        call: &mut dyn FnMut() -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        if direction == Direction::Read && self.drained.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let done = uninterrupted(call);
        if direction == Direction::Read && done.as_ref().is_ok_and(|progress| progress.drained) {
            self.drained.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Tells how far the connection has ended once that differs from what is `known`. Where the
    /// descriptor cannot be watched (it was released, or the system has no memory left), it never
    /// does: the calls that meet the end tell as well.
    pub(crate) fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup> {
        let registered = match self.registration.ready() {
            Some(ready) => Ok(ready),
            None => self.register(),
        };
        let Ok(ready) = registered else { return Poll::Pending };
        let hangup = ready.poll_hangup(cx, known);
        if hangup.is_pending() {
            self.selector.worker().ensure_driven();
        }
        hangup
    }

    /// Runs a system call, if the descriptor is still there.
    pub(crate) fn call<T>(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.registration.call(|fd| call(fd.as_fd())).unwrap_or_else(|| Err(released()))
    }

    /// Returns once every call that was under way is over.
    pub(crate) fn let_calls_end(&self) {
        self.registration.let_calls_end();
    }

    fn is_refused(&self, waits: Waits) -> bool {
        match waits {
            Waits::User => self.selector.is_closing(),
            Waits::WayOut => self.selector.closing().has_stopped(),
        }
    }

    fn register(&self) -> io::Result<&dyn Ready> {
        let registered = self.registration.register(|fd| match host::current() {
            Some(host) => {
                let ready = host.register(fd.as_fd())?;
                let waits = Arc::clone(&ready) as Arc<dyn WakeUp>;
                self.selector.closing().on_change(Arc::downgrade(&waits));
                Ok(ready)
            }
            None => self.selector.worker().register(fd.as_fd()),
        });
        registered.unwrap_or_else(|| Err(released()))
    }

    pub(crate) fn is_released(&self) -> bool {
        self.registration.is_released()
    }

    /// Closes the descriptor and has every wait on it see that. True the first time.
    pub(crate) fn release(
        &self,
        before: impl FnOnce(BorrowedFd<'_>),
        after: &mut Afterwards,
    ) -> bool {
        let Some(fd) = self.registration.release() else { return false };
        before(fd.as_fd());
        drop(fd);
        self.selector.sockets().counters.sockets.remove_one();
        self.selector.sockets().freed.note(after);
        self.wake(after);
        true
    }

    /// Has every wait try its call again.
    pub(crate) fn wake(&self, after: &mut Afterwards) {
        if let Some(ready) = self.registration.ready_after_registering() {
            ready.wake(after);
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let mut after = Afterwards::new();
        self.release(|_| {}, &mut after);
        after.run();
    }
}

/// The socket was closed on this side.
pub(super) fn released() -> io::Error {
    forebay_io::Error::new(forebay_io::ErrorKind::Closed, "socket")
        .with_detail("the socket was closed on this side")
        .into()
}
