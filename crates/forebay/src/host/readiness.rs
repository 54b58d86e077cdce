//! The terms of a wait, which all hosts use.

/// The direction of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Receiving and accepting.
    Read,
    /// Sending and connecting.
    Write,
}

/// The outcome of a system call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Bytes moved.
    pub(crate) count: usize,
    /// The kernel has no more for now: the call moved less than it was offered, on a kind of descriptor for
    /// which this means so, or a listener's backlog is empty.
    pub(crate) drained: bool,
}

/// The parts of a connection that have ended, as reported by the system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hangup {
    /// The peer's end mark has arrived, perhaps behind bytes that were not read yet.
    pub(crate) read_closed: bool,
    /// There is a socket error to be fetched.
    pub(crate) error: bool,
}

/// The outcome of waiting for readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    any(not(any(feature = "tokio", feature = "smol")), windows),
    expect(dead_code, reason = "no runtime ends")
)]
pub(crate) enum Wait {
    /// The next event wakes the wait.
    Begun,
    /// The runtime does not watch the descriptor any more, or in vain.
    Ended,
}
