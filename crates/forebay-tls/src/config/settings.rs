//! The settings that the builders of both sides share.

use std::fmt;
use std::time::Duration;

use forebay_io::{Error, ErrorKind, Result};

use super::key_log::KeyLogger;
use crate::provider::{Cryptography, WantedCryptography};

/// The default time limit for a handshake.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The default number of sessions kept in memory.
const SESSIONS: usize = 256;
/// rustls allocates memory for all of them at once, and searches them all when one is resumed.
const SESSIONS_MAX: usize = 65_536;
/// A `ClientHello` has 64 KiB for all of its extensions, and rustls writes their lengths unchecked.
const ALPN_BYTES_MAX: usize = 32 * 1024;

/// The treatment of input that ends without the peer's `close_notify` (RFC 8446, section 6.1).
///
/// Everything received before the end is delivered in either case.
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::{EndWithoutNotify, TlsConfig};
///
/// // An old HTTP server that closes without a word, where lengths tell what is whole.
/// let config = TlsConfig::client().end_without_notify(EndWithoutNotify::AsEnd).build()?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EndWithoutNotify {
    /// An error of kind [`EndedWithoutNotify`](forebay_io::ErrorKind::EndedWithoutNotify), because an
    /// attacker may have cut the input short.
    #[default]
    Error,
    /// An end like any other. Only for protocols that tell by themselves whether a message is complete, as
    /// HTTP does with a length.
    AsEnd,
}

/// The settings of both sides.
#[derive(Debug, Clone)]
pub(super) struct TlsSettings {
    pub(super) alpn: Protocols,
    pub(super) require_alpn: bool,
    pub(super) wanted: WantedCryptography,
    pub(super) handshake_timeout: Duration,
    pub(super) key_log: Option<KeyLogger>,
    pub(super) end_without_notify: EndWithoutNotify,
    pub(super) session_cache: usize,
    pub(super) replay_buffered: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            alpn: Protocols::default(),
            require_alpn: false,
            wanted: WantedCryptography::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            key_log: None,
            end_without_notify: EndWithoutNotify::default(),
            session_cache: SESSIONS,
            replay_buffered: false,
        }
    }
}

impl TlsSettings {
    /// Checks everything that could not be checked when it was set.
    pub(super) fn check(&self, operation: &'static str) -> Result<Cryptography> {
        let invalid = |detail| Error::new(ErrorKind::InvalidInput, operation).with_detail(detail);
        if let Some(why) = self.alpn.trouble() {
            return Err(invalid(why));
        }
        if self.require_alpn && self.alpn.0.is_empty() {
            return Err(invalid(
                "`require_alpn` needs protocols to choose from; name them with `alpn`".into(),
            ));
        }
        if self.session_cache > SESSIONS_MAX {
            return Err(invalid(format!(
                "`session_cache` is {}, and at most {SESSIONS_MAX} sessions are kept in memory; a \
                 server with more of them has its clients keep them (`tickets`)",
                self.session_cache,
            )));
        }
        Cryptography::of(&self.wanted, operation)
    }
}

/// Application protocols, in order of preference.
#[derive(Clone, Default)]
pub(super) struct Protocols(pub(super) Vec<Vec<u8>>);

impl Protocols {
    /// Describes what is wrong with the list. RFC 7301, section 3.1: a name has 1 to 255 bytes. The list
    /// could have up to 65,535 bytes there, including one for the length of each name.
    fn trouble(&self) -> Option<String> {
        let list_bytes: usize = self.0.iter().map(|name| name.len() + 1).sum();
        let bad = self.0.iter().find(|name| name.is_empty() || name.len() > 255);
        match bad {
            Some(name) => Some(format!(
                "a protocol in `alpn` has {} bytes; each has 1 to 255 (RFC 7301, section 3.1)",
                name.len(),
            )),
            None if list_bytes > ALPN_BYTES_MAX => Some(format!(
                "the protocols in `alpn` take {list_bytes} bytes; together they may take \
                 {ALPN_BYTES_MAX}, one of them for each name's length, so that they fit in a message"
            )),
            None => None,
        }
    }
}

impl fmt::Debug for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|name| format_args!("{}", name.escape_ascii()).to_string()))
            .finish()
    }
}

