//! A server's configuration.

use std::fmt;
use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};

use super::settings::{Settings, shared_setters};
use super::{Side, TlsConfig};
use crate::identity::ServerKey;
use crate::provider::{Cryptography, ticketer};
use crate::{Identity, Trust};

const BUILD: &str = "TlsServerBuilder::build";
/// Tickets for each connection: a browser opens more than one.
const TICKETS: usize = 2;
/// More than clients keep; each costs a message to make and to send, whatever the client does.
const TICKETS_MAX: usize = 64;

/// Whether a server asks its clients who they are (RFC 8446, section 4.3.2), and whom it believes.
///
/// With roots it tells clients the names of these (RFC 8446, section 4.2.4), for those that choose
/// among certificates by them; names of more than 32 KiB are not told.
///
/// # Examples
///
/// ```
/// use forebay_tls::{ClientAuth, Trust};
///
/// # let made = rcgen::generate_simple_self_signed(["clients".to_owned()]).unwrap();
/// # let authority = made.cert.pem();
/// let everybody_shows_one = ClientAuth::Required(Trust::roots_pem(&authority)?);
/// let who_has_one_shows_it = ClientAuth::Optional(Trust::roots_pem(&authority)?);
/// # forebay_io::Result::Ok(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// It does not ask.
    #[default]
    Off,
    /// It asks. A client without a certificate is let in, and has none in `tls_info`; one with a
    /// certificate that is not believed is refused.
    Optional(Trust),
    /// It asks, and refuses clients without a certificate that is believed.
    Required(Trust),
}

/// Makes a server's [`TlsConfig`]; begun with [`TlsConfig::server`].
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
/// use forebay_tls::{ClientAuth, Identity, TlsConfig, Trust};
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
/// # forebay_io::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "TLSConfigBuilder")]
#[must_use = "a builder does nothing until `build`"]
pub struct TlsServerBuilder {
    settings: Settings,
    identity: Identity,
    client_auth: ClientAuth,
    tickets: bool,
    ticket_count: usize,
}

impl TlsServerBuilder {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            settings: Settings::default(),
            identity,
            client_auth: ClientAuth::default(),
            tickets: false,
            ticket_count: TICKETS,
        }
    }

    shared_setters!();

    /// Sets whether clients are asked for a certificate, and whom to believe about it. Default:
    /// [`ClientAuth::Off`].
    ///
    /// A client that resumes a session is who it was when that began: its certificate is not looked
    /// at again. A server that must notice sooner that one has expired sets
    /// [`session_cache`](Self::session_cache) to 0 and leaves [`tickets`](Self::tickets) off.
    #[doc(alias = "trustManager")]
    pub fn client_auth(mut self, auth: ClientAuth) -> Self {
        self.client_auth = auth;
        self
    }

    /// Sets how many sessions are kept in memory to be resumed, which saves a handshake its
    /// signatures (RFC 8446, section 2.2); 0 keeps none. One that is resumed with TLS 1.3 is used
    /// up, and a connection takes as many as it is given tickets
    /// ([`ticket_count`](Self::ticket_count)), so that 256 are those of the last 128 connections.
    /// Not used with [`tickets`](Self::tickets). At most 65,536; room for so many is taken when the
    /// configuration is made, about 100 bytes for each. Default: 256.
    pub fn session_cache(mut self, sessions: usize) -> Self {
        self.settings.session_cache = sessions;
        self
    }

    /// Sets whether the client keeps the session, encrypted, instead of this server's memory (RFC
    /// 8446, section 4.6.1; RFC 5077 for TLS 1.2): there may be any number of them then. The keys
    /// are made at random and changed every six hours; the one before is good for six more. With
    /// TLS 1.2, whoever learns a key can read the connections whose tickets it made. Default: off.
    pub fn tickets(mut self, tickets: bool) -> Self {
        self.tickets = tickets;
        self
    }

    /// Sets how many tickets a connection is given with TLS 1.3, each good for one resumption (RFC
    /// 8446, section 4.6.1); 0 gives none. They are sent behind the handshake. At most 64. Default:
    /// 2.
    ///
    /// Clients of wolfSSL 5.5.4 fail when they get one (its nonce has 32 bytes, they take 8); they need
    /// 0 here, or TLS 1.2.
    pub fn ticket_count(mut self, tickets: usize) -> Self {
        self.ticket_count = tickets;
        self
    }

    /// Makes the configuration.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](forebay_io::ErrorKind::InvalidInput): a cipher suite, version or group
    ///   that is not known here (the message lists the known ones), or that cannot be used with
    ///   the others or with the identity's key; a protocol in `alpn` that is too long or too short,
    ///   or too many of them; `require_alpn` without `alpn`; more in `session_cache` or
    ///   `ticket_count` than there may be; roots in `client_auth` that vouch for servers only, as
    ///   those of the system do.
    /// - [`System`](forebay_io::ErrorKind::System): the system gave no random numbers for the keys
    ///   of [`tickets`](Self::tickets).
    /// - [`Unsupported`](forebay_io::ErrorKind::Unsupported): the program was built without a
    ///   provider of cryptography.
    pub fn build(self) -> Result<TlsConfig> {
        let cryptography = self.settings.check(BUILD)?;
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
        Ok(TlsConfig(Side::Server(Arc::new(ServerSide { builder: self, cryptography, rustls }))))
    }

    fn rustls(&self, cryptography: &Cryptography) -> Result<Arc<ServerConfig>> {
        let TlsServerBuilder { settings, identity, client_auth, tickets, ticket_count } = self;
        let provider = &cryptography.provider;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&cryptography.versions)
            .map_err(|error| super::refused(BUILD, error))?;
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

/// What was built.
pub(super) struct ServerSide {
    builder: TlsServerBuilder,
    cryptography: Cryptography,
    rustls: Arc<ServerConfig>,
}

impl ServerSide {
    pub(super) fn rustls(&self) -> &Arc<ServerConfig> {
        &self.rustls
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.builder.settings
    }
}

impl fmt::Debug for ServerSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(f, &self.builder, &self.cryptography)
    }
}
