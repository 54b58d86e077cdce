//! A datagram socket with one peer.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use forebay_io::Result;

use super::batch::DatagramBatch;
use super::calls::common_calls;
use super::core::DatagramCore;
use super::datagram::Datagram;
use super::incoming::IncomingDatagrams;
use super::outgoing::Outgoing;
use super::sending::{Sending, SendingBatch};
use crate::net::datagram::{DatagramSocket, Receives, Receiving, shared_calls};

/// A UDP socket with one peer: it sends to it, and receives from it alone.
///
/// Clones share it, and any number of tasks may receive and send. It is closed by [`close`](Self::close), with
/// its selector, or when the last clone is dropped.
#[derive(Clone)]
pub struct ConnectedDatagramSocket {
    core: Arc<DatagramCore>,
}

impl ConnectedDatagramSocket {
    pub(in crate::net) fn new(core: Arc<DatagramCore>) -> Self {
        Self { core }
    }

    /// Returns the address of the peer.
    pub fn remote_address(&self) -> SocketAddr {
        // It has one: it was made with it.
        self.core.remote().unwrap_or(self.core.local())
    }

    /// Sends a datagram to the peer, once the system has room for it. An empty one is sent too.
    ///
    /// # Errors
    ///
    /// Those of [`BoundDatagramSocket::send`](crate::BoundDatagramSocket::send). That an earlier datagram did not
    /// arrive is told by the next [`receive`](Self::receive), and keeps no later one from the peer.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has sent nothing.
    pub async fn send(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        let outgoing = Outgoing { payload: payload.as_ref(), to: None, from: None };
        let mut sending = Sending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    /// Sends a datagram if the system has room for it now. `false` means that nothing was sent.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>) -> Result<bool> {
        let outgoing = Outgoing { payload: payload.as_ref(), to: None, from: None };
        self.core.try_send(&outgoing)
    }

    common_calls!();
}

impl fmt::Debug for ConnectedDatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectedDatagramSocket")
            .field("local_address", &self.local_address())
            .field("remote_address", &self.remote_address())
            .finish_non_exhaustive()
    }
}
