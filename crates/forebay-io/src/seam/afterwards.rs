//! What must wait until the lock is gone.

use std::task::Waker;

use bytes::Bytes;

/// Wakers to wake and values to drop once no lock is held.
///
/// Waking runs another runtime's code, and dropping a [`Bytes`] may run its owner's. Either could
/// come back to the very lock that is held. So whoever works under a lock collects both here, and
/// the caller that took the lock calls [`run`](Self::run) after releasing it.
#[derive(Debug, Default)]
#[must_use = "wakers in here are lost wake-ups until `run` is called"]
pub struct Afterwards {
    // Nearly always there is one task to wake, or none; it costs no allocation.
    waker: Option<Waker>,
    /// Empty while there is not even one.
    more_wakers: Vec<Waker>,
    spent: Vec<Bytes>,
}

impl Afterwards {
    /// Nothing to do yet; allocates nothing.
    pub const fn new() -> Self {
        Self { waker: None, more_wakers: Vec::new(), spent: Vec::new() }
    }

    /// Wakes this one later.
    pub fn wake(&mut self, waker: Waker) {
        match &self.waker {
            None => self.waker = Some(waker),
            Some(_) => self.more_wakers.push(waker),
        }
    }

    /// Drops this one later.
    pub fn drop_later(&mut self, bytes: Bytes) {
        self.spent.push(bytes);
    }

    /// Wakes and drops. Call it with no lock held.
    pub fn run(self) {
        if let Some(waker) = self.waker {
            waker.wake();
            for waker in self.more_wakers {
                waker.wake();
            }
        }
        // Last, because an owner's drop may panic, and that must cost nobody else their wake-up.
        drop(self.spent);
    }
}
