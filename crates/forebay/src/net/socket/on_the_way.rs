//! The bytes on their way in each direction.

/// The bytes on their way in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct OnTheWay {
    /// Arrived, and not received yet.
    pub(super) unread: u64,
    /// Handed over, and waiting until the peer has room, as far as the system tells. Bytes in flight do not
    /// count: a peer acknowledges them before its program has taken them.
    pub(super) unsent: u64,
}
