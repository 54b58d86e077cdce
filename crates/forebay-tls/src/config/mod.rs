//! The configuration of one side of a TLS connection.

mod build;
mod client;
mod key_log;
mod server;
mod server_name;
mod settings;
mod store;
mod success_cell;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::{Error, ErrorKind, Result, TlsFault};
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls_pki_types::ServerName;

use self::client::ClientSide;
use self::server::ServerSide;
use self::settings::TlsSettings;
use crate::Identity;

pub use client::TlsClientBuilder;
pub use server::{ClientAuth, TlsServerBuilder};
pub use settings::EndWithoutNotify;
pub use store::Store;

/// The operation that errors of connections name.
const TLS: &str = "tls";

/// The configuration of one side of TLS connections: made once, then used for any number of connections,
/// and cheap to clone.
///
/// - [`TlsConfig::default()`] is a client configuration that trusts the roots of the system. It is only a
///   handle: roots and sessions live in the selector, so it may be written at every call.
/// - [`TlsConfig::client()`] and [`TlsConfig::server()`] make configurations with more settings.
///
/// Both sides support TLS 1.2 (RFC 5246) and 1.3 (RFC 8446), the former only with forward secrecy and AEAD
/// ciphers. There is no renegotiation, no compression and no early data (0-RTT). Revocation is not checked,
/// neither by CRL nor by OCSP, except where the system's own verifier does so.
///
/// Clones share their sessions. `Debug` prints neither keys nor secrets.
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use std::time::Duration;
///
/// use forebay::TlsConfig;
///
/// // Made once, cloned for whoever connects.
/// let config = TlsConfig::client().alpn(["h2"]).handshake_timeout(Duration::from_secs(3)).build()?;
/// let same_sessions = config.clone();
/// # drop(same_sessions);
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
#[doc(alias = "TLSConfig")]
pub struct TlsConfig(ConfigSide);

#[derive(Clone)]
enum ConfigSide {
    /// A client whose configuration lives in a [`Store`].
    Default,
    Client(Arc<ClientSide>),
    Server(Arc<ServerSide>),
}

/// A client configuration that trusts the roots of the system.
impl Default for TlsConfig {
    fn default() -> Self {
        Self(ConfigSide::Default)
    }
}

impl TlsConfig {
    /// Makes a client configuration.
    #[doc(alias = "TLSConfigBuilder")]
    pub fn client() -> TlsClientBuilder {
        TlsClientBuilder::new()
    }

    /// Makes a server configuration. Every client gets the one identity, whichever name it requests and if
    /// it requests none, as RFC 6066, section 3 allows: checking names is up to the client. The requested
    /// name is available in `tls_info`.
    ///
    /// Keep a clone of the identity to [`reload`](Identity::reload) it.
    #[doc(alias = "TLSConfigBuilder")]
    pub fn server(identity: Identity) -> TlsServerBuilder {
        TlsServerBuilder::new(identity)
    }

    /// Returns `true` for a client configuration.
    #[doc(hidden)]
    pub fn is_client(&self) -> bool {
        !matches!(self.0, ConfigSide::Server(_))
    }

    /// Returns the time limit for a handshake.
    #[doc(hidden)]
    pub fn handshake_timeout(&self) -> Duration {
        self.settings().map_or(settings::HANDSHAKE_TIMEOUT, |settings| settings.handshake_timeout)
    }

    /// Returns `true` if bytes that were buffered before an upgrade are the start of the peer's handshake.
    #[doc(hidden)]
    pub fn replays_buffered(&self) -> bool {
        self.settings().is_some_and(|settings| settings.replay_buffered)
    }

    /// Returns `true` if nothing is left to read from files.
    #[doc(hidden)]
    pub fn is_loaded(&self, store: &Store) -> bool {
        match &self.0 {
            ConfigSide::Default => store.loaded_default_client().is_some(),
            ConfigSide::Client(client) => client.prepared().is_some(),
            ConfigSide::Server(_) => true,
        }
    }

