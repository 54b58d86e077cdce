//! The datagrams of one system call.

use std::net::{IpAddr, SocketAddr};

/// A datagram to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) payload: &'a [u8],
    /// `None` for the peer of a connected socket.
    pub(super) to: Option<&'a SocketAddr>,
    /// The address of this machine that it is sent from, and its interface; `None` leaves them to the system.
    pub(super) from: Option<(IpAddr, u32)>,
}

/// The first datagrams of a batch, which may leave in one system call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Train<'a> {
    pub(super) payload: &'a [u8],
    /// The number of datagrams.
    pub(super) count: usize,
    /// The length of each but the last.
    pub(super) length: usize,
    pub(super) to: Option<SocketAddr>,
    pub(super) from: Option<(IpAddr, u32)>,
}

impl Train<'_> {
    /// The first datagram alone.
    pub(super) fn first(&self) -> Outgoing<'_> {
        let payload = &self.payload[..self.length.min(self.payload.len())];
        Outgoing { payload, to: self.to.as_ref(), from: self.from }
    }
}
