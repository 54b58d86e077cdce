//! The protocols of sockets.

/// The protocol of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    /// Datagrams, and no stream.
    Udp,
    Unix,
    /// Datagrams, and no stream.
    #[cfg_attr(not(unix), allow(dead_code))]
    UnixDatagram,
}

impl Protocol {
    /// The word for it in a span.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixDatagram => "unix datagram",
        }
    }
}