/// The setters of [`TlsSettings`], for a builder with a field `settings`.
macro_rules! shared_setters {
    () => {
        /// Sets the application protocols (ALPN, RFC 7301), the preferred one first: `h2`, `http/1.1`. Each
        /// has 1 to 255 bytes, and all of them at most 32 KiB, counting one more byte for each. If both
        /// sides name protocols and have none in common, the handshake fails. If one side names none, the
        /// connection continues without one unless [`require_alpn`](Self::require_alpn) is set. A server
        /// chooses the first of its own protocols that the client offers. Default: none.
        pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
            let names = protocols.into_iter().map(|name| name.as_ref().to_vec());
            self.settings.alpn = crate::config::settings::Protocols(names.collect());
            self
        }

        /// Refuses connections without a negotiated application protocol, with kind
        /// [`Tls`](forebay_io::ErrorKind::Tls) and
        /// [`NoCommonProtocol`](forebay_io::TlsFault::NoCommonProtocol). Default: they continue.
        pub fn require_alpn(mut self) -> Self {
            self.settings.require_alpn = true;
            self
        }

        /// Sets the cipher suites, by their names in IANA's registry (`TLS_AES_128_GCM_SHA256`,
        /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`) or OpenSSL's (`ECDHE-RSA-AES128-GCM-SHA256`). A client
        /// offers them in this order, and a server chooses the first of the client's that it has. Default:
        /// all nine suites, those with AES first.
        #[doc(alias = "cipherSuites")]
        pub fn cipher_suites(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
            let names = names.into_iter().map(|name| name.as_ref().to_owned());
            self.settings.wanted.cipher_suites = Some(names.collect());
            self
        }

        /// Sets the versions, by number (`"1.2"`, `"1.3"`) or as [`TlsVersion`](crate::TlsVersion). The
        /// highest version that both sides have is used. Default: both.
        ///
        /// TLS 1.2 cannot renew its keys: with AES-GCM, a side that has sent 2^24 records (256 GiB if they
        /// are full) fails with [`KeysExhausted`](forebay_io::TlsFault::KeysExhausted). TLS 1.3 renews them
        /// by itself (RFC 8446, section 4.6.3).
        pub fn versions(mut self, versions: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
            let names = versions.into_iter().map(|name| name.as_ref().to_owned());
            self.settings.wanted.versions = Some(names.collect());
            self
        }

        /// Sets the groups for key exchange, the preferred one first, by their names in IANA's registry:
        /// `x25519`, `secp256r1`, `secp384r1`, and with aws-lc-rs the ones that resist quantum computers,
        /// `X25519MLKEM768`, `secp256r1MLKEM768`, `MLKEM768` and `MLKEM1024`. A client sends a key share
        /// for the first (RFC 8446, section 4.2.8); with a server that supports only another one, the
        /// handshake takes one more round trip. A server uses the client's choice. Default: `x25519`,
        /// `secp256r1`, `secp384r1`, and `X25519MLKEM768` if the provider has it.
        pub fn key_exchange_groups(
            mut self,
            names: impl IntoIterator<Item = impl AsRef<str>>,
        ) -> Self {
            let names = names.into_iter().map(|name| name.as_ref().to_owned());
            self.settings.wanted.key_exchange_groups = Some(names.collect());
            self
        }

        /// Sets how long a handshake may take, from its start until it is complete. After that it fails
        /// with kind [`TimedOut`](forebay_io::ErrorKind::TimedOut), and the connection is reset. A server's
        /// handshake starts when the connection is first used. Default: 10 s.
        pub fn handshake_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.handshake_timeout = timeout;
            self
        }

        /// Passes the secrets of each connection to `log`, so that a recording of it can be decrypted, for
        /// instance by Wireshark. Each call gets one line of an NSS key log (RFC 9850), without its line
        /// end. These lines decrypt everything: this is for debugging. Default: off.
        ///
        /// The closure is called in the middle of a handshake, while the connection is locked. It should
        /// only store the line; calls on any TLS connection return an error there. If it panics, so does
        /// the call that drives the handshake.
        pub fn key_log(mut self, log: impl Fn(&str) + Send + Sync + 'static) -> Self {
            self.settings.key_log = Some(crate::config::key_log::KeyLogger::new(log));
            self
        }

        /// Sets how input that ends without the peer's `close_notify` is treated. Default:
        /// [`EndWithoutNotify::Error`](crate::EndWithoutNotify::Error).
        ///
        /// Some peers leave it out although nothing was cut: nginx as a stream proxy with `proxy_half_close
        /// on`, always; a Node server over TLS 1.3, when a client's last handshake message, more than 64
        /// KiB of data and its `close_notify` arrive together.
        pub fn end_without_notify(mut self, end: crate::EndWithoutNotify) -> Self {
            self.settings.end_without_notify = end;
            self
        }

        /// Treats bytes that were already read when a connection is upgraded in place (STARTTLS) as the
        /// start of the peer's handshake. Without this, such bytes are an error: an attacker may have
        /// inserted commands in plain text, to be taken for data that came through TLS. Use it only for
        /// protocols whose peers do not wait for the answer to their request. Default: off.
        pub fn replay_buffered(mut self) -> Self {
            self.settings.replay_buffered = true;
            self
        }
    };
}
pub(super) use shared_setters;

/// Prints a configuration: its settings, and the cryptography that they leave.
pub(super) fn debug(
    f: &mut fmt::Formatter<'_>,
    builder: &dyn fmt::Debug,
    cryptography: &Cryptography,
) -> fmt::Result {
    f.debug_tuple("TlsConfig").field(builder).field(&cryptography.names()).finish()
}

/// Converts an error of rustls about settings that passed this crate's own checks.
pub(super) fn refused(operation: &'static str, error: rustls::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).with_detail(error.to_string()).with_cause(error)
}
