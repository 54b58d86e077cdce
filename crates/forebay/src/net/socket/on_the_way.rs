//! The bytes on their way in each direction.

/// The bytes on their way in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct OnTheWay {
    /// Arrived, and not received yet.
    pub(super) unread: u64,
    /// Handed over, and waiting for the peer to have room, as far as the system tells. What is in
    /// flight does not count: a peer acknowledges it without having taken it.
    pub(super) unsent: u64,
}
