//! Waking tasks that found no descriptor left when a socket returns one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use forebay_io::seam::{WaiterKey, Waiters, WakeList};

use crate::lock::lock;

/// The descriptors returned while a task waited for one.
///
/// Returning a descriptor costs a single load while no task waits. A task that is about to wait announces
/// that first and then tries once more, so that it does not miss a descriptor returned in between: the
/// kernel takes the lock of the descriptor table for both calls (`accept(2)`, `close(2)`), and the second
/// of the two sees what happened before the first.
#[derive(Debug, Default)]
pub(crate) struct Freed {
    /// Written before the attempt that finds nothing, and read after a descriptor was closed; see above.
    awaited: AtomicBool,
    count: AtomicU64,
    waiters: Mutex<Waiters<()>>,
}

impl Freed {
    /// Wakes the waker when the next descriptor is returned. Returns `false` if nothing watched under this
    /// key before: a descriptor may have been returned already, so another attempt is worthwhile.
    pub(crate) fn watch(&self, key: &mut Option<WaiterKey>, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut waiters = lock(&self.waiters);
        let replaced = waiters.put(key, (), waker);
        self.awaited.store(true, Ordering::Release);
        drop(waiters);
        replaced.is_some()
    }

    /// Returns a number that grows when an awaited descriptor was returned.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Records that a descriptor was returned; or that the selector closes, and no task may wait any
    /// longer.
    pub(crate) fn note(&self, after: &mut WakeList) {
        if !self.awaited.load(Ordering::Acquire) {
            return;
        }
        let mut waiters = lock(&self.waiters);
        self.awaited.store(false, Ordering::Release);
        // Paired with the Acquire in `count`, which the woken tasks call.
        self.count.fetch_add(1, Ordering::Release);
        waiters.release(after, |()| true);
    }
}
