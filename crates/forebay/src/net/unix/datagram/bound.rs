//! A Unix datagram socket that any peer may write to.

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
use crate::net::address::{ToUnixAddress, UnixAddress};
use crate::net::datagram::{DatagramSocket, Receives, Receiving, shared_calls};

/// A Unix datagram socket that receives from any peer and sends to any.
///
/// Clones share it, and any number of tasks may receive and send. It is closed by [`close`](Self::close), with
/// its selector, or when the last clone is dropped; its path is removed then, if it is still the file that was made.
///
/// # Examples
///
/// ```
/// # let directory = std::env::temp_dir().join(format!("forebay-doc-bound-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory).unwrap();
/// # let (server_path, client_path) = (directory.join("server"), directory.join("client"));
/// forebay::run(async |selector| {
///     let server = selector.unix().datagram().mode(0o600).replace_stale().bind(&server_path).await?;
///     let client = selector.unix().datagram().bind(&client_path).await?;
///     client.send("ping", server.local_address()).await?;
///     let ping = server.receive().await?;
///     server.send("pong", &ping.address).await?;
///     assert_eq!(&client.receive().await?.payload[..], b"pong");
///     forebay::Result::Ok(())
/// })?;
/// assert!(!server_path.exists());
/// # std::fs::remove_dir(&directory).unwrap();
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct BoundUnixDatagramSocket {
    core: Arc<UnixDatagramCore>,
}

impl BoundUnixDatagramSocket {
    pub(in crate::net) fn new(core: Arc<UnixDatagramCore>) -> Self {
        Self { core }
    }

    /// Sends a datagram, once its receiver has room for it. An empty one is sent too.
    ///
    /// A receiver's queue holds a few datagrams, whatever their size (on Linux `net.unix.max_dgram_qlen` and one
    /// more), so a slow receiver makes its senders wait. No event tells a socket without a peer that there is room, so the
    /// call tries again after pauses of up to 20 milliseconds; a
    /// [connected](crate::ConnectedUnixDatagramSocket) socket is woken at once.
    ///
    /// # Errors
    ///
    /// - [`MessageTooLarge`](crate::ErrorKind::MessageTooLarge): nothing was sent. On Linux a datagram may be as
    ///   large as the [buffer](crate::UnixDatagramBuilder::send_buffer_size) without some 32 bytes.
    /// - [`NotFound`](crate::ErrorKind::NotFound), [`Refused`](crate::ErrorKind::Refused): there is no such path or
    ///   name, or no socket is open there any more.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied): the path may not be written to, or the receiver
    ///   has another peer.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), [`Unsupported`](crate::ErrorKind::Unsupported): as for
    ///   [`UnixBuilder::bind`](crate::UnixBuilder::bind).
    /// - [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has sent nothing.
    pub async fn send(&self, payload: impl AsRef<[u8]>, to: impl ToUnixAddress) -> Result<()> {
        let to = to.to_unix_address()?;
        let system = to.to_system()?;
        let outgoing =
            UnixOutgoing { payload: payload.as_ref(), to: Some((&to, &system)), fds: &[] };
        let mut sending = UnixSending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    /// Sends a datagram if its receiver has room for it now. `false` means that nothing was sent.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>, to: impl ToUnixAddress) -> Result<bool> {
        let to = to.to_unix_address()?;
        let system = to.to_system()?;
        self.core.try_send(UnixOutgoing {
            payload: payload.as_ref(),
            to: Some((&to, &system)),
            fds: &[],
        })
    }

    /// Sends a datagram with descriptors (`SCM_RIGHTS`, `unix(7)`), as [`send`](Self::send) sends one without. The
    /// receiver has other descriptors of the same open files; those here stay open, and are this process's. The
    /// payload may be empty.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput): no descriptor, or more than 253.
    /// - [`Exhausted`](crate::ErrorKind::Exhausted): more descriptors of this user are on their way than the process
    ///   may have open (`RLIMIT_NOFILE`). Nothing was sent.
    /// - Those of [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has sent nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = std::env::temp_dir().join(format!("forebay-doc-datagram-fds-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory).unwrap();
    /// # let (server_path, client_path) = (directory.join("server"), directory.join("client"));
    /// use std::io::{Read, Write};
    /// use std::os::fd::AsFd;
    ///
    /// forebay::run(async |selector| {
    ///     let server = selector.unix().datagram().descriptors_max(1).bind(&server_path).await?;
    ///     let client = selector.unix().datagram().bind(&client_path).await?;
    ///
    ///     let (mut reader, writer) = std::io::pipe()?;
    ///     client.send_with_fds("a pipe", &[writer.as_fd()], server.local_address()).await?;
    ///     drop(writer);
    ///
    ///     let (datagram, fds) = server.receive_with_fds().await?;
    ///     assert_eq!(datagram.payload, "a pipe");
    ///     let mut passed = std::fs::File::from(fds.into_iter().next().expect("one was sent"));
    ///     passed.write_all(b"through the pipe")?;
    ///     drop(passed);
    ///     let mut text = String::new();
    ///     reader.read_to_string(&mut text)?;
    ///     assert_eq!(text, "through the pipe");
    ///     forebay::Result::Ok(())
    /// })?;
    /// # std::fs::remove_dir(&directory).unwrap();
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "SCM_RIGHTS")]
    pub async fn send_with_fds(
        &self,
        payload: impl AsRef<[u8]>,
        fds: &[BorrowedFd<'_>],
        to: impl ToUnixAddress,
    ) -> Result<()> {
        self.core.check_descriptors(fds)?;
        let to = to.to_unix_address()?;
        let system = to.to_system()?;
        let outgoing = UnixOutgoing { payload: payload.as_ref(), to: Some((&to, &system)), fds };
        let mut sending = UnixSending::new(&self.core, outgoing);
        poll_fn(|cx| sending.poll(cx)).await
    }

    common_calls!();
}

impl fmt::Debug for BoundUnixDatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundUnixDatagramSocket")
            .field("local_address", &self.local_address())
            .finish_non_exhaustive()
    }
}
