//! A Unix datagram socket with one peer.

use std::fmt;
use std::future::poll_fn;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use forebay_io::Result;

use super::calls::common_calls;
use super::core::UnixDatagramCore;
use super::incoming::IncomingUnixDatagrams;
use super::message::UnixDatagram;
use super::receiving::WithDescriptors;
use super::sending::{UnixOutgoing, UnixSending};
use crate::net::address::UnixAddress;
use crate::net::datagram::{DatagramSocket, Receives, Receiving, shared_calls};

/// A Unix datagram socket with one peer: it sends to it, and receives from it alone.
///
/// Clones share it, and any number of tasks may receive and send. It is closed by [`close`](Self::close), with
/// its selector, or when the last clone is dropped.
///
/// If the peer has gone, a [`send`](Self::send) finds the socket that is at its path by then: a server that was started
/// again goes on to be reached. On Linux a send that meets the end of the peer discards what has arrived from
/// it and is not received yet, and until the next send that reaches a peer, other processes may write to this socket.
///
/// # Examples
///
/// ```
/// # let directory = std::env::temp_dir().join(format!("forebay-doc-connected-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory).unwrap();
/// # let path = directory.join("server");
/// forebay::run(async |selector| {
///     let server = selector.unix().datagram().bind(&path).await?;
///     let client = selector.unix().datagram().connect(&path).await?;
///     client.send("one").await?;
///     assert_eq!(&server.receive().await?.payload[..], b"one");
///
///     drop(server);
///     let server = selector.unix().datagram().bind(&path).await?;
///     client.send("two").await?;
///     assert_eq!(&server.receive().await?.payload[..], b"two");
///     forebay::Result::Ok(())
/// })?;
/// # std::fs::remove_dir(&directory).unwrap();
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct ConnectedUnixDatagramSocket {
    core: Arc<UnixDatagramCore>,
}

impl ConnectedUnixDatagramSocket {
    pub(in crate::net) fn new(core: Arc<UnixDatagramCore>) -> Self {
        Self { core }
    }

    /// Returns the address of the peer.
    pub fn remote_address(&self) -> &UnixAddress {
        // It has one: it was made with it.
        self.core.remote().unwrap_or(self.core.local())
    }

    /// Sends a datagram to the peer, once it has room for it. An empty one is sent too.
    ///
    /// # Errors
    ///
    /// Those of [`BoundUnixDatagramSocket::send`](crate::BoundUnixDatagramSocket::send).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has sent nothing.
    pub async fn send(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        let outgoing = UnixOutgoing { payload: payload.as_ref(), to: None, fds: &[] };
        let mut sending = UnixSending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    /// Sends a datagram if the peer has room for it now. `false` means that nothing was sent.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>) -> Result<bool> {
        self.core.try_send(UnixOutgoing { payload: payload.as_ref(), to: None, fds: &[] })
    }

    /// Sends a datagram with descriptors to the peer (`SCM_RIGHTS`, `unix(7)`), as
    /// [`BoundUnixDatagramSocket::send_with_fds`](crate::BoundUnixDatagramSocket::send_with_fds) does.
    ///
    /// # Errors
    ///
    /// Those of [`BoundUnixDatagramSocket::send_with_fds`](crate::BoundUnixDatagramSocket::send_with_fds).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has sent nothing.
    #[doc(alias = "SCM_RIGHTS")]
    pub async fn send_with_fds(
        &self,
        payload: impl AsRef<[u8]>,
        fds: &[BorrowedFd<'_>],
    ) -> Result<()> {
        self.core.check_descriptors(fds)?;
        let outgoing = UnixOutgoing { payload: payload.as_ref(), to: None, fds };
        let mut sending = UnixSending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    common_calls!();
}

impl fmt::Debug for ConnectedUnixDatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectedUnixDatagramSocket")
            .field("local_address", &self.local_address())
            .field("remote_address", &self.remote_address())
            .finish_non_exhaustive()
    }
}
