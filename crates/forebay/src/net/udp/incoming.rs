//! The datagrams of a socket as a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_io::Result;
use futures_core::Stream;

use super::core::DatagramCore;
use super::datagram::Datagram;
use crate::net::datagram::Receiving;

/// The datagrams of a socket, one after the other; see
/// [`BoundDatagramSocket::incoming`](super::BoundDatagramSocket::incoming).
///
/// It is a handle of the socket, like a clone. An error is one item, and more items may follow. The stream ends
/// when the socket or its selector is closed, and stays ended. It is `Unpin`.
#[must_use = "streams do nothing unless polled"]
pub struct IncomingDatagrams(Receiving<Arc<DatagramCore>>);

impl IncomingDatagrams {
    pub(super) fn new(core: &Arc<DatagramCore>) -> Self {
        Self(Receiving::new(Arc::clone(core)))
    }

    /// Returns the next datagram; `None` once the socket is closed.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a datagram is returned, or stays with the socket.
    pub async fn next(&mut self) -> Option<Result<Datagram>> {
        self.0.next().await
    }
}

impl Stream for IncomingDatagrams {
    type Item = Result<Datagram>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(cx)
    }
}

impl fmt::Debug for IncomingDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingDatagrams")
            .field("local_address", &self.0.socket().local())
            .finish_non_exhaustive()
    }
}
