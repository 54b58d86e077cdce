//! The roles of sockets, on which their options depend.

/// The role of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum SocketRole {
    /// A datagram socket without a peer.
    Bound,
    Listening,
    Connected,
    Accepted,
}

impl SocketRole {
    /// The word for it in a span.
    pub(in crate::net) const fn text(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Listening => "listening",
            Self::Connected => "connected",
            Self::Accepted => "accepted",
        }
    }
}
