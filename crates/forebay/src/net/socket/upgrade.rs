//! Starts TLS on a connection: on a new one, or in the middle of a conversation.

use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use forebay_tls::{TlsConfig, TlsInfo};

use super::handle::Handle;
use super::source::SocketSource;
use super::tls_stream::{TlsStream, shake};
use super::{Connection, Core, Socket};
use crate::boxed::boxed;

impl Socket {
    /// Makes this connection a TLS connection, as its client. Channels that are opened from now on, from
    /// any clone, are secure. The server's certificate must be valid for the name or IP address that was
    /// connected to, unless the configuration sets another
    /// [`server_name`](forebay_tls::TlsClientBuilder::server_name).
    ///
    /// # Errors
    ///
    /// - [`Tls`](ErrorKind::Tls) with the problem: the certificate, the versions, or a refusal by the peer.
    ///   The message tells what was expected, what was received, and what to do.
    /// - [`TimedOut`](ErrorKind::TimedOut) after the
    ///   [`handshake_timeout`](forebay_tls::TlsClientBuilder::handshake_timeout) of the configuration, 10 s
    ///   by default.
    /// - [`NotFound`](ErrorKind::NotFound): the configuration trusts the system's roots, and there are
    ///   none; [`Exhausted`](ErrorKind::Exhausted): there was no descriptor left to read all of them.
    ///   Neither result is cached: the next connection reads the roots again.
    /// - [`AlreadyOpened`](ErrorKind::AlreadyOpened): a channel is open, and nothing was changed;
    ///   [`Connection::tls`] takes over open channels.
    /// - [`InvalidInput`](ErrorKind::InvalidInput): the configuration is for servers, there is no name to
    ///   check, or the connection has TLS already.
    /// - The error that the connection met: [`Reset`](ErrorKind::Reset), …
    ///
    /// # Cancel safety
    ///
    /// Aborts: a call that is dropped before it is complete resets the connection.
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
    pub fn tls(&self, config: &TlsConfig) -> impl Future<Output = Result<Self>> {
        let config = config.clone();
        boxed(async move { self.secure("tls", &config, true).await })
    }

    /// Makes this connection a TLS connection, as its server. [`ServerSocket::tls`] does this for every
    /// accepted connection, at its first use.
    ///
    /// [`ServerSocket::tls`]: crate::ServerSocket::tls
    ///
    /// # Errors
    ///
    /// As [`tls`](Self::tls), except that the configuration must be for servers; and
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) if too many peers had begun a handshake and this one was
    /// the oldest ([`handshakes_max`](crate::SelectorBuilder::handshakes_max)), or
    /// [`Exhausted`](ErrorKind::Exhausted) if it was the oldest and no descriptor was left for another
    /// connection.
    ///
    /// # Cancel safety
    ///
    /// Aborts: a call that is dropped before it is complete resets the connection.
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
    pub fn accept_tls(&self, config: &TlsConfig) -> impl Future<Output = Result<Self>> {
        let config = config.clone();
        boxed(async move { self.secure("accept_tls", &config, false).await })
    }

    /// Waits until the TLS handshake is complete, and returns its results. Only a connection from
    /// [`ServerSocket::tls`](crate::ServerSocket::tls) needs this, to decide by the name or the protocol
    /// that its peer requested before anything is read. It begins the handshake if that has not begun.
    ///
    /// # Errors
    ///
    /// As [`accept_tls`](Self::accept_tls); [`InvalidInput`](ErrorKind::InvalidInput) if the connection has
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
        let Some(secured) = self.0.secured_or_pending() else {
            let error = Error::new(ErrorKind::InvalidInput, "handshake");
            let detail = "this connection has no TLS: call tls or accept_tls first";
            return Err(self.0.core().named(error.with_detail(detail)));
        };
        secured.session().opened().await?;
        secured.session().info().ok_or_else(|| self.0.core().refusal("handshake"))
    }

    /// Returns the results of the TLS handshake; `None` without TLS, and before the handshake is complete.
    /// [`handshake`](Self::handshake) waits for that, and has an example. The results stay available after
    /// the connection has ended.
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
        check_side(operation, config, as_client).map_err(|error| core.named(error))?;
        if self.0.is_secure() {
            return Err(core.named(secure_already(operation)));
        }
        if !core.halves().take_both() {
            let error = Error::new(ErrorKind::AlreadyOpened, operation);
            let detail = "a channel of this socket is open: Connection::tls takes it over";
            return Err(core.named(error.with_detail(detail)));
        }
        let below = Arc::clone(self.0.open_outbox());
        let secured = self.0.set_secured(|| TlsStream::over(core, below));
        let secured = secured.ok_or_else(|| core.named(secure_already(operation)))?;
        let outcome = shake(core, secured.session(), config).await;
        // Also after a failure: channels that are opened then report the reason.
        core.halves().give_back();
        outcome.map(|()| self.clone())
    }
}

