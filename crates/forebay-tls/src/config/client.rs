//! The configuration of a client.

use std::fmt;
use std::sync::Arc;

use forebay_io::Result;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;

use super::settings::{self, TlsSettings, shared_setters};
use super::success_cell::SuccessCell;
use super::{Store, server_name};
use crate::identity::ClientKey;
use crate::provider::{Cryptography, seed};
use crate::{Identity, Trust};

const BUILD: &str = "TlsClientBuilder::build";

/// Makes a client's [`TlsConfig`](crate::TlsConfig); see [`TlsConfig::client`](crate::TlsConfig::client).
///
/// | option | default |
/// |---|---|
/// | [`alpn`](Self::alpn), [`require_alpn`](Self::require_alpn) | none, off |
/// | [`cipher_suites`](Self::cipher_suites) | the provider's |
/// | [`end_without_notify`](Self::end_without_notify) | an error |
/// | [`handshake_timeout`](Self::handshake_timeout) | 10 s |
/// | [`identity`](Self::identity) | none |
/// | [`key_exchange_groups`](Self::key_exchange_groups) | the provider's |
/// | [`key_log`](Self::key_log) | off |
/// | [`replay_buffered`](Self::replay_buffered) | off |
/// | [`server_name`](Self::server_name) | the host that was connected to |
/// | [`session_cache`](Self::session_cache) | 256 |
/// | [`trust`](Self::trust) | the roots of the system |
/// | [`versions`](Self::versions) | 1.2 and 1.3 |
///
/// Nothing is checked before [`build`](Self::build).
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::{TlsConfig, TlsVersion};
///
/// let config = TlsConfig::client()
///     .server_name("example.com")
///     .versions([TlsVersion::Tls13])
///     .alpn(["h2", "http/1.1"])
///     .build()?;
///
/// let unknown = TlsConfig::client().cipher_suites(["RC4-MD5"]).build();
/// assert!(unknown.unwrap_err().to_string().contains("known are TLS_AES_256_GCM_SHA384"));
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "TLSConfigBuilder")]
#[must_use = "a builder does nothing until `build`"]
pub struct TlsClientBuilder {
    settings: TlsSettings,
    server_name: Option<String>,
    trust: Trust,
    identity: Option<Identity>,
}

impl TlsClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            settings: TlsSettings::default(),
            server_name: None,
            trust: Trust::system(),
            identity: None,
        }
    }

    shared_setters!();

    /// Sets the name that the server's certificate must be for: a DNS name, or an IP address (RFC 9525). A
    /// DNS name is also requested from the server (SNI, RFC 6066, section 3), without a dot at its end; an
    /// address is not sent. Default: the host that was connected to. For a Unix socket, which has no host,
    /// it must be set.
    ///
    /// Names are ASCII: an international name is written `xn--...` (RFC 5890). Underscores are accepted
    /// here, but servers that use JSSE or `GnuTLS` refuse a name with one (`illegal_parameter`, and the
    /// error says so). A name whose last label is a number is refused, because it could be read as an
    /// address.
    #[doc(alias = "serverName")]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sets how servers are authenticated. Default: [`Trust::system`](crate::Trust::system).
    #[doc(alias = "trustManager")]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets the identity that is shown to servers that ask for a certificate (RFC 8446, section 4.3.2).
    /// Every such server gets it, whichever authorities it names. Default: none.
    #[doc(alias = "certificates")]
    #[doc(alias = "addKeyStore")]
    #[doc(alias = "addCertificateChain")]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Sets how many sessions are kept in memory for resumption, which saves a handshake its signatures
    /// (RFC 8446, section 2.2); 0 keeps none. A server may issue up to eight, so 256 are enough for at
    /// least 32 servers; beyond that, the sessions of the oldest server are dropped. At most 65,536.
    /// Default: 256.
    pub fn session_cache(mut self, sessions: usize) -> Self {
        self.settings.session_cache = sessions;
        self
    }

    /// Makes the client side, as it is built.
    pub(super) fn side(self) -> Result<ClientSide> {
        let cryptography = self.settings.check(BUILD)?;
        self.side_with(cryptography)
    }

    /// Makes the client side from cryptography that was checked, or that a test has altered.
    pub(super) fn side_with(self, cryptography: Cryptography) -> Result<ClientSide> {
        let server_name = match &self.server_name {
            Some(name) => Some(server_name::parse(name, BUILD)?),
            None => None,
        };
        let prepared = SuccessCell::default();
        let client = ClientSide { builder: self, cryptography, server_name, prepared };
        if !client.builder.trust.needs_loading() {
            client.prepare(&Store::default())?;
        }
        Ok(client)
    }
}

/// The settings, and the rustls configuration, which is made once the roots are loaded.
pub(super) struct ClientSide {
    builder: TlsClientBuilder,
    cryptography: Cryptography,
    server_name: Option<ServerName<'static>>,
    prepared: SuccessCell<Arc<ClientConfig>>,
}

impl ClientSide {
    /// Makes the client side of the default configuration.
    pub(super) fn of_default() -> Result<Self> {
        Ok(Self {
            builder: TlsClientBuilder::new(),
            cryptography: Cryptography::of_default()?,
            server_name: None,
            prepared: SuccessCell::default(),
        })
    }

    /// Makes the rustls configuration, once; after a failure the next caller tries again. Callers at the
    /// same time wait for the first.
    pub(super) fn prepare(&self, store: &Store) -> Result<Arc<ClientConfig>> {
        self.prepared.get_or_try(|| self.rustls(store))
    }

    pub(super) fn prepared(&self) -> Option<Arc<ClientConfig>> {
        self.prepared.get()
    }

    pub(super) fn settings(&self) -> &TlsSettings {
        &self.builder.settings
    }

    pub(super) fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }

    /// Makes the rustls configuration, with a session cache of its own.
    pub(super) fn rustls(&self, store: &Store) -> Result<Arc<ClientConfig>> {
        let settings = &self.builder.settings;
        let provider = &self.cryptography.provider;
        let trust = &self.builder.trust;
        seed(provider, BUILD)?;
        let roots = if trust.needs_loading() { Some(store.roots(provider)?) } else { None };
        let verifier = trust.server_verifier(provider, roots.as_ref())?;
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.cryptography.versions)
            .map_err(|error| settings::refused(BUILD, error))?
            .dangerous()
            // rustls' word for any verifier but its own.
            .with_custom_certificate_verifier(verifier);
        let key = ClientKey(self.builder.identity.clone());
        let mut config = builder.with_client_cert_resolver(Arc::new(key));
        config.alpn_protocols.clone_from(&settings.alpn.0);
        config.resumption = match settings.session_cache {
            0 => Resumption::disabled(),
            sessions => Resumption::in_memory_sessions(sessions),
        };
        if let Some(log) = &settings.key_log {
            config.key_log = Arc::new(log.clone());
        }
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for ClientSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        settings::debug(f, &self.builder, &self.cryptography)
    }
}
