//! The reasons why a TLS handshake or session fails.

use std::fmt;

/// The reason in [`ErrorKind::Tls`](crate::ErrorKind::Tls) why a TLS connection failed: a fault of the
/// other side or, for [`KeysExhausted`](TlsFault::KeysExhausted), of neither side.
///
/// The message of the [`Error`](crate::Error) adds what was expected, what was received, and what to do.
/// New reasons may be added, so a `match` needs a wildcard arm.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// use forebay::{Error, ErrorKind, TlsFault};
///
/// let error = Error::new(ErrorKind::Tls(TlsFault::Expired), "tls");
/// assert_eq!(error.tls_fault(), Some(TlsFault::Expired));
/// assert_eq!(error.to_string(), "tls: a certificate of the peer has expired");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// A certificate in the peer's chain has expired. A wrong local clock has the same effect.
    Expired,
    /// A certificate in the peer's chain is not valid yet. A wrong local clock has the same effect.
    NotYetValid,
    /// The certificate is for names other than the one that was connected to.
    WrongName,
    /// The certificate has no subject alternative name. A common name does not count (RFC 9525, section 2).
    NoName,
    /// The certificate is signed with its own key and is not itself trusted.
    SelfSigned,
    /// The chain ends in a root that is not trusted here.
    UntrustedRoot,
    /// The issuer of the last certificate was not sent and is not trusted here either.
    IncompleteChain,
    /// The certificate is not made for this use, such as a client's certificate at a server, or an
    /// authority's certificate at a server.
    WrongPurpose,
    /// A certificate is signed with a digest that can be forged: SHA-1 or MD5.
    WeakSignature,
    /// A key is too short: RSA below 2048 bits.
    WeakKey,
    /// An authority issued a certificate for names outside its name constraints.
    NameConstraints,
    /// A certificate is malformed, its signature is wrong, or its issuer is no authority.
    InvalidCertificate,
    /// The cryptographic provider does not support the algorithm of a key or a signature.
    UnsupportedAlgorithm,
    /// The platform's verifier reports the certificate as revoked.
    Revoked,
    /// The peer sent no certificate, and one is required.
    NoCertificate,
    /// The peer's key is not one of the pinned keys.
    PinMismatch,
    /// The program's own verifier refused the peer.
    RefusedByVerifier,
    /// The peer sent a fatal alert: it refused this side. The message names the alert.
    RefusedByPeer,
    /// The two sides have no application protocol (ALPN) in common.
    NoCommonProtocol,
    /// The two sides have no TLS version in common.
    NoCommonVersion,
    /// The two sides have no cipher suite, key exchange group or signature scheme in common.
    NoCommonSuite,
    /// The client requested a server name for which this server has no certificate.
    ///
    /// A server of this release has one identity and presents it to every client, whatever name the client
    /// requests; the client then refuses it ([`WrongName`](Self::WrongName)). So this does not occur
    /// unless a later release chooses certificates by name.
    UnknownServerName,
    /// The received bytes are not TLS but, for example, plain HTTP.
    NotTls,
    /// A record does not decrypt, is longer than a record may be, or has an unknown type.
    BadRecord,
    /// The peer violated a rule of the protocol.
    Misbehaved,
    /// The input ended before the handshake was complete.
    EndedInHandshake,
    /// This side has encrypted as many records as is safe with one key (RFC 8446, section 5.5), and TLS 1.2
    /// cannot renew the key; TLS 1.3 does so by itself. This is a limit and not a fault of either side.
    /// What was not sent is lost; the peer can tell, because it receives no `close_notify`.
    KeysExhausted,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "a certificate of the peer has expired",
            Self::NotYetValid => "a certificate of the peer is not valid yet",
            Self::WrongName => "the peer's certificate is for another name",
            Self::NoName => "the peer's certificate has no subject alternative name",
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
