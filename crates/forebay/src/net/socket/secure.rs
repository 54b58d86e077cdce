//! Securing a connection: at its beginning, or in the middle of what is said.

use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use forebay_tls::{TlsConfig, TlsInfo};

use super::handle::Handle;
use super::secured::{Secured, shake};
use super::source::SocketSource;
use super::{Connection, Core, Socket};

impl Socket {
    /// Makes this connection a TLS connection, as its client: channels opened from now on, from any
    /// clone, are secure. Without another
    /// [`server_name`](forebay_tls::TlsClientBuilder::server_name) in the configuration, the name
    /// or IP address that was connected to is the one that the server's certificate must be for.
    ///
    /// # Errors
    ///
    /// - [`Tls`](ErrorKind::Tls) with what is wrong: the certificate, the versions, what the peer
    ///   refuses. The message says what was expected, what came, and what to do.
    /// - [`TimedOut`](ErrorKind::TimedOut) after the configuration's
    ///   [`handshake_timeout`](forebay_tls::TlsClientBuilder::handshake_timeout), 10 s by default.
    /// - [`NotFound`](ErrorKind::NotFound): the system's roots are to be trusted, and there are none;
    ///   [`Exhausted`](ErrorKind::Exhausted): there was no descriptor left to read them all. Neither is
    ///   kept: the next connection reads them again.
    /// - [`AlreadyOpened`](ErrorKind::AlreadyOpened): a channel is open, and nothing was changed;
    ///   [`Connection::tls`] takes open ones over.
    /// - [`InvalidInput`](ErrorKind::InvalidInput): a server's configuration, no name to check, or
    ///   TLS is there already.
    /// - What the connection met: [`Reset`](ErrorKind::Reset), …
    ///
    /// # Cancel safety
    ///
    /// Aborts: dropped before it is complete, it resets the connection.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use forebay::TlsConfig;
    ///
    /// forebay::run(async |selector| {
    ///     let socket = selector.tcp().connect("example.com:443").await?;
    ///     let socket = socket.tls(&TlsConfig::default()).await?;
    ///     let mut output = socket.open_write_channel()?;
    ///     output.write_str("GET / HTTP/1.0\r\nHost: example.com\r\n\r\n").await?;
    ///     socket.close().await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub async fn tls(&self, config: &TlsConfig) -> Result<Self> {
        self.secure("tls", config, true).await
    }

    /// Makes this connection a TLS connection, as its server. [`ServerSocket::tls`] does this for
    /// every accepted connection, at its first use.
    ///
    /// [`ServerSocket::tls`]: crate::ServerSocket::tls
    ///
    /// # Errors
    ///
    /// As [`tls`](Self::tls), with a client's configuration as the wrong one; and
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) when too many peers had begun a handshake, and
    /// this one was the oldest ([`handshakes_max`](crate::SelectorBuilder::handshakes_max)), or
    /// [`Exhausted`](ErrorKind::Exhausted) when it was and no descriptor was left for another
    /// connection.
    ///
    /// # Cancel safety
    ///
    /// Aborts: dropped before it is complete, it resets the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay::certificates::Authority;
    /// # use forebay::{TlsConfig, Trust};
    /// # let authority = Authority::new("development")?;
    /// # let identity = authority.server(["127.0.0.1"])?.identity()?;
    /// # let for_server = TlsConfig::server(identity).build()?;
    /// # let for_client = TlsConfig::client().trust(Trust::roots_pem(authority.pem())?).build()?;
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:0").await?;
    ///     let address = server.local_address();
    ///     let greeting = selector.spawn(async move {
    ///         let socket = server.accept().await?.accept_tls(&for_server).await?;
    ///         socket.open_write_channel()?.write_str("hello\n").await?;
    ///         socket.close().await
    ///     });
    ///     let socket = selector.tcp().connect(address).await?.tls(&for_client).await?;
    ///     let line = socket.open_read_channel()?.read_line().await?;
    ///     assert_eq!(line.as_deref(), Some("hello"));
    ///     socket.close().await?;
    ///     greeting.await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub async fn accept_tls(&self, config: &TlsConfig) -> Result<Self> {
        self.secure("accept_tls", config, false).await
    }

    /// Waits until the TLS handshake is complete, and says what was agreed on. Only a connection of
    /// a [`ServerSocket::tls`](crate::ServerSocket::tls) needs it, to decide by the name or the
    /// protocol that its peer asked for before anything is read: it begins the handshake if nobody
    /// has yet.
    ///
    /// # Errors
    ///
    /// As [`accept_tls`](Self::accept_tls); [`InvalidInput`](ErrorKind::InvalidInput) when there is
    /// no TLS.
    ///
    /// # Cancel safety
    ///
    /// Releases: the handshake goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay::certificates::Authority;
    /// # use forebay::{TlsConfig, Trust};
    /// # let authority = Authority::new("development")?;
    /// # let identity = authority.server(["127.0.0.1"])?.identity()?;
    /// # let for_server = TlsConfig::server(identity).build()?;
    /// # let for_client = TlsConfig::client().trust(Trust::roots_pem(authority.pem())?).build()?;
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&for_server)?;
    ///     let address = server.local_address();
    ///     let session = selector.spawn(async move {
    ///         let socket = server.accept().await?;
    ///         let info = socket.handshake().await?;
    ///         assert!(!info.is_resumed() && info.alpn().is_none());
    ///         socket.close().await
    ///     });
    ///     let socket = selector.tcp().connect(address).await?.tls(&for_client).await?;
    ///     let info = socket.tls_info().expect("the handshake is complete");
    ///     assert_eq!(info.server_name(), Some("127.0.0.1"));
    ///     assert_eq!(info.peer_certificates()[0].names(), ["127.0.0.1"]);
    ///     socket.close().await?;
    ///     session.await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub async fn handshake(&self) -> Result<TlsInfo> {
        let Some(secured) = self.0.secured_or_promised() else {
            return Err(Error::new(ErrorKind::InvalidInput, "handshake")
                .with_detail("this connection has no TLS: call tls or accept_tls first"));
        };
        secured.session().opened().await?;
        secured.session().info().ok_or_else(|| self.0.core().refusal("handshake"))
    }

    /// Returns what the TLS handshake agreed on; `None` without TLS, and before the handshake is
    /// complete, which [`handshake`](Self::handshake) waits for; that has an example. It stays known
    /// after the connection has ended.
    pub fn tls_info(&self) -> Option<TlsInfo> {
        self.0.secured()?.session().info()
    }

    async fn secure(
        &self,
        operation: &'static str,
        config: &TlsConfig,
        as_client: bool,
    ) -> Result<Self> {
        let core = self.0.core();
        core.check_open(operation)?;
        check_side(operation, config, as_client)?;
        if self.0.is_secure() {
            return Err(secure_already(operation));
        }
        if !core.halves().take_both() {
            return Err(Error::new(ErrorKind::AlreadyOpened, operation)
                .with_detail("a channel of this socket is open: Connection::tls takes it over"));
        }
        let below = Arc::clone(self.0.open_outbox());
        let secured = self.0.set_secured(|| Secured::over(core, below));
        let secured = secured.ok_or_else(|| secure_already(operation))?;
        let outcome = shake(core, secured.session(), config).await;
        // Also when it failed: then they say why.
        core.halves().give_back();
        outcome.map(|()| self.clone())
    }
}

