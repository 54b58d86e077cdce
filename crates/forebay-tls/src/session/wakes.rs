//! Who waits for a session.

use std::task::Waker;

use forebay_io::seam::{Afterwards, WaiterKey, Waiters};

/// Whoever waits, under a lock of its own: wakers are cloned before it and dropped or woken after.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    /// The reader.
    reader: Option<Waker>,
    /// Whoever drives the handshake.
    driver: Option<Waker>,
    /// Who waits for the handshake, or to write: the upper outbox, and tasks.
    opening: Waiters<()>,
}

impl Wakes {
    /// Leaves the reader's waker. The one given back is to be dropped after unlocking.
    pub(super) fn set_reader(&mut self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut self.reader, waker)
    }

    /// Leaves the waker of whoever drives the handshake, as above.
    pub(super) fn set_driver(&mut self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut self.driver, waker)
    }

    /// Leaves the waker of somebody who waits for the handshake, as above.
    pub(super) fn set_opening(
        &mut self,
        key: &mut Option<WaiterKey>,
        waker: Waker,
    ) -> Option<Waker> {
        self.opening.put(key, (), waker)
    }

    /// He does not wait any more. The waker is to be dropped after unlocking.
    pub(super) fn forget_opening(&mut self, key: WaiterKey) -> Option<Waker> {
        self.opening.remove(key)
    }

    /// Input has arrived.
    pub(super) fn input(&mut self, after: &mut Afterwards) {
        for waker in self.reader.take().into_iter().chain(self.driver.take()) {
            after.wake(waker);
        }
    }

    /// The session can be written to, or failed.
    pub(super) fn opening(&mut self, after: &mut Afterwards) {
        self.opening.release(after, |()| true);
    }

    /// The session has opened, or failed.
    pub(super) fn all(&mut self, after: &mut Afterwards) {
        self.input(after);
        self.opening(after);
    }
}
