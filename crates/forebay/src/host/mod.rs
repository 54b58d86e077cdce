//! The source of readiness.
//!
//! At its first wait a socket asks to have its descriptor watched, and keeps the [`Ready`] it gets: by a worker of
//! its own selector, which may be a guest of the runtime that the thread is inside, or by a `Host` that a test
//! has entered. The worker of another selector is not used: it
//! would stop together with that selector.

#[cfg(unix)]
mod interest;
#[cfg(all(not(any(feature = "tokio", feature = "smol")), unix))]
mod no_runtime;
#[cfg(test)]
mod plain;
mod readiness;
#[cfg(all(feature = "tokio", unix))]
pub(crate) mod runtime;
#[cfg(all(any(feature = "tokio", feature = "smol"), unix))]
mod runtime_socket;
pub(crate) mod slot;
mod socket_fd;
#[cfg(windows)]
mod socket_owner;
#[cfg(test)]
mod tests;

#[cfg(test)]
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::task::Waker;
#[cfg(unix)]
use std::task::{Context, Poll};

use forebay_io::seam::WakeList;

use crate::time::WakeUp;

#[cfg(unix)]
pub use self::interest::Interest;
#[cfg(unix)]
pub(crate) use self::interest::seems_always_ready;
#[cfg(all(not(any(feature = "tokio", feature = "smol")), unix))]
pub(crate) use self::no_runtime::NoRuntimeSocket as RuntimeSocket;
pub(crate) use self::readiness::{Direction, Hangup, Progress, Wait};
#[cfg(all(any(feature = "tokio", feature = "smol"), unix))]
pub(crate) use self::runtime_socket::RuntimeSocket;
#[cfg(all(feature = "smol", unix))]
pub(crate) use self::runtime_socket::async_io_has_begun;
use self::slot::Slot;
pub(crate) use self::socket_fd::SocketFd;
#[cfg(windows)]
pub(crate) use self::socket_owner::{PolledSocket as RuntimeSocket, SocketOwner};

/// A watched descriptor. One task at a time waits in each direction, and one for the end.
pub(crate) trait Ready: Send + Sync + WakeUp {
    /// Returns the readiness, which the host sets, and in which a wait leaves its waker.
    fn slot(&self) -> &Arc<Slot>;

    /// Ensures that the host watches, after a wait has left its waker in the slot. Returns `true` if the
    /// descriptor's owner must be asked to watch too.
    fn begin_wait(&self, direction: Direction) -> bool;

    /// Ensures that the host watches for the end, after a wait for it has left its waker in the slot.
    fn begin_watch(&self);

    /// Watches a descriptor in both directions, because its owner does not do so any more. Once.
    fn take_over(&self, _: &SocketFd) -> io::Result<()> {
        Ok(())
    }
}

impl dyn Ready {
    /// Runs the system call if the descriptor may be ready, and waits if it is not. For a descriptor that the
    /// host watches without its owner.
    #[cfg(unix)]
    pub(crate) fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        call: impl FnMut() -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        let progress = self.slot().poll_io(cx, direction, call);
        if progress.is_pending() {
            self.begin_wait(direction);
        }
        progress
    }

    /// Makes all waits try their calls again, because something has changed that the kernel does not
    /// report. They are woken once the caller holds no lock.
    pub(crate) fn wake(&self, after: &mut WakeList) {
        let mut woken = Vec::new();
        self.slot().take_all(&mut woken);
        for waker in woken {
            after.wake(waker);
        }
    }
}

/// Something else than a worker that can watch descriptors.
#[cfg(test)]
pub(crate) trait Host: Send + Sync {
    /// Watches a descriptor, edge-triggered, in both directions, until the result is dropped.
    fn register(&self, fd: SocketFd) -> Registered<Arc<dyn Ready>>;
}

/// A descriptor in the hands of what owns it from now on, which is `None` if it is lost, and its readiness.
pub(crate) type Registered<R> = (Option<SocketFd>, io::Result<R>);

/// Lets a closing selector wake waits that another host watches.
impl<T: Ready> WakeUp for T {
    fn wake_up(&self) {
        let mut woken = Vec::new();
        self.slot().take_all(&mut woken);
        woken.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Host>>> = const { RefCell::new(None) };
}

/// Returns the host of the current thread, if it has one.
#[cfg(test)]
pub(crate) fn current() -> Option<Arc<dyn Host>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Makes `host` the current thread's host until the guard drops.
#[cfg(test)]
pub(crate) fn enter(host: Arc<dyn Host>) -> Entered {
    Entered { before: CURRENT.with(|current| current.replace(Some(host))) }
}

/// See [`enter`].
#[cfg(test)]
pub(crate) struct Entered {
    before: Option<Arc<dyn Host>>,
}

#[cfg(test)]
impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        let left = CURRENT.try_with(|current| current.replace(before));
        drop(left);
    }
}
