//! Listening and accepting.

mod accepting;
#[cfg(unix)]
mod beside;
mod incoming;
mod listener;
mod pace;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use forebay_io::Result;
use forebay_io::seam::giving_way;
use rustix::fd::OwnedFd;

use self::accepting::Accepting;
pub use self::incoming::Incoming;
use self::listener::{Listener, Opener};
use super::descriptor::Descriptor;
use super::options::{OptionValues, SocketOptions};
use super::protocol::Protocol;
use super::socket::{PendingTls, Socket};
use super::{OwnPath, SocketAddress};

/// A listening socket.
///
/// Clones share it, and any number of tasks may accept. It is closed by [`close`](Self::close), with its
/// selector, or when the last clone is dropped. Connections that were accepted before are not affected.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let server = selector.tcp().bind("127.0.0.1:0").await?;
///     println!("Server is listening at {}", server.local_address());
///     let client = selector.tcp().connect(server.local_address()).await?;
///     let socket = server.accept().await?;
///     assert_eq!(socket.remote_address(), client.local_address());
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct ServerSocket {
    listener: Arc<Listener>,
    /// The TLS of its connections, if the handle was made by `tls`.
    pending_tls: PendingTls,
}

impl ServerSocket {
    pub(super) fn new(
        io: Descriptor,
        local: SocketAddress,
        protocol: Protocol,
        options: Arc<OptionValues>,
        path: Option<OwnPath>,
    ) -> Self {
        let listener = Listener::new(io, local, protocol, options, (path, Opener::Here));
        Self { listener, pending_tls: PendingTls::default() }
    }

    /// Makes a handle of a listener that another program has opened. `is_multipath`: its connections differ in what
    /// they inherit.
    #[cfg(unix)]
    pub(super) fn inherited(
        io: Descriptor,
        local: SocketAddress,
        protocol: Protocol,
        options: Arc<OptionValues>,
        is_multipath: bool,
    ) -> Self {
        let opener = Opener::Elsewhere { is_multipath };
        let listener = Listener::new(io, local, protocol, options, (None, opener));
        Self { listener, pending_tls: PendingTls::default() }
    }

    /// Waits for a connection.
    ///
    /// Errors that concern a single peer (it was gone before it was accepted) are skipped. If the machine
    /// has no descriptors or memory left, accepting pauses: for 5 milliseconds first, doubling up to one
    /// second. It goes on by itself, when the pause is over or as soon as a socket of the same selector
    /// releases its descriptor. In the meantime connections wait in the backlog. Before accepting pauses,
    /// one connection is ended to free its descriptor: the oldest that is being closed without an owner, or
    /// else the oldest accepted TLS connection with an incomplete handshake, beginning with those whose
    /// peers have sent nothing. That handshake fails with [`Exhausted`](crate::ErrorKind::Exhausted). Each pause
    /// is reported ([`on_task_error`](crate::SelectorBuilder::on_task_error)).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) if this socket or its selector is closed;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if another handle of the listener, for instance in another
    /// process, has shut it down (`shutdown(2)`); [`System`](crate::ErrorKind::System) for other errors of the
    /// system.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call has accepted nothing.
    pub async fn accept(&self) -> Result<Socket> {
        let mut accepting = Accepting::new(&*self.listener, self.pending_tls.clone());
        poll_fn(|cx| accepting.poll(cx)).await
    }

    /// Makes a handle of this listener for TLS connections. Each connection performs its handshake at its
    /// first use (a channel, [`Socket::handshake`], or a wait for its end), in a task of its own: accepting
    /// never waits for a handshake, and a peer that does not continue delays no other. The configuration
    /// limits the duration of a handshake
    /// ([`handshake_timeout`](forebay_tls::TlsServerBuilder::handshake_timeout)), and the selector limits
    /// how many there are at once ([`handshakes_max`](crate::SelectorBuilder::handshakes_max)).
    ///
    /// The listener is the same: this handle and those without TLS accept from one backlog, and closing one
    /// of them closes all.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a configuration for clients, and if the connections of
    /// this handle are TLS connections already.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use forebay::{Identity, TlsConfig};
    ///
    /// fn main() -> forebay::Result<()> {
    ///     let identity = Identity::from_pem_files("server.pem", "server.key")?;
    ///     let config = TlsConfig::server(identity).build()?;
    ///     forebay::run(async |selector| {
    ///         let server = selector.tcp().bind("127.0.0.1:9443").await?.tls(&config)?;
    ///         loop {
    ///             let socket = server.accept().await?;
    ///             selector.spawn(async move {
    ///                 let mut output = socket.open_write_channel()?;
    ///                 output.write_str("Hello, in private!\n").await?;
    ///                 socket.close().await
    ///             });
    ///         }
    ///     })
    /// }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(&self, config: &forebay_tls::TlsConfig) -> Result<Self> {
        use forebay_io::{Error, ErrorKind};

        if config.is_client() || self.pending_tls.is_some() {
            let detail = if config.is_client() {
                "the configuration is a client's: TlsConfig::server makes one"
            } else {
                "the connections of this listener are TLS connections already"
            };
            return Err(Error::new(ErrorKind::InvalidInput, "tls").with_detail(detail));
        }
        Ok(Self { listener: Arc::clone(&self.listener), pending_tls: PendingTls::of(config) })
    }

    /// Returns the address at which this socket listens.
    pub fn local_address(&self) -> SocketAddress {
        self.listener.local().clone()
    }

    /// Returns the port at which this socket listens; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        self.listener.local().port().unwrap_or_default()
    }

    /// Returns the options that took effect: the system's as it reports them now, and those that this library keeps
    /// for the connections to come.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed): this socket or its selector is closed.
    #[doc(alias = "getsockopt")]
    pub fn options(&self) -> Result<SocketOptions> {
        self.listener.told_options()
    }

    /// Returns another descriptor of the system's socket, for what this library does not have; see
    /// [`Socket::try_clone_fd`]. While it is open, the system goes on accepting connections into the backlog, also
    /// after [`close`](Self::close).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed): this socket or its selector is closed;
    /// [`Exhausted`](crate::ErrorKind::Exhausted): the process has no descriptor left.
    #[doc(alias = "as_fd")]
    #[doc(alias = "AsFd")]
    pub fn try_clone_fd(&self) -> Result<OwnedFd> {
        self.listener.try_clone_fd()
    }

    /// Stops listening: connections that were not accepted yet are refused or reset, and every waiting
    /// [`accept`](Self::accept) fails with [`Closed`](crate::ErrorKind::Closed). The path of a Unix socket is
    /// removed, unless it was replaced in the meantime. It may be called repeatedly, and does not wait.
    pub fn close(&self) {
        self.listener.close();
    }

    /// Returns `true` once this socket was closed.
    pub fn is_closed(&self) -> bool {
        self.listener.is_closed()
    }

    /// Waits until this socket is closed.
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    #[doc(alias = "awaitClosed")]
    pub async fn closed(&self) {
        giving_way(self.listener.waits.until(|| self.is_closed())).await;
    }
}

impl fmt::Debug for ServerSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSocket")
            .field("local_address", self.listener.local())
            .finish_non_exhaustive()
    }
}
