//! The poll that a worker is in, for a thread that watches it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of polls so far, and the task that is being polled. Written by the thread that drives the
/// worker, twice a poll, and read by another thread a few times a second: on a cache line of its own.
///
/// Relaxed: no other memory depends on it. A reader that sees one of the two change sees progress.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Pulse {
    polls: AtomicU64,
    task: AtomicU64,
}

/// A poll, as another thread sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beat {
    polls: u64,
    /// The number of the task; [`Pulse::MAIN`] for the future of `run` or `block_on`.
    pub(crate) task: u64,
}

impl Pulse {
    /// Stands for no task. The first task has the number one.
    const NONE: u64 = 0;
    /// Stands for the future of `run` or `block_on`, which is no task.
    pub(crate) const MAIN: u64 = u64::MAX;

    /// Begins a poll. Only the thread that drives the worker calls this, so the counter needs no
    /// read-modify-write.
    #[inline]
    pub(crate) fn begin(&self, task: u64) {
        let polls = self.polls.load(Ordering::Relaxed);
        self.polls.store(polls.wrapping_add(1), Ordering::Relaxed);
        self.task.store(task, Ordering::Relaxed);
    }

    /// Ends the poll.
    #[inline]
    pub(crate) fn end(&self) {
        self.task.store(Self::NONE, Ordering::Relaxed);
    }

    /// Returns the poll that the worker is in, if it is in one.
    pub(crate) fn beat(&self) -> Option<Beat> {
        let task = self.task.load(Ordering::Relaxed);
        let polls = self.polls.load(Ordering::Relaxed);
        (task != Self::NONE).then_some(Beat { polls, task })
    }
}
