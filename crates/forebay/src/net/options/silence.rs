//! The kinds of silence.

/// The kind of silence that is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Silence {
    /// A read has waited, and no byte arrived.
    Reading,
    /// Bytes are queued, and the peer took none.
    Writing,
    /// No byte passed in either direction.
    Idling,
}
