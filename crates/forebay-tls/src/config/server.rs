//! The configuration of a server.

use std::fmt;
use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};

use super::settings::{self, TlsSettings, shared_setters};
use crate::identity::ServerKey;
use crate::provider::{Cryptography, seed, ticketer};
use crate::{Identity, Trust};

const BUILD: &str = "TlsServerBuilder::build";
/// Tickets for each connection: a browser opens more than one connection.
const TICKETS: usize = 2;
/// More than clients keep. Each ticket is a message to make and to send, whatever the client does with it.
const TICKETS_MAX: usize = 64;

/// The setting that decides whether a server asks its clients for a certificate (RFC 8446, section 4.3.2),
/// and which certificates it accepts.
///
/// With roots, the server sends clients the names of these (RFC 8446, section 4.2.4), for clients that
/// choose a certificate by them. Names of more than 32 KiB in total are not sent.
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::{ClientAuth, Trust};
///
/// # let made = rcgen::generate_simple_self_signed(["clients".to_owned()]).unwrap();
/// # let authority = made.cert.pem();
/// let everybody_shows_one = ClientAuth::Required(Trust::roots_pem(&authority)?);
/// let who_has_one_shows_it = ClientAuth::Optional(Trust::roots_pem(&authority)?);
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// The server does not ask.
    #[default]
    Off,
    /// The server asks. A client without a certificate is accepted, and `tls_info` then has none; a client
    /// with a certificate that is not trusted is refused.
    Optional(Trust),
    /// The server asks, and refuses clients without a trusted certificate.
    Required(Trust),
}

/// Makes a server's [`TlsConfig`](crate::TlsConfig); see [`TlsConfig::server`](crate::TlsConfig::server).
///
/// | option | default |
/// |---|---|
/// | [`alpn`](Self::alpn), [`require_alpn`](Self::require_alpn) | none, off |
/// | [`cipher_suites`](Self::cipher_suites) | the provider's |
/// | [`client_auth`](Self::client_auth) | off |
/// | [`end_without_notify`](Self::end_without_notify) | an error |
/// | [`handshake_timeout`](Self::handshake_timeout) | 10 s |
/// | [`key_exchange_groups`](Self::key_exchange_groups) | the provider's |
/// | [`key_log`](Self::key_log) | off |
/// | [`replay_buffered`](Self::replay_buffered) | off |
/// | [`session_cache`](Self::session_cache) | 256 |
/// | [`ticket_count`](Self::ticket_count) | 2 |
/// | [`tickets`](Self::tickets) | off |
/// | [`versions`](Self::versions) | 1.2 and 1.3 |
///
/// Nothing is checked before [`build`](Self::build).
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::{ClientAuth, Identity, TlsConfig, Trust};
///
/// # let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (key.cert.pem(), key.signing_key.serialize_pem());
/// let identity = Identity::from_pem(format!("{certificate}{key}"))?;
/// let clients = Trust::roots_pem(&certificate)?;
/// let config = TlsConfig::server(identity)
///     .client_auth(ClientAuth::Required(clients))
///     .alpn(["h2"])
///     .require_alpn()
///     .build()?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "TLSConfigBuilder")]
#[must_use = "a builder does nothing until `build`"]
pub struct TlsServerBuilder {
    settings: TlsSettings,
    identity: Identity,
    client_auth: ClientAuth,
    tickets: bool,
    ticket_count: usize,
}