impl Connection {
    /// Makes this connection a TLS connection in the middle of what is said, as its client: what
    /// STARTTLS asks for (RFC 3207, for instance). What was written before is sent first; from then
    /// on both channels are secure.
    ///
    /// Bytes that have arrived already and that nobody has read are refused: whoever sits between
    /// the peers could have put them there, for them to be taken as part of the secure conversation
    /// ([`replay_buffered`](forebay_tls::TlsClientBuilder::replay_buffered) takes them as the
    /// beginning of the peer's handshake instead).
    ///
    /// # Errors
    ///
    /// As [`Socket::tls`], but for the open channels; and [`InvalidInput`](ErrorKind::InvalidInput) for
    /// bytes that are buffered. A server's configuration, and TLS that is there already, are refused
    /// before anything is changed. Whatever else it is, the connection is reset.
    ///
    /// # Cancel safety
    ///
    /// Aborts: dropped before it is complete, it resets the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay::certificates::Authority;
    /// # use forebay::{TlsConfig, Trust};
    /// # let authority = Authority::new("development")?;
    /// # let identity = authority.server(["127.0.0.1"])?.identity()?;
    /// # let for_server = TlsConfig::server(identity).build()?;
    /// # let for_client = TlsConfig::client().trust(Trust::roots_pem(authority.pem())?);
    /// # let for_client = for_client.server_name("127.0.0.1").build()?;
    /// forebay::run(async |selector| {
    ///     let (mut client, mut server) = forebay::duplex(64 * 1024);
    ///     let serving = selector.spawn(async move {
    ///         assert_eq!(server.input.read_line().await?.as_deref(), Some("STARTTLS"));
    ///         server.output.write_str("220 go ahead\n").await?;
    ///         server.accept_tls(&for_server).await?;
    ///         server.output.write_str("in private\n").await?;
    ///         server.output.finish().await
    ///     });
    ///     client.output.write_str("STARTTLS\n").await?;
    ///     assert_eq!(client.input.read_line().await?.as_deref(), Some("220 go ahead"));
    ///     client.tls(&for_client).await?;
    ///     assert_eq!(client.input.read_line().await?.as_deref(), Some("in private"));
    ///     serving.await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "STARTTLS")]
    pub async fn tls(&mut self, config: &TlsConfig) -> Result<()> {
        self.upgrade("tls", config, true).await
    }

