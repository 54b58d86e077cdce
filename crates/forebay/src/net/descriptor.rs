//! The owner of a socket's descriptor.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use forebay_io::seam::WakeList;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use super::registration::Registration;
#[cfg(test)]
use crate::host;
use crate::host::slot::Slot;
use crate::host::{Direction, Hangup, Progress, Ready, Registered, SocketFd, Wait};
use crate::interrupted::uninterrupted;
use crate::selector::{Shared, Waits};
#[cfg(test)]
use crate::time::WakeUp;
use crate::time::is_last_poll;
use crate::worker::Watched;

/// An open descriptor, or the remains of one after its release.
///
/// A call holds the descriptor for the length of one system call, and the release waits for it. So the
/// number of a descriptor is never reused during a call, and a socket can be closed while its channels are
/// alive.
pub(crate) struct Descriptor {
    /// Made at the first wait, with the host of the waiting thread.
    registration: Registration<SocketFd, WatchedFd>,
    /// True if the last receive before the first wait took everything that was there.
    drained: AtomicBool,
    selector: Arc<Shared>,
}

/// A descriptor that is watched.
enum WatchedFd {
    Worker(Watched),
    /// By what a test has entered.
    #[cfg(test)]
    Host(Arc<dyn Ready>),
}

/// Calls the same method on whichever of the two it is.
macro_rules! either {
    ($this:expr, $watched:ident => $call:expr) => {
        match $this {
            WatchedFd::Worker($watched) => $call,
            #[cfg(test)]
            WatchedFd::Host($watched) => $call,
        }
    };
}

impl Ready for WatchedFd {
    #[inline]
    fn slot(&self) -> &Arc<Slot> {
        either!(self, watched => watched.slot())
    }

    #[inline]
    fn begin_wait(&self, direction: Direction) -> bool {
        either!(self, watched => watched.begin_wait(direction))
    }

    fn begin_watch(&self) {
        either!(self, watched => watched.begin_watch());
    }

    fn take_over(&self, fd: &SocketFd) -> io::Result<()> {
        either!(self, watched => watched.take_over(fd))
    }
}

impl Descriptor {
    pub(crate) fn new(fd: OwnedFd, selector: Arc<Shared>) -> Self {
        selector.sockets().counters.sockets.add(1);
        let registration = Registration::new(fd.into());
        Self { registration, drained: AtomicBool::new(false), selector }
    }

    pub(crate) fn selector(&self) -> &Arc<Shared> {
        &self.selector
    }

