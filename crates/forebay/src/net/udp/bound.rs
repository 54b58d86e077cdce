//! A datagram socket that any peer may write to.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use forebay_io::Result;
use forebay_io::seam::giving_way;

use super::batch::DatagramBatch;
use super::core::DatagramCore;
use super::datagram::Datagram;
use super::incoming::IncomingDatagrams;
use super::outgoing::Outgoing;
use super::receiving::Receiving;
use super::reply::source_of;
use super::sending::{Sending, SendingBatch};

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
    pub(super) fn new(core: Arc<DatagramCore>) -> Self {
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
        let outgoing = Outgoing { payload: payload.as_ref(), to: Some(to), from: None };
        let mut sending = Sending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    /// Sends a datagram if the system has room for it now. `false` means that nothing was sent.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>, to: SocketAddr) -> Result<bool> {
        let outgoing = Outgoing { payload: payload.as_ref(), to: Some(to), from: None };
        self.core.try_send(outgoing)
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
        let from = source_of(to);
        let outgoing = Outgoing { payload: payload.as_ref(), to: Some(to.address), from };
        let mut sending = Sending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    /// Sends all datagrams of a batch, and removes them from it. Those of one length to one peer leave several at a
    /// time where the system can do that.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), of the first datagram that cannot be sent. It is removed from the batch; the
    /// ones behind it are still there, to be sent by another call. One without an address is
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput).
    ///
    /// # Cancel safety
    ///
    /// Resumes: what was sent has left the batch, and another call continues from there.
    pub async fn send_batch(&self, batch: &mut DatagramBatch) -> Result<()> {
        let mut sending = SendingBatch::new(&self.core, batch);
        poll_fn(|cx| sending.poll(cx)).await
    }

    /// Returns the next datagram, however many tasks receive.
    ///
    /// Datagrams arrive in any order, more than once, or not at all; see
    /// [`dropped_datagrams`](Self::dropped_datagrams) for those that this machine has dropped.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed. That a datagram
    /// did not arrive at its peer is none.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a datagram is returned, or stays with the socket for the next call.
    pub async fn receive(&self) -> Result<Datagram> {
        let mut receiving = Receiving::new(&*self.core);
        poll_fn(|cx| receiving.poll(cx)).await
    }

    /// Waits for a datagram, and appends it to `datagrams`, with those that have arrived behind it, until there are
    /// `most` in all. Returns how many it has appended; zero only if there were `most` before.
    ///
    /// They are received several at a time where the system can do that.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive); then nothing is appended.
    ///
    /// # Cancel safety
    ///
    /// Lossless: nothing is appended unless the call returns.
    pub async fn receive_batch(&self, datagrams: &mut Vec<Datagram>, most: usize) -> Result<usize> {
        let before = datagrams.len();
        if before >= most {
            return Ok(0);
        }
        datagrams.push(self.receive().await?);
        self.core.receive_more(datagrams, most);
        Ok(datagrams.len() - before)
    }

    /// Returns a datagram that has arrived already; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub fn try_receive(&self) -> Result<Option<Datagram>> {
        self.core.try_receive()
    }

    /// Returns the datagrams as a stream.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let socket = selector.udp().bind("127.0.0.1:0").await?;
    ///     socket.send("one", socket.local_address()).await?;
    ///     let mut incoming = socket.incoming();
    ///     while let Some(datagram) = incoming.next().await {
    ///         assert_eq!(&datagram?.payload[..], b"one");
    ///         socket.close();
    ///     }
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn incoming(&self) -> IncomingDatagrams {
        IncomingDatagrams::new(&self.core)
    }

    /// Returns the address that the socket is bound to.
    pub fn local_address(&self) -> SocketAddr {
        self.core.local()
    }

    /// Returns the number of datagrams that the system has dropped since the socket was made, because they did
    /// not fit into its buffer ([`receive_buffer_size`](crate::UdpBuilder::receive_buffer_size)).
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on other systems than Linux, which tells it from 4.12 on
    /// (`SO_MEMINFO`); [`Closed`](crate::ErrorKind::Closed).
    pub fn dropped_datagrams(&self) -> Result<u64> {
        self.core.dropped_datagrams()
    }

    /// Returns how often the network has reported that a datagram could not be delivered (ICMP): to a port where
    /// nothing listens, for instance.
    ///
    /// Linux does not report it to a socket without a peer, so there it stays zero.
    pub fn unreachable_reports(&self) -> u64 {
        self.core.unreachable()
    }

    /// Closes the socket: every call that waits fails with [`Closed`](crate::ErrorKind::Closed). What has
    /// arrived and is not received is discarded.
    pub fn close(&self) {
        self.core.close();
    }

    /// Returns `true` once the socket is closed.
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Waits until the socket is closed, by [`close`](Self::close) or with its selector.
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    #[doc(alias = "awaitClosed")]
    pub async fn closed(&self) {
        giving_way(self.core.closers.until(|| self.is_closed())).await;
    }
}

impl fmt::Debug for BoundDatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundDatagramSocket")
            .field("local_address", &self.local_address())
            .finish_non_exhaustive()
    }
}