impl TlsServerBuilder {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            settings: TlsSettings::default(),
            identity,
            client_auth: ClientAuth::default(),
            tickets: false,
            ticket_count: TICKETS,
        }
    }

    shared_setters!();

    /// Sets whether clients are asked for a certificate, and how it is verified. Default:
    /// [`ClientAuth::Off`].
    ///
    /// A client that resumes a session keeps the identity it had when the session began: its certificate is
    /// not checked again. A server that must notice an expired certificate sooner sets
    /// [`session_cache`](Self::session_cache) to 0 and leaves [`tickets`](Self::tickets) off.
    #[doc(alias = "trustManager")]
    pub fn client_auth(mut self, auth: ClientAuth) -> Self {
        self.client_auth = auth;
        self
    }

    /// Sets how many sessions are kept in memory for resumption, which saves a handshake its signatures
    /// (RFC 8446, section 2.2); 0 keeps none. With TLS 1.3 a session is used up when it is resumed, and a
    /// connection takes one for each ticket it gets ([`ticket_count`](Self::ticket_count)), so 256 are
    /// those of the last 128 connections. Not used with [`tickets`](Self::tickets). At most 65,536; memory
    /// for that many, about 100 bytes each, is allocated when the configuration is made. Default: 256.
    pub fn session_cache(mut self, sessions: usize) -> Self {
        self.settings.session_cache = sessions;
        self
    }

    /// Sets whether the client keeps the session, encrypted in a ticket, instead of this server in its
    /// memory (RFC 8446, section 4.6.1; RFC 5077 for TLS 1.2). Then the number of sessions is unlimited.
    /// The ticket keys are random and change every six hours; the previous key stays valid for six more.
    /// With TLS 1.2, a ticket key that leaks decrypts all connections whose tickets it encrypted. Default:
    /// off.
    pub fn tickets(mut self, tickets: bool) -> Self {
        self.tickets = tickets;
        self
    }

    /// Sets how many tickets a connection gets with TLS 1.3, each good for one resumption (RFC 8446,
    /// section 4.6.1); 0 sends none. They are sent after the handshake. At most 64. Default: 2.
    ///
    /// Clients of wolfSSL 5.5.4 fail when they receive a ticket (its nonce has 32 bytes, and they accept
    /// 8). They need 0 here, or TLS 1.2.
    pub fn ticket_count(mut self, tickets: usize) -> Self {
        self.ticket_count = tickets;
        self
    }

    /// Makes the server side, as it is built.
    pub(super) fn side(self) -> Result<ServerSide> {
        let cryptography = self.settings.check(BUILD)?;
        self.side_with(cryptography)
    }

    /// Makes the server side from cryptography that was checked, or that a test has altered.
    pub(super) fn side_with(self, cryptography: Cryptography) -> Result<ServerSide> {
        if self.ticket_count > TICKETS_MAX {
            return Err(Error::new(ErrorKind::InvalidInput, BUILD).with_detail(format!(
                "`ticket_count` is {}, and a connection is given at most {TICKETS_MAX}",
                self.ticket_count,
            )));
        }
        let algorithm = self.identity.current().key.algorithm();
        let mut suites = cryptography.provider.cipher_suites.iter();
        if !suites.any(|suite| suite.usable_for_signature_algorithm(algorithm)) {
            return Err(Error::new(ErrorKind::InvalidInput, BUILD).with_detail(format!(
                "the identity's key is {algorithm:?}, and none of the cipher suites that are left \
                 can be used with it; add one to `cipher_suites`, or TLS 1.3 to `versions`",
            )));
        }
        let rustls = self.rustls(&cryptography)?;
        Ok(ServerSide { builder: self, cryptography, rustls })
    }

    fn rustls(&self, cryptography: &Cryptography) -> Result<Arc<ServerConfig>> {
        let TlsServerBuilder { settings, identity, client_auth, tickets, ticket_count } = self;
        let provider = &cryptography.provider;
        seed(provider, BUILD)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&cryptography.versions)
            .map_err(|error| settings::refused(BUILD, error))?;
        let builder = match client_auth {
            ClientAuth::Off => builder.with_no_client_auth(),
            ClientAuth::Optional(trust) => {
                builder.with_client_cert_verifier(trust.client_verifier(provider, false)?)
            }
            ClientAuth::Required(trust) => {
                builder.with_client_cert_verifier(trust.client_verifier(provider, true)?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(ServerKey(identity.clone())));
        config.alpn_protocols.clone_from(&settings.alpn.0);
        config.send_tls13_tickets = *ticket_count;
        if *tickets {
            config.ticketer = ticketer(BUILD)?;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        } else if settings.session_cache == 0 {
            // Without a cache, a ticket could not be redeemed.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        } else {
            config.session_storage = ServerSessionMemoryCache::new(settings.session_cache);
        }
        if let Some(log) = &settings.key_log {
            config.key_log = Arc::new(log.clone());
        }
        Ok(Arc::new(config))
    }
}

/// The settings, and the rustls configuration made from them.
pub(super) struct ServerSide {
    builder: TlsServerBuilder,
    cryptography: Cryptography,
    rustls: Arc<ServerConfig>,
}

impl ServerSide {
    pub(super) fn rustls(&self) -> &Arc<ServerConfig> {
        &self.rustls
    }

    pub(super) fn settings(&self) -> &TlsSettings {
        &self.builder.settings
    }
}

impl fmt::Debug for ServerSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        settings::debug(f, &self.builder, &self.cryptography)
    }
}
