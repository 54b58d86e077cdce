//! A datagram socket that any peer may write to.

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

/// A UDP socket that receives from any peer and sends to any.
///
/// Clones share it, and any number of tasks may receive and send. It is closed by [`close`](Self::close), with
/// its selector, or when the last clone is dropped.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let server = selector.udp().bind("127.0.0.1:0").await?;
///     let client = selector.udp().connect(server.local_address()).await?;
///     client.send("ping").await?;
///     let ping = server.receive().await?;
///     server.reply(&ping, "pong").await?;
///     assert_eq!(&client.receive().await?.payload[..], b"pong");
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct BoundDatagramSocket {
    pub(super) core: Arc<DatagramCore>,
}

impl BoundDatagramSocket {
    pub(in crate::net) fn new(core: Arc<DatagramCore>) -> Self {
        Self { core }
    }

    /// Sends a datagram, once the system has room for it. An empty one is sent too.
    ///
    /// # Errors
    ///
    /// - [`MessageTooLarge`](crate::ErrorKind::MessageTooLarge): nothing was sent. UDP carries 65,507 bytes over
    ///   IPv4 and 65,527 over IPv6; a datagram above the path's size is sent in fragments, as by a plain
    ///   socket.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied): to a broadcast address without
    ///   [`broadcast`](crate::UdpBuilder::broadcast), or a firewall refuses it.
    /// - [`Unreachable`](crate::ErrorKind::Unreachable): there is no route.
    /// - [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed.
    ///
    /// That a datagram did not arrive is no error of a later call, to the same peer or another.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has sent nothing.
    pub async fn send(&self, payload: impl AsRef<[u8]>, to: SocketAddr) -> Result<()> {
        let outgoing = Outgoing { payload: payload.as_ref(), to: Some(&to), from: None };
        let mut sending = Sending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    /// Sends a datagram if the system has room for it now. `false` means that nothing was sent.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>, to: SocketAddr) -> Result<bool> {
        let outgoing = Outgoing { payload: payload.as_ref(), to: Some(&to), from: None };
        self.core.try_send(&outgoing)
    }

    /// Answers a datagram: to its sender, and from the address that it was sent to. A client takes no answer
    /// from another one, and on a machine with several addresses the system would choose by the route.
    ///
    /// To a datagram that came to a group or by broadcast, the system chooses the address.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has sent nothing.
    ///
    /// # Platform
    ///
    /// On other systems than Linux, Android and those of Apple, the system chooses the address.
    pub async fn reply(&self, to: &Datagram, payload: impl AsRef<[u8]>) -> Result<()> {
        let from = self.core.source_of(to);
        let outgoing = Outgoing { payload: payload.as_ref(), to: Some(&to.address), from };
        let mut sending = Sending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    common_calls!();
}

impl fmt::Debug for BoundDatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundDatagramSocket")
            .field("local_address", &self.local_address())
            .finish_non_exhaustive()
    }
}
