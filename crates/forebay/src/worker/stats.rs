//! Statistics of a worker.

/// The activity of one worker since its selector was made, and its present resources; see
/// [`SelectorManager::worker_stats`](crate::SelectorManager::worker_stats).
///
/// The numbers are read one after the other while other threads continue, so they need not belong to the
/// same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Timers that wait.
    pub timers: usize,
    /// Descriptors that this worker watches.
    pub watched: usize,
    /// Blocks of 8 and of 64 KiB that this worker has allocated, and that channels, queues and chunks hold.
    pub blocks: usize,
    /// Turns: rounds of polling tasks, sending what they wrote, and asking the kernel for events.
    pub turns: u64,
    /// Turns in which the worker slept, or asked the kernel one last time before it would have slept.
    pub sleeps: u64,
    /// Times that the worker looked for events before sleeping
    /// ([`SelectorBuilder::spin`](crate::SelectorBuilder::spin)).
    pub spins: u64,
    /// Those among them that found an event.
    pub spins_paid: u64,
}