    /// Runs a system call now, or as soon as the descriptor is ready for it.
    ///
    /// The usual way, a call on a ready descriptor, is inlined once; the others run the call through a pointer.
    #[inline]
    pub(crate) fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waits: Waits,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        let Some(ready) = self.registration.ready() else {
            return self.poll_unwatched(cx, direction, waits, &mut call);
        };
        match ready.slot().try_io(direction, || self.attempt(direction, waits, &mut call)) {
            Some(done) => Poll::Ready(done),
            None => self.poll_watched(ready, cx, direction, waits, &mut call),
        }
    }

    /// Begins the wait of a call that has nothing to do: the usual wait, behind a call that has taken everything.
    ///
    /// Returns `true` if the task will be woken. Otherwise the call must go the whole way, by
    /// [`poll_io`](Self::poll_io): the descriptor may be ready, or is not watched, or something speaks against the
    /// wait.
    #[inline]
    pub(crate) fn has_begun_waiting(
        &self,
        cx: &Context<'_>,
        direction: Direction,
        waits: Waits,
    ) -> bool {
        let Some(ready) = self.registration.ready() else { return false };
        ready.slot().waits(cx, direction)
            && (!ready.begin_wait(direction) || self.wait_in_owner(ready, direction).is_ok())
            // Checked after the waker is stored, as in `begin_wait`.
            && self.selector.closing().check_wait(waits).is_ok()
            && !is_last_poll()
    }

    /// Runs a system call, unless the wait for it is refused or the descriptor was released.
    #[inline]
    fn attempt(
        &self,
        direction: Direction,
        waits: Waits,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        self.selector.closing().check_wait(waits)?;
        let done = self.registration.call(|fd| fd.attempt(direction, call));
        done.unwrap_or_else(|| Err(released()))
    }

    /// Runs a system call on a descriptor that is not registered, and registers it if the call must wait.
    #[inline(never)]
    fn poll_unwatched(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        waits: Waits,
        call: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        match self.attempt_unwatched(direction, || self.attempt(direction, waits, &mut *call)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
        let ready = match self.register() {
            Ok(ready) => ready,
            Err(error) => return Poll::Ready(Err(error)),
        };
        self.poll_watched(ready, cx, direction, waits, call)
    }

    /// Runs a system call on a descriptor that is registered, or begins the wait for it.
    #[inline(never)]
    fn poll_watched(
        &self,
        ready: &WatchedFd,
        cx: &mut Context<'_>,
        direction: Direction,
        waits: Waits,
        call: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        let attempt = || self.attempt(direction, waits, &mut *call);
        match ready.slot().poll_io(cx, direction, attempt) {
            Poll::Pending => self.begin_wait(ready, direction, waits, call),
            done @ Poll::Ready(_) => done,
        }
    }

    /// Completes the beginning of a wait whose waker is in the slot.
    fn begin_wait(
        &self,
        ready: &WatchedFd,
        direction: Direction,
        waits: Waits,
        call: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        if ready.begin_wait(direction)
            && let Err(error) = self.wait_in_owner(ready, direction)
        {
            return Poll::Ready(Err(error));
        }
        // Checked after the waker is stored: a selector that closed before the descriptor was registered does
        // not wake again, nor does one whose wake-up another wait has consumed.
        if let Err(refusal) = self.selector.closing().check_wait(waits) {
            return Poll::Ready(Err(refusal.into()));
        }
        // What has arrived by a deadline counts, also if no worker has noticed it yet.
        if is_last_poll() {
            return match uninterrupted(|| self.attempt(direction, waits, &mut *call)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                done => Poll::Ready(done),
            };
        }
        Poll::Pending
    }

    /// Tries the call before the descriptor is registered.
    ///
    /// On most connections the first receive finds data, and no more arrives until that is answered. So the
    /// second receive waits without a system call. Registering reports the current state of the descriptor,
    /// so no event is lost.
    fn attempt_unwatched(
        &self,
        direction: Direction,
        call: impl FnMut() -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        // Relaxed: a hint. A stale value costs one receive that finds nothing.
        if direction == Direction::Read && self.drained.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let done = uninterrupted(call);
        if direction == Direction::Read && done.as_ref().is_ok_and(|progress| progress.drained) {
            self.drained.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Waits until the connection has ended further than `known`, and returns how far. Where the descriptor
    /// cannot be watched (it was released, or the system has no memory left), this never completes: calls
    /// that meet the end report it as well.
    pub(crate) fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup> {
        let registered = match self.registration.ready() {
            Some(ready) => Ok(ready),
            None => self.register(),
        };
        let Ok(ready) = registered else { return Poll::Pending };
        let hangup = ready.slot().poll_hangup(cx, known);
        if hangup.is_pending() {
            ready.begin_watch();
        }
        hangup
    }

    /// Runs a system call, unless the descriptor was released.
    pub(crate) fn call<T>(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.registration.call(|fd| call(fd.as_fd())).unwrap_or_else(|| Err(released()))
    }

    /// Returns when every call that was in progress has ended.
    pub(crate) fn let_calls_end(&self) {
        self.registration.let_calls_end();
    }

    /// Begins the wait in the runtime that owns the descriptor. The worker takes over from a runtime that has ended.
    fn wait_in_owner(&self, host: &WatchedFd, direction: Direction) -> io::Result<()> {
        let waits = self.registration.call(|fd| match fd.wait(direction) {
            Wait::Begun => Ok(()),
            Wait::Ended => host.take_over(fd),
        });
        waits.unwrap_or(Ok(()))
    }

    fn register(&self) -> io::Result<&WatchedFd> {
        let registered = self.registration.register(|place| {
            let fd = place.take()?;
            let (fd, registered) = self.watch(fd);
            *place = fd;
            if place.is_none() {
                self.selector.sockets().counters.sockets.remove_one();
            }
            Some(registered)
        });
        registered.unwrap_or_else(|| Err(released()))
    }

    fn watch(&self, fd: SocketFd) -> Registered<WatchedFd> {
        #[cfg(test)]
        if let Some(host) = host::current() {
            let (fd, registered) = host.register(fd);
            if let Ok(ready) = &registered {
                let waits = Arc::clone(ready) as Arc<dyn WakeUp>;
                self.selector.closing().on_change(Arc::downgrade(&waits));
            }
            return (fd, registered.map(WatchedFd::Host));
        }
        let (fd, registered) = self.selector.here().register(fd);
        (fd, registered.map(WatchedFd::Worker))
    }

    pub(crate) fn is_released(&self) -> bool {
        self.registration.is_released()
    }

    /// Closes the descriptor and wakes every wait on it, which then fails. Returns true the first time.
    pub(crate) fn release(
        &self,
        before: impl FnOnce(BorrowedFd<'_>),
        after: &mut WakeList,
    ) -> bool {
        let is_first = self.registration.release(|fd| {
            before(fd.as_fd());
            // Also of a runtime's socket: the wakers that it drops are those of the slot, which is kept.
            drop(fd);
            self.selector.sockets().counters.sockets.remove_one();
        });
        if is_first {
            self.selector.sockets().freed.note(after);
            self.wake(after);
        }
        is_first
    }

    /// Makes every wait try its call again.
    pub(crate) fn wake(&self, after: &mut WakeList) {
        if let Some(ready) = self.registration.ready_after_registering() {
            (ready as &dyn Ready).wake(after);
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let mut after = WakeList::new();
        self.release(|_| {}, &mut after);
        after.run();
    }
}

/// The error of a question to the system about a socket; one that was closed is named by the question, too.
pub(super) fn unanswered(question: &'static str, error: io::Error) -> forebay_io::Error {
    let error = forebay_io::Error::from_io(question, error);
    if !error.is_closed() {
        return error;
    }
    forebay_io::Error::new(forebay_io::ErrorKind::Closed, question)
        .with_detail("the socket was closed on this side")
}

/// The error of a call on a socket that was closed on this side.
pub(super) fn released() -> io::Error {
    forebay_io::Error::new(forebay_io::ErrorKind::Closed, "socket")
        .with_detail("the socket was closed on this side")
        .into()
}
