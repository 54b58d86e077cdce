//! Statistics of a selector.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter. Statistics order nothing, so every access is relaxed.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Subtracts one, for counters of what is held.
    pub(crate) fn remove_one(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Adds one until the result is dropped.
    pub(crate) fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// See [`Counter::hold`].
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a Counter);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.remove_one();
    }
}

/// The counters that sockets update.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sockets: Counter,
    pub(crate) accepted: Counter,
    pub(crate) connected: Counter,
    pub(crate) background_closes: Counter,
    pub(crate) unacknowledged: Counter,
}

/// The activity of a selector since it was made, and its present resources; see
/// [`SelectorManager::stats`](crate::SelectorManager::stats).
///
/// The numbers are read one after the other while other threads continue, so they need not belong to the
/// same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Tasks that have not ended, including those that close sockets in the background.
    pub tasks: usize,
    /// Timers that wait.
    pub timers: usize,
    /// Open descriptors of sockets and listeners.
    pub sockets: u64,
    /// Blocks of 8 and of 64 KiB held by channels, queues and chunks.
    pub blocks: usize,
    /// Sockets being closed in the background.
    pub background_closes: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections made so far.
    pub connected: u64,
    /// System calls that received bytes or found the end.
    pub receives: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// System calls that sent bytes.
    pub sends: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Sockets released at a limit of closing with bytes that the peer had not acknowledged, or after an
    /// error of the connection with bytes that had not been sent, whether a call waited for the close or
    /// not.
    pub unacknowledged: u64,
    /// Errors that were reported, whether to a handler, on standard error, or only here:
    /// [`on_task_error`](crate::SelectorBuilder::on_task_error) lists them. A connection that failed before
    /// it was dropped is not among them, though it may be among
    /// [`unacknowledged`](Self::unacknowledged).
    pub task_errors: u64,
}
