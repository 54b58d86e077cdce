//! Telling those who found no descriptor left that a socket has given one back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use forebay_io::seam::{Afterwards, WaiterKey, Waiters};

use crate::lock::lock;

/// The descriptors given back while somebody waited for one.
///
/// Giving one back costs a single load while nobody waits. Somebody who is to wait says so first and
/// then tries once more, so that one given back in between is not missed: the kernel takes the lock
/// of the descriptor table for both calls (`accept(2)`, `close(2)`), and whichever of the two it
/// lets in second sees what the other has done before.
#[derive(Debug, Default)]
pub(crate) struct Freed {
    /// Written before the attempt that finds nothing, read after a descriptor was closed; see above.
    awaited: AtomicBool,
    count: AtomicU64,
    waiters: Mutex<Waiters<()>>,
}

impl Freed {
    /// Has the waker woken when the next descriptor is given back. False where nothing watched
    /// under this key: one may have been given back already, and another attempt is worth it.
    pub(crate) fn watch(&self, key: &mut Option<WaiterKey>, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut waiters = lock(&self.waiters);
        let replaced = waiters.put(key, (), waker);
        self.awaited.store(true, Ordering::Release);
        drop(waiters);
        replaced.is_some()
    }

    /// Grows when one was given back that somebody watched for.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// A descriptor was given back; or the selector closes, and nobody is to wait any longer.
    pub(crate) fn note(&self, after: &mut Afterwards) {
        if !self.awaited.load(Ordering::Acquire) {
            return;
        }
        let mut waiters = lock(&self.waiters);
        self.awaited.store(false, Ordering::Release);
        // Acquired by `count`, which those who are woken ask.
        self.count.fetch_add(1, Ordering::Release);
        waiters.release(after, |()| true);
    }
}
