//! The result of a handshake: what was negotiated, and the peer's identity.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use crate::x509::{Certificate, GeneralName};
use forebay_io::seam::printable;

/// A version of TLS. Older versions are refused: RFC 8996 forbids them.
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::TlsVersion;
///
/// assert!(TlsVersion::Tls12 < TlsVersion::Tls13);
/// assert_eq!(TlsVersion::Tls13.to_string(), "TLS 1.3");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// The number alone, so that a list of versions may contain numbers or values of this type.
impl AsRef<str> for TlsVersion {
    fn as_ref(&self) -> &str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// The parameters that the two sides negotiated in their handshake, and the peer's identity.
///
/// A connection returns it from `tls_info` and `handshake`. It is a copy made at that moment, and does not
/// keep the connection alive.
#[derive(Debug, Clone)]
pub struct TlsInfo {
    version: TlsVersion,
    cipher_suite: String,
    key_exchange_group: Option<String>,
    alpn: Option<Box<[u8]>>,
    server_name: Option<Box<str>>,
    peer_certificates: Vec<PeerCertificate>,
    is_resumed: bool,
}

impl TlsInfo {
    /// Reads the parameters of a session with a complete handshake.
    pub(crate) fn new(state: &CommonState, server_name: Option<&str>) -> Self {
        Self {
            version: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
                _ => TlsVersion::Tls13,
            },
            cipher_suite: state
                .negotiated_cipher_suite()
                .map(|suite| suite_name(&format!("{:?}", suite.suite())))
                .unwrap_or_default(),
            key_exchange_group: state
                .negotiated_key_exchange_group()
                .map(|group| format!("{:?}", group.name())),
            alpn: state.alpn_protocol().map(Into::into),
            server_name: server_name.map(Into::into),
            peer_certificates: state
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|der| PeerCertificate::parse(der))
                .collect(),
            is_resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// Returns the version of TLS.
    pub fn version(&self) -> TlsVersion {
        self.version
    }

    /// Returns the cipher suite, by its name in IANA's registry: `TLS_AES_128_GCM_SHA256`.
    pub fn cipher_suite(&self) -> &str {
        &self.cipher_suite
    }

    /// Returns the group of the key exchange: `X25519`. A session that was resumed without a new key
    /// exchange has none.
    pub fn key_exchange_group(&self) -> Option<&str> {
        self.key_exchange_group.as_deref()
    }

    /// Returns the negotiated application protocol (ALPN, RFC 7301).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// Returns, at a server, the name that the client requested (SNI, RFC 6066, section 3), and at a client
    /// the name or address that the server's certificate was checked for.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Returns the chain that the peer sent, its own certificate first; empty if it sent none. For a
    /// resumed session, this is the chain of the original one.
    pub fn peer_certificates(&self) -> &[PeerCertificate] {
        &self.peer_certificates
    }

    /// Returns `true` if an earlier session was resumed, without an exchange of certificates (RFC 8446,
    /// section 2.2; RFC 5246, section 7.3).
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }
}

/// Returns the name in IANA's registry; rustls marks the names of TLS 1.3 suites with `TLS13_`.
pub(crate) fn suite_name(name: &str) -> String {
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => name.to_owned(),
    }
}

/// A certificate that a peer sent.
///
/// The texts are the peer's: control characters are escaped and long texts cut, so they can be printed; a
/// text that was cut ends in `…`. Bytes that do not parse as a certificate are available as
/// [`der`](PeerCertificate::der), with empty texts.
#[derive(Clone)]
pub struct PeerCertificate {
    der: Box<[u8]>,
    parts: InfoParts,
}

#[derive(Clone, Default)]
struct InfoParts {
    subject: String,
    issuer: String,
    names: Vec<String>,
    serial: String,
    not_before: Option<SystemTime>,
    not_after: Option<SystemTime>,
    public_key: Box<[u8]>,
}

/// The limits for the characters of one text, and for the names of one certificate.
const TEXT_MAX: usize = 512;
const NAMES_MAX: usize = 256;