    /// Reads what has to be read from files, which may block. After a success it does nothing; of several
    /// calls at the same time only one reads.
    ///
    /// # Errors
    ///
    /// Those of reading. A later call tries again.
    #[doc(hidden)]
    pub fn load(&self, store: &Store) -> Result<()> {
        match &self.0 {
            ConfigSide::Default => store.default_client().map(drop),
            ConfigSide::Client(client) => client.prepare(store).map(drop),
            ConfigSide::Server(_) => Ok(()),
        }
    }

    /// Returns how an end without `close_notify` is treated.
    pub(crate) fn ends_without_notify(&self) -> EndWithoutNotify {
        self.settings().map(|settings| settings.end_without_notify).unwrap_or_default()
    }

    /// Refuses a connection without an application protocol if one is required.
    pub(crate) fn check_alpn(&self, negotiated: Option<&[u8]>) -> Result<()> {
        let Some(settings) = self.settings() else { return Ok(()) };
        if !settings.require_alpn || negotiated.is_some() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Tls(TlsFault::NoCommonProtocol), TLS).with_detail(format!(
            "expected one of the application protocols {:?} (ALPN, RFC 7301), but the peer agreed \
             on none; have it name one, or let connections go on without (`require_alpn`)",
            settings.alpn,
        )))
    }

    /// Begins the client side of a connection.
    ///
    /// `host` is the name or IP address that was connected to; a Unix socket has none.
    pub(crate) fn client_connection(
        &self,
        store: &Store,
        host: Option<&str>,
    ) -> Result<UnbufferedClientConnection> {
        let prepared = match &self.0 {
            ConfigSide::Default => store.loaded_default_client(),
            ConfigSide::Client(client) => client.prepared(),
            ConfigSide::Server(_) => return Err(of_a_server()),
        };
        let name = self.checked_name(host)?;
        let config = prepared.ok_or_else(not_loaded)?;
        UnbufferedClientConnection::new(config, name).map_err(not_begun)
    }

    /// Returns the name or IP address that the server's certificate must be for.
    pub(crate) fn checked_name(&self, host: Option<&str>) -> Result<ServerName<'static>> {
        let chosen = match &self.0 {
            ConfigSide::Default => None,
            ConfigSide::Client(client) => client.server_name(),
            ConfigSide::Server(_) => return Err(of_a_server()),
        };
        match (chosen, host) {
            (Some(name), _) => Ok(name.clone()),
            (None, Some(host)) => server_name::parse(host, TLS),
            (None, None) => Err(server_name::missing(TLS)),
        }
    }

    /// Begins the server side of a connection.
    pub(crate) fn server_connection(&self) -> Result<UnbufferedServerConnection> {
        let ConfigSide::Server(server) = &self.0 else {
            return Err(Error::new(ErrorKind::InvalidInput, "accept_tls").with_detail(
                "this configuration is a client's; a server needs one that was made with \
                 `TlsConfig::server(identity)`",
            ));
        };
        UnbufferedServerConnection::new(server.rustls().clone()).map_err(not_begun)
    }

    fn settings(&self) -> Option<&TlsSettings> {
        match &self.0 {
            ConfigSide::Default => None,
            ConfigSide::Client(client) => Some(client.settings()),
            ConfigSide::Server(server) => Some(server.settings()),
        }
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ConfigSide::Default => f.write_str("TlsConfig::default()"),
            ConfigSide::Client(client) => client.fmt(f),
            ConfigSide::Server(server) => server.fmt(f),
        }
    }
}

/// The error for a server configuration that is used by a client. This is a bug of the caller, which must
/// not end the program.
fn of_a_server() -> Error {
    Error::new(ErrorKind::InvalidInput, TLS).with_detail(
        "this configuration is a server's; a client needs one that was made with \
         `TlsConfig::client()`, or `TlsConfig::default()`",
    )
}

fn not_loaded() -> Error {
    Error::new(ErrorKind::Other, TLS).with_detail(
        "the configuration was used before its roots were loaded; this is a bug of forebay",
    )
}

/// Converts the only errors that rustls can return here: the system gave no random numbers or no time.
fn not_begun(error: rustls::Error) -> Error {
    Error::new(ErrorKind::System, TLS).context("beginning a TLS connection").with_cause(error)
}
