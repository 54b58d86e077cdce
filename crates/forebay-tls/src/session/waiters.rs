//! The tasks that wait for a session.

use std::task::Waker;

use forebay_io::seam::{WaiterKey, Waiters, WakeList};

/// The wakers of waiting tasks, under a lock of their own: they are cloned before it is taken, and dropped
/// or woken after it is released.
#[derive(Debug, Default)]
pub(super) struct SessionWaiters {
    /// The task that reads.
    reader: Option<Waker>,
    /// The task that drives the handshake.
    driver: Option<Waker>,
    /// Those that wait for the handshake or to write: the upper outbox, and tasks.
    opening: Waiters<()>,
}

impl SessionWaiters {
    /// Stores the reader's waker. Returns the previous one, to be dropped after unlocking.
    pub(super) fn set_reader(&mut self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut self.reader, waker)
    }

    /// Stores the waker of the task that drives the handshake. Returns the previous one likewise.
    pub(super) fn set_driver(&mut self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut self.driver, waker)
    }

    /// Stores the waker of a task that waits for the handshake. Returns the previous one likewise.
    pub(super) fn set_opening(
        &mut self,
        key: &mut Option<WaiterKey>,
        waker: Waker,
    ) -> Option<Waker> {
        self.opening.put(key, (), waker)
    }

    /// Removes a waiter. The waker is to be dropped after unlocking.
    pub(super) fn forget_opening(&mut self, key: WaiterKey) -> Option<Waker> {
        self.opening.remove(key)
    }

    /// Wakes the reader and the driver, because input has arrived.
    pub(super) fn input(&mut self, after: &mut WakeList) {
        for waker in self.reader.take().into_iter().chain(self.driver.take()) {
            after.wake(waker);
        }
    }

    /// Wakes those that wait to write, because the session can be written to or has failed.
    pub(super) fn opening(&mut self, after: &mut WakeList) {
        self.opening.release(after, |()| true);
    }

    /// Wakes all, because the session has opened or failed.
    pub(super) fn all(&mut self, after: &mut WakeList) {
        self.input(after);
        self.opening(after);
    }
}
