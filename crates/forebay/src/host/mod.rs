//! The source of readiness.
//!
//! A socket does not know what watches its descriptor. At its first wait it asks to have it watched, and
//! keeps the [`Ready`] it gets: by a worker of its own selector, which may be a guest of the runtime that the
//! thread is inside, or by a [`Host`] that a test has entered. The worker of another selector is not used: it
//! would stop together with that selector.

mod interest;
#[cfg(not(any(feature = "tokio", feature = "smol")))]
mod no_runtime;
#[cfg(test)]
mod plain;
mod readiness;
#[cfg(feature = "tokio")]
pub(crate) mod runtime;
#[cfg(any(feature = "tokio", feature = "smol"))]
mod runtime_socket;
pub(crate) mod slot;
mod socket_fd;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_io::seam::WakeList;

use crate::time::WakeUp;

pub use self::interest::Interest;
pub(crate) use self::interest::seems_always_ready;
#[cfg(not(any(feature = "tokio", feature = "smol")))]
pub(crate) use self::no_runtime::NoRuntimeSocket as RuntimeSocket;
pub(crate) use self::readiness::{Direction, Hangup, Progress, Wait};
#[cfg(any(feature = "tokio", feature = "smol"))]
pub(crate) use self::runtime_socket::RuntimeSocket;
#[cfg(feature = "smol")]
pub(crate) use self::runtime_socket::async_io_has_begun;
pub(crate) use self::socket_fd::SocketFd;

/// A watched descriptor. One task at a time waits in each direction.
pub(crate) trait Ready: Send + Sync + WakeUp {
    /// Runs the system call if the descriptor may be ready, and keeps the waker if it is not.
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        call: &mut dyn FnMut() -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>>;

    /// Reports how far the connection has ended once that differs from `known`, and keeps the waker until
    /// then. Only one task at a time may wait for this.
    fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup>;

    /// Watches a descriptor in both directions, because its owner does not do so any more. Once.
    fn take_over(&self, _: &SocketFd) -> io::Result<()> {
        Ok(())
    }

    /// Makes all waits try their calls again, because something has changed that the kernel does not
    /// report. They are woken once the caller holds no lock.
    fn wake(&self, after: &mut WakeList);
}

/// Something that can watch descriptors.
pub(crate) trait Host: Send + Sync {
    /// Watches a descriptor, edge-triggered, in both directions, until the result is dropped.
    fn register(&self, fd: SocketFd) -> Registered;
}

/// A descriptor in the hands of what owns it from now on, which is `None` if it is lost, and its readiness.
pub(crate) type Registered = (Option<SocketFd>, io::Result<Arc<dyn Ready>>);

/// Lets a closing selector wake waits that another host watches.
impl<T: Ready> WakeUp for T {
    fn wake_up(&self) {
        let mut after = WakeList::new();
        self.wake(&mut after);
        after.run();
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Host>>> = const { RefCell::new(None) };
}

/// Returns the host of the current thread, if it has one.
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
