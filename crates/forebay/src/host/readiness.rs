//! The words of a wait, which every host speaks.

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
    /// The kernel has no more for now: it moved less than it was offered, on a kind of descriptor
    /// where that says so, or a listener's backlog is empty.
    pub(crate) drained: bool,
}

/// How far a connection has ended, as the system told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hangup {
    /// The peer's end mark has arrived, perhaps behind bytes that were not read yet.
    pub(crate) read_closed: bool,
    /// There is an error to be asked for.
    pub(crate) error: bool,
}
