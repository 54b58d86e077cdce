//! The reason why a connection has ended.

/// The reason why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side called `close` or `abort`, dropped the last handle, or closed the selector.
    Local,
    /// Both directions have ended, each with its end mark.
    Ended,
    /// The peer reset the connection.
    Reset,
    /// Another error: the peer was silent for too long, is not reachable any more, or has ended a
    /// connection with TLS without `close_notify`.
    Failed,
}
