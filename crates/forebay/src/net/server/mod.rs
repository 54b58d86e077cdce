//! Listening and accepting.

mod accepting;
mod incoming;
mod listener;
mod pace;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use forebay_io::seam::giving_way;
use forebay_io::{Error, ErrorKind, Result};

use self::accepting::Accepting;
pub use self::incoming::Incoming;
pub(super) use self::listener::Accepted;
use self::listener::Listener;
use super::SocketAddress;
use super::descriptor::Descriptor;
use super::options::ConnectionOptions;
use super::socket::{Promise, Socket};
use super::unix::OwnPath;

/// A listening socket.
///
/// Clones share it; any number of tasks may accept. It is closed by [`close`](Self::close), with its
/// selector, or when the last clone is dropped; connections accepted before go on.
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
    /// What its connections have besides.
    promise: Promise,
}

impl ServerSocket {
    pub(super) fn new(
        io: Descriptor,
        local: SocketAddress,
        accepted: Accepted,
        connection: Arc<ConnectionOptions>,
        path: Option<OwnPath>,
    ) -> Self {
        let listener = Listener::new(io, local, accepted, connection, path);
        Self { listener, promise: Promise::default() }
    }

    /// Waits for a connection.
    ///
    /// What concerns one peer alone (it was gone before it was accepted) is passed over. When the
    /// machine has no descriptors or memory left, accepting pauses, 5 milliseconds doubling up to a
    /// second, and goes on by itself: at the latest when the pause is over, and at once when a
    /// socket of the same selector gives its descriptor back. Connections wait in the backlog
    /// meanwhile. Before it pauses, a connection gives its descriptor back: the oldest
    /// that is being closed without an owner, or else the oldest TLS connection that was accepted and
    /// whose handshake is not complete, first of those whose peers have said nothing. That handshake
    /// ends with [`Exhausted`](ErrorKind::Exhausted). Each pause is reported ([`on_task_error`](crate::SelectorBuilder::on_task_error)).
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) when this socket or its selector is closed;
    /// [`InvalidInput`](ErrorKind::InvalidInput) when another handle of the listener, in another
    /// process for instance, has shut it down (`shutdown(2)`);
    /// [`System`](ErrorKind::System) for what the system does not explain.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call has accepted nothing.
    pub async fn accept(&self) -> Result<Socket> {
        let mut accepting = Accepting::new(&*self.listener, self.promise.clone());
        poll_fn(|cx| accepting.poll(cx)).await
    }

    /// Makes a handle of this listener whose connections are TLS connections. Each makes its
    /// handshake at its first use (a channel, [`Socket::handshake`], or a wait for its end), in a task
    /// of its own: accepting never waits for one, and a peer that does not go on keeps nobody else
    /// waiting. How long one may take, the configuration says
    /// ([`handshake_timeout`](forebay_tls::TlsServerBuilder::handshake_timeout)); how many there may
    /// be at once, the selector ([`handshakes_max`](crate::SelectorBuilder::handshakes_max)).
    ///
    /// The listener is the same: this handle and those without TLS take from one backlog, and
    /// closing one closes all.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a client's configuration, and where the
    /// connections are TLS connections already.
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
        if config.is_client() || self.promise.is_some() {
            let detail = if config.is_client() {
                "the configuration is a client's: TlsConfig::server makes one"
            } else {
                "the connections of this listener are TLS connections already"
            };
            return Err(Error::new(ErrorKind::InvalidInput, "tls").with_detail(detail));
        }
        Ok(Self { listener: Arc::clone(&self.listener), promise: Promise::of(config) })
    }

    /// The address this socket listens at.
    pub fn local_address(&self) -> SocketAddress {
        self.listener.local().clone()
    }

    /// The port this socket listens at; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        self.listener.local().port().unwrap_or_default()
    }

    /// Stops listening: connections not accepted yet are refused or reset, and every waiting
    /// [`accept`](Self::accept) gets [`Closed`](ErrorKind::Closed). The path of a Unix socket is
    /// removed, unless somebody has replaced it. Idempotent; it does not wait.
    pub fn close(&self) {
        self.listener.close();
    }

    /// True once this socket was closed.
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