    /// As [`tls`](Self::tls), as its server. The example there has both sides.
    ///
    /// # Errors
    ///
    /// As [`tls`](Self::tls), with a client's configuration as the wrong one; and
    /// [`LimitExceeded`](ErrorKind::LimitExceeded), as [`Socket::accept_tls`].
    ///
    /// # Cancel safety
    ///
    /// Aborts: dropped before it is complete, it resets the connection.
    #[doc(alias = "STARTTLS")]
    pub async fn accept_tls(&mut self, config: &TlsConfig) -> Result<()> {
        self.upgrade("accept_tls", config, false).await
    }

    async fn upgrade(
        &mut self,
        operation: &'static str,
        config: &TlsConfig,
        as_client: bool,
    ) -> Result<()> {
        check_side(operation, config, as_client)?;
        let handle = Arc::clone(&self.socket.0);
        let core = handle.core();
        core.check_open(operation)?;
        if handle.is_secure() {
            return Err(secure_already(operation));
        }
        let mut unfinished = Unfinished { core, is_over: false };
        let outcome = self.lay_on_top(operation, &handle, config).await;
        unfinished.is_over = true;
        if let Err(error) = &outcome {
            core.abort_whole(error.clone());
            // What was not protected, and came where only TLS was to come, is nobody's to read.
            self.input.abort_with(error.clone());
        }
        outcome
    }

    async fn lay_on_top(
        &mut self,
        operation: &'static str,
        handle: &Arc<Handle>,
        config: &TlsConfig,
    ) -> Result<()> {
        let core = handle.core();
        self.output.flush().await?;
        let buffered = self.input.buffered();
        if buffered > 0 && !config.replays_buffered() {
            return Err(Error::new(ErrorKind::InvalidInput, operation)
                .with_address(core.remote_address())
                .with_detail(format!(
                    "{buffered} bytes have arrived in front of the handshake and were not read: \
                     they are not protected, and may be anybody's (read them first, or have them \
                     taken as the handshake's with replay_buffered)"
                )));
        }
        let layer = SocketSource::for_layer(Arc::clone(core));
        let inbox = self.input.move_to_inbox(Box::new(layer));
        let below = Arc::clone(self.output.outbox());
        let secured = handle.set_secured(|| Secured::new(core, inbox, below));
        let secured = secured.ok_or_else(|| secure_already(operation))?;
        self.input.replace_source(secured.source(Arc::clone(handle) as _));
        self.output.replace_outbox(Arc::clone(secured.outbox()));
        shake(core, secured.session(), config).await
    }
}

/// An upgrade that may be dropped in the middle.
struct Unfinished<'a> {
    core: &'a Arc<Core>,
    is_over: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.core.abort_whole(
                Error::new(ErrorKind::Cancelled, "tls")
                    .with_detail("the upgrade was dropped before it was complete"),
            );
        }
    }
}

fn check_side(operation: &'static str, config: &TlsConfig, as_client: bool) -> Result<()> {
    if config.is_client() == as_client {
        return Ok(());
    }
    let (is, other) = if as_client { ("server", "accept_tls") } else { ("client", "tls") };
    Err(Error::new(ErrorKind::InvalidInput, operation)
        .with_detail(format!("the configuration is a {is}'s: {other} takes it")))
}

fn secure_already(operation: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, operation)
        .with_detail("this connection is a TLS connection already")
}