impl Connection {
    /// Makes this connection a TLS connection in the middle of a conversation, as its client, as STARTTLS
    /// requires (RFC 3207, for instance). Bytes written before are sent first; from then on both channels
    /// are secure.
    ///
    /// Bytes that have arrived before the handshake and were not read are refused: an attacker between the
    /// peers could have put them there, to have them taken as part of the secure conversation. With
    /// [`replay_buffered`](forebay_tls::TlsClientBuilder::replay_buffered) they are taken as the beginning
    /// of the peer's handshake instead.
    ///
    /// # Errors
    ///
    /// As [`Socket::tls`], except for the open channels; and [`InvalidInput`](ErrorKind::InvalidInput) for
    /// buffered bytes. A configuration for servers, and a connection that has TLS already, are refused
    /// before anything is changed. Any other error resets the connection.
    ///
    /// # Cancel safety
    ///
    /// Aborts: a call that is dropped before it is complete resets the connection.
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
    pub fn tls(&mut self, config: &TlsConfig) -> impl Future<Output = Result<()>> {
        let config = config.clone();
        boxed(async move { self.upgrade("tls", &config, true).await })
    }

    /// Makes this connection a TLS connection like [`tls`](Self::tls), but as its server. The example there
    /// shows both sides.
    ///
    /// # Errors
    ///
    /// As [`tls`](Self::tls), except that the configuration must be for servers; and
    /// [`LimitExceeded`](ErrorKind::LimitExceeded), as [`Socket::accept_tls`].
    ///
    /// # Cancel safety
    ///
    /// Aborts: a call that is dropped before it is complete resets the connection.
    #[doc(alias = "STARTTLS")]
    pub fn accept_tls(&mut self, config: &TlsConfig) -> impl Future<Output = Result<()>> {
        let config = config.clone();
        boxed(async move { self.upgrade("accept_tls", &config, false).await })
    }

    async fn upgrade(
        &mut self,
        operation: &'static str,
        config: &TlsConfig,
        as_client: bool,
    ) -> Result<()> {
        let handle = Arc::clone(&self.socket.0);
        let core = handle.core();
        check_side(operation, config, as_client).map_err(|error| core.named(error))?;
        core.check_open(operation)?;
        if handle.is_secure() {
            return Err(core.named(secure_already(operation)));
        }
        let mut unfinished = Unfinished { core, is_over: false };
        let outcome = self.lay_on_top(operation, &handle, config).await;
        unfinished.is_over = true;
        if let Err(error) = &outcome {
            core.abort_whole(error.clone());
            // Unprotected bytes that arrived where only TLS was expected must not be read.
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
            return Err(core.named(Error::new(ErrorKind::InvalidInput, operation))
                .with_detail(format!(
                    "{buffered} bytes have arrived in front of the handshake and were not read: \
                     they are not protected, and may come from an attacker (read them first, or have \
                     them taken as part of the handshake with replay_buffered)"
                )));
        }
        let layer = SocketSource::for_layer(Arc::clone(core));
        let inbox = self.input.move_to_inbox(Box::new(layer));
        let below = Arc::clone(self.output.outbox());
        let secured = handle.set_secured(|| TlsStream::new(core, inbox, below));
        let secured = secured.ok_or_else(|| core.named(secure_already(operation)))?;
        self.input.replace_source(secured.source(Arc::clone(handle) as _));
        self.output.replace_outbox(Arc::clone(secured.outbox()));
        shake(core, secured.session(), config).await
    }
}

/// Aborts the connection of an upgrade that is dropped before it is complete.
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
