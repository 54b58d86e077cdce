//! Counts of a worker's turns, sleeps and looks for events.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter that only the thread which drives the worker changes, so that no read-modify-write is needed.
#[derive(Debug, Default)]
pub(crate) struct OwnCounter(AtomicU64);

impl OwnCounter {
    pub(super) fn add_one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed) + count, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
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
    pub(super) traffic: Traffic,
}

/// Counts of the system calls that a worker's thread has made for sockets.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) receives: OwnCounter,
    pub(crate) received_bytes: OwnCounter,
    pub(crate) sends: OwnCounter,
    pub(crate) sent_bytes: OwnCounter,
}
