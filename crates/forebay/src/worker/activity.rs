//! Counts of a worker's turns, sleeps and looks for events.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter that only the thread which drives the worker changes, so that no read-modify-write is needed.
#[derive(Debug, Default)]
pub(super) struct OwnCounter(AtomicU64);

impl OwnCounter {
    pub(super) fn add_one(&self) {
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts of the things that a worker has done so far.
#[derive(Debug, Default)]
pub(super) struct Activity {
    pub(super) turns: OwnCounter,
    pub(super) sleeps: OwnCounter,
    pub(super) spins: OwnCounter,
    pub(super) spins_paid: OwnCounter,
}