impl PeerCertificate {
    /// Parses a certificate; one that does not parse keeps its bytes only.
    pub(crate) fn parse(der: &[u8]) -> Self {
        let parts = match Certificate::read_first(der) {
            Some((certificate, _)) => InfoParts::of(&certificate),
            None => InfoParts::default(),
        };
        Self { der: der.into(), parts }
    }

    /// Returns the certificate as it was sent (DER).
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the subject: `CN=example.com, O=Example`. This text, the issuer, each name and the serial
    /// number have at most 512 characters.
    pub fn subject(&self) -> &str {
        &self.parts.subject
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> &str {
        &self.parts.issuer
    }

    /// Returns the subject's alternative names, at most 256 of them: DNS names and IP addresses as they
    /// are, the rest as `email:`, `URI:` and `DN:`. A DNS name that looks like an address, or has
    /// characters that host names do not have, is written `DNS:192.0.2.1`, so that it cannot be taken for
    /// another kind of name.
    pub fn names(&self) -> &[String] {
        &self.parts.names
    }

    /// Returns the serial number in hexadecimal: `4e:2a:01`.
    pub fn serial(&self) -> &str {
        &self.parts.serial
    }

    /// Returns the time from which it is valid; `None` if it does not parse, or is before 1970.
    pub fn not_before(&self) -> Option<SystemTime> {
        self.parts.not_before
    }

    /// Returns the time at which it expires; `None` if it does not parse, or is before 1970.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.parts.not_after
    }

    /// Returns the public key (DER of `SubjectPublicKeyInfo`), whose SHA-256
    /// [`Trust::pinned`](crate::Trust::pinned) compares.
    pub fn public_key(&self) -> &[u8] {
        &self.parts.public_key
    }
}

impl InfoParts {
    fn of(certificate: &Certificate<'_>) -> Self {
        Self {
            subject: printable(&certificate.subject.to_string(), TEXT_MAX),
            issuer: printable(&certificate.issuer.to_string(), TEXT_MAX),
            names: names_of(certificate),
            serial: printable(&certificate.serial(), TEXT_MAX),
            not_before: certificate.not_before.and_then(system_time),
            not_after: certificate.not_after.and_then(system_time),
            public_key: certificate.public_key.der.into(),
        }
    }
}

/// Returns the alternative names of a certificate as text; none if the extension is missing or malformed.
pub(crate) fn names_of(certificate: &Certificate<'_>) -> Vec<String> {
    let names = certificate.alternative_names().unwrap_or_default();
    names.iter().take(NAMES_MAX).map(name_text).collect()
}

pub(crate) fn name_text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::Dns(name) if is_taken_for_another(name) => {
            format!("DNS:{}", printable(name, TEXT_MAX))
        }
        GeneralName::Dns(name) => printable(name, TEXT_MAX),
        GeneralName::Address(bytes) => address_text(bytes),
        GeneralName::Email(name) => format!("email:{}", printable(name, TEXT_MAX)),
        GeneralName::Uri(uri) => format!("URI:{}", printable(uri, TEXT_MAX)),
        GeneralName::Directory(name) => format!("DN:{}", printable(&name.to_string(), TEXT_MAX)),
        GeneralName::Other => "(a name of another kind)".to_owned(),
    }
}

/// Returns `true` if a DNS name could be read as an address, or as a name of another kind.
fn is_taken_for_another(name: &str) -> bool {
    let is_usual =
        |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | '*');
    name.parse::<IpAddr>().is_ok() || !name.chars().all(is_usual)
}

fn address_text(bytes: &[u8]) -> String {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        IpAddr::from(bytes).to_string()
    } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        IpAddr::from(bytes).to_string()
    } else {
        format!("(an address of {} bytes)", bytes.len())
    }
}

fn system_time(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificate")
            .field("subject", &self.parts.subject)
            .field("issuer", &self.parts.issuer)
            .field("names", &self.parts.names)
            .field("serial", &self.parts.serial)
            .finish_non_exhaustive()
    }
}
