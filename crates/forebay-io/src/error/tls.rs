//! Why a TLS handshake or session failed.

use std::fmt;

/// Why a TLS connection failed, in [`ErrorKind::Tls`](crate::ErrorKind::Tls): what was wrong with the
/// other side, or, as [`KeysExhausted`](TlsFault::KeysExhausted), with neither.
///
/// The message of the [`Error`](crate::Error) says the rest: what was expected, what came, and what
/// to do. New causes may be added, so a `match` needs a wildcard arm.
///
/// # Examples
///
/// ```
/// use forebay_io::{Error, ErrorKind, TlsFault};
///
/// let error = Error::new(ErrorKind::Tls(TlsFault::Expired), "tls");
/// assert_eq!(error.tls_fault(), Some(TlsFault::Expired));
/// assert_eq!(error.to_string(), "tls: a certificate of the peer has expired");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// A certificate of the peer's chain was valid once. A wrong clock here looks the same.
    Expired,
    /// A certificate of the peer's chain will be valid later. A wrong clock here looks the same.
    NotYetValid,
    /// The certificate is for other names than the one that was connected to.
    WrongName,
    /// The certificate has no subject alternative name at all. A common name does not count (RFC
    /// 9525, section 2).
    NoName,
    /// The certificate was issued by its own key and is not itself trusted.
    SelfSigned,
    /// The chain ends in a root that is not trusted here.
    UntrustedRoot,
    /// The issuer of the last certificate was neither sent nor is it trusted here.
    IncompleteChain,
    /// The certificate was not made for this use: a client's at a server, an authority's as a
    /// server's.
    WrongPurpose,
    /// A certificate was signed with a digest that can be forged: SHA-1 or MD5.
    WeakSignature,
    /// A key is too short to be believed: RSA below 2048 bits.
    WeakKey,
    /// An authority issued a certificate for names that it may not vouch for.
    NameConstraints,
    /// A certificate is malformed, its signature is wrong, or an issuer is no authority.
    InvalidCertificate,
    /// A key or a signature is of a kind that the cryptographic provider does not know.
    UnsupportedAlgorithm,
    /// The platform's verifier knows the certificate as revoked.
    Revoked,
    /// The peer sent no certificate, and one is required.
    NoCertificate,
    /// The peer's key is none of the pinned ones.
    PinMismatch,
    /// The program's own verifier refused the peer.
    RefusedByVerifier,
    /// The peer sent a fatal alert: it refused us. The message names the alert.
    RefusedByPeer,
    /// No application protocol (ALPN) is spoken by both sides.
    NoCommonProtocol,
    /// No version of TLS is spoken by both sides.
    NoCommonVersion,
    /// No cipher suite, key exchange group or signature scheme is known to both sides.
    NoCommonSuite,
    /// The client asked for a name that this server has no certificate for.
    UnknownServerName,
    /// What came is not TLS, but plain HTTP for instance.
    NotTls,
    /// A record does not decrypt, is larger than a record may be, or of a type that does not exist.
    BadRecord,
    /// The peer broke a rule of the protocol.
    Misbehaved,
    /// The input ended before the handshake was complete.
    EndedInHandshake,
    /// This side has encrypted as many records as is safe with one key (RFC 8446, section 5.5), and
    /// TLS 1.2 cannot renew it. TLS 1.3 does that by itself. This is a limit, and nobody's fault;
    /// what was not sent is lost, and the peer can tell, because it gets no `close_notify`.
    KeysExhausted,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "a certificate of the peer has expired",
            Self::NotYetValid => "a certificate of the peer is not valid yet",
            Self::WrongName => "the peer's certificate is for another name",
            Self::NoName => "the peer's certificate names nobody",
            Self::SelfSigned => "the peer's certificate is self-signed",
            Self::UntrustedRoot => "the peer's chain ends in a root that is not trusted",
            Self::IncompleteChain => "the peer's chain is incomplete or its issuer is not trusted",
            Self::WrongPurpose => "the peer's certificate is not made for this use",
            Self::WeakSignature => "a certificate of the peer has a weak signature",
            Self::WeakKey => "a certificate of the peer has a weak key",
            Self::NameConstraints => "the peer's certificate breaks its issuer's name constraints",
            Self::InvalidCertificate => "a certificate of the peer is invalid",
            Self::UnsupportedAlgorithm => "a certificate of the peer uses an unknown algorithm",
            Self::Revoked => "a certificate of the peer is revoked",
            Self::NoCertificate => "the peer sent no certificate",
            Self::PinMismatch => "the peer's key is not a pinned one",
            Self::RefusedByVerifier => "the verifier refused the peer",
            Self::RefusedByPeer => "the peer refused the TLS connection",
            Self::NoCommonProtocol => "no application protocol in common with the peer",
            Self::NoCommonVersion => "no TLS version in common with the peer",
            Self::NoCommonSuite => "no cryptography in common with the peer",
            Self::UnknownServerName => "no certificate for the requested server name",
            Self::NotTls => "the peer does not speak TLS",
            Self::BadRecord => "the peer sent a bad TLS record",
            Self::Misbehaved => "the peer broke the TLS protocol",
            Self::EndedInHandshake => "the peer ended within the TLS handshake",
            Self::KeysExhausted => "too much was encrypted with the keys of one TLS connection",
        })
    }
}
