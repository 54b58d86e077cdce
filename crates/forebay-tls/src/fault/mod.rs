//! Translates rustls' errors: the party at fault, what was expected, what was received, and what to do.

mod alerts;
#[cfg(test)]
mod tests;

use forebay_io::{Error, ErrorKind, TlsFault};
use rustls::unbuffered::EncryptError;
use rustls::{CertificateError, Error as Rustls, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::callback_facts::{Answer, CallbackFacts};
use crate::text::NAME_MAX;
use crate::trust::fault_of;
use forebay_io::seam::printable;

/// The session's knowledge of its connection when rustls gives up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    pub(crate) side: Side,
    /// The name that the client requests, or has requested.
    pub(crate) server_name: Option<&'a str>,
}

/// This side of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Side {
    #[default]
    Server,
    /// A client, with its answer to a server that asked for a certificate.
    Client(Option<Answer>),
}

/// Translates an error of rustls. `operation` is the name of the failed call, as the user knows it.
///
/// A refusal that a verifier has left in the notes is preferred, because the verifier saw the certificates.
pub(crate) fn explained(
    operation: &'static str,
    error: Rustls,
    notes: CallbackFacts,
    known: Known<'_>,
) -> Error {
    // rustls' own error has no certificate, and so nothing to explain it with.
    if let Some(refusal) = notes.refusal {
        let explained =
            Error::new(ErrorKind::Tls(refusal.fault), operation).with_detail(refusal.detail);
        return match refusal.cause {
            Some(cause) => explained.with_cause(cause),
            None => explained.with_cause(error),
        };
    }
    let (kind, detail) = described(&error, known);
    Error::new(kind, operation).with_detail(detail).with_cause(error)
}

/// Translates the reason why nothing more can be encrypted.
///
/// With TLS 1.2, rustls refuses at the limit of its suite: 2^24 records with AES-GCM, and with
/// ChaCha20-Poly1305 a number that cannot be reached. With TLS 1.3 it has renewed the key before.
pub(crate) fn not_sealed(operation: &'static str, error: EncryptError) -> Error {
    let (kind, detail) = match error {
        EncryptError::EncryptExhausted => (
            ErrorKind::Tls(TlsFault::KeysExhausted),
            "expected no more records than are safe with one key, but that many were sent, and TLS \
             1.2 cannot renew it; connect again, or have both sides use TLS 1.3, which renews it"
                .to_owned(),
        ),
        EncryptError::InsufficientSize(_) => (
            ErrorKind::Other,
            format!("expected room for a record, but it was too short: {error}; report it to forebay"),
        ),
    };
    Error::new(kind, operation).with_detail(detail).with_cause(error)
}

/// Returns the kind and a sentence for each of rustls' errors.
fn described(error: &Rustls, known: Known<'_>) -> (ErrorKind, String) {
    let tls = |fault, detail: String| (ErrorKind::Tls(fault), detail);
    match error {
        Rustls::AlertReceived(alert) => tls(TlsFault::RefusedByPeer, alerts::text(*alert, known)),
        Rustls::InvalidMessage(message) => invalid_message(*message),
        Rustls::InappropriateMessage { expect_types, got_type } => tls(
            TlsFault::Misbehaved,
            format!(
                "expected a message of {expect_types:?}, but received one of {got_type:?}; {REPORT}"
            ),
        ),
        Rustls::InappropriateHandshakeMessage { expect_types, got_type } => tls(
            TlsFault::Misbehaved,
            format!("expected {expect_types:?} in the handshake, but received {got_type:?}; {REPORT}"),
        ),
        Rustls::NoCertificatesPresented => tls(
            TlsFault::NoCertificate,
            "expected a certificate of the peer, but received none; give a client an identity or make \
             `client_auth` optional, and see whether a server has one"
                .to_owned(),
        ),
        Rustls::DecryptError => tls(
            TlsFault::BadRecord,
            format!(
                "expected a record that decrypts with the session's key, but received one that \
             does not: it was altered on the way; {REPORT}"
            ),
        ),
        Rustls::PeerSentOversizedRecord => tls(
            TlsFault::BadRecord,
            format!("expected records of at most 16 KiB, but received a larger one; {REPORT}"),
        ),
        Rustls::PeerIncompatible(why) => incompatible(why),
        Rustls::PeerMisbehaved(why) => misbehaved(why),
        Rustls::InvalidCertificate(why) => tls(fault_of(why), certificate_text(why)),
        Rustls::InvalidCertRevocationList(why) => tls(
            TlsFault::InvalidCertificate,
            format!(
                "expected a usable revocation list, but this one is not: {why:?}; ask its publisher"
            ),
        ),
        Rustls::NoApplicationProtocol => tls(
            TlsFault::NoCommonProtocol,
            "expected an application protocol (ALPN) that both sides speak, but the peer offers \
             others; compare `alpn` of both"
                .to_owned(),
        ),
        Rustls::InvalidEncryptedClientHello(why) => tls(
            TlsFault::Misbehaved,
            format!("expected a plain ClientHello, but its encryption failed: {why:?}; {REPORT}"),
        ),
        error if has_no_scheme(error) => {
            incompatible(&PeerIncompatible::NoSignatureSchemesInCommon)
        }
        error => ours(error, known.server_name),
    }
}

/// Returns `true` for the error of a server whose key cannot make a signature that the client accepts. Over
/// TLS 1.3, rustls has a separate error for that and sends an alert; over TLS 1.2 it has this one, and
/// sends none.
pub(crate) fn has_no_scheme(error: &Rustls) -> bool {
    matches!(error, Rustls::General(text) if text == "incompatible signing key")
}

const REPORT: &str = "if it happens again, the peer's TLS or something on the way is broken";

/// Describes the errors that neither a side's configuration nor the peer's bytes can cause.
fn ours(error: &Rustls, server_name: Option<&str>) -> (ErrorKind, String) {
    match error {
        // The certificate resolver found none, which rustls reports only with a general error.
        Rustls::General(text) if text.starts_with("no server certificate chain") => {
            let name = server_name.map_or("no name".to_owned(), |name| printable(name, NAME_MAX));
            let detail = format!(
                "expected a name that this server has a certificate for, but the client asked for \
                 {name}; connect by another name, or give the server a certificate with that name"
            );
            (ErrorKind::Tls(TlsFault::UnknownServerName), detail)
        }
        Rustls::UnsupportedNameType => (
            ErrorKind::InvalidInput,
            "expected a DNS name or an IP address as the server's name, but it is neither; set \
             `server_name`"
                .to_owned(),
        ),
        Rustls::InconsistentKeys(_) => (
            ErrorKind::InvalidInput,
            "expected the key that belongs to the certificate, but it is another; compare the files \
             of the identity"
                .to_owned(),
        ),
        Rustls::BadMaxFragmentSize => {
            (ErrorKind::InvalidInput, "the size of a fragment is out of range".to_owned())
        }
        Rustls::FailedToGetCurrentTime | Rustls::FailedToGetRandomBytes => {
            (ErrorKind::System, format!("the system refused: {error}"))
        }
        Rustls::EncryptError | Rustls::HandshakeNotComplete => {
            (ErrorKind::Other, format!("TLS was used out of turn: {error}"))
        }
        error => (ErrorKind::Other, printable(&error.to_string(), 2 * NAME_MAX)),
    }
}

/// Describes a record that cannot be read. With an invalid header, it was not TLS in the first place.
fn invalid_message(message: InvalidMessage) -> (ErrorKind, String) {
    use InvalidMessage as M;
    let (fault, detail) = match message {
        M::InvalidContentType | M::UnknownProtocolVersion => (
            TlsFault::NotTls,
            "expected a TLS record, but received other bytes; see whether this port speaks TLS, or \
             starts in plain text (STARTTLS, HTTP)"
                .to_owned(),
        ),
        M::MessageTooLarge | M::InvalidEmptyPayload => (
            TlsFault::BadRecord,
            format!("expected a record of 1 byte to 16 KiB, but received {message:?}; {REPORT}"),
        ),
        message => (
            TlsFault::Misbehaved,
            format!("expected a well-formed TLS message, but received one with {message:?}; {REPORT}"),
        ),
    };
    (ErrorKind::Tls(fault), detail)
}

/// Describes what the two sides do not have in common.
fn incompatible(why: &PeerIncompatible) -> (ErrorKind, String) {
    use PeerIncompatible as P;
    let (fault, detail) = match why {
        P::ServerDoesNotSupportTls12Or13
        | P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled
        | P::SupportedVersionsExtensionRequired
        // Every TLS 1.2 client sends it (RFC 5246, section 7.4.1.4.1), and no older client does.
        | P::SignatureAlgorithmsExtensionRequired
        | P::Tls13RequiredForQuic => (
            TlsFault::NoCommonVersion,
            "expected a version that `versions` allows (TLS 1.2 and 1.3, unless it is set), but the \
             peer offers others only; compare `versions` of both, or renew the peer's TLS: older \
             versions are not safe (RFC 8996)"
                .to_owned(),
        ),
        P::ServerTlsVersionIsDisabledByOurConfig => (
            TlsFault::NoCommonVersion,
            "expected a version that `versions` allows, but the server chose another; allow it, or \
             renew the server's TLS"
                .to_owned(),
        ),
        P::NoCipherSuitesInCommon => suites("cipher suite", "`cipher_suites`"),
        P::NamedGroupsExtensionRequired => (
            TlsFault::NoCommonSuite,
            "expected a cipher suite with a key exchange over elliptic curves, but the peer offers \
             none (RSA and finite-field key exchange are not safe enough); renew the peer's TLS, or \
             its list of suites"
                .to_owned(),
        ),
        P::NoKxGroupsInCommon | P::KeyShareExtensionRequired => {
            suites("key exchange group", "`key_exchange_groups`")
        }
        P::NoSignatureSchemesInCommon => (
            TlsFault::NoCommonSuite,
            "expected a signature scheme that both sides know, but the peer takes no signatures of \
             the kind of key that our identity has; use a key of ECDSA P-256 or RSA"
                .to_owned(),
        ),
        P::NoCertificateRequestSignatureSchemesInCommon => {
            suites("signature scheme", "the kinds of keys in the identities")
        }
        P::EcPointsExtensionRequired
        | P::NoEcPointFormatsInCommon
        | P::UncompressedEcPointsRequired
        | P::NullCompressionRequired
        | P::ExtendedMasterSecretExtensionRequired => (
            TlsFault::NoCommonSuite,
            format!("expected what every TLS 1.2 of today can, but the peer cannot ({why:?}); renew \
             the peer's TLS"),
        ),
        why => (
            TlsFault::Misbehaved,
            format!("expected what RFC 8446 asks of a peer, but it is incompatible ({why:?}); {REPORT}"),
        ),
    };
    (ErrorKind::Tls(fault), detail)
}

fn suites(what: &str, knob: &str) -> (TlsFault, String) {
    let detail = format!(
        "expected a {what} that both sides know, but there is none; compare {knob} of both"
    );
    (TlsFault::NoCommonSuite, detail)
}

/// Describes a rule of the protocol that the peer broke.
fn misbehaved(why: &PeerMisbehaved) -> (ErrorKind, String) {
    use PeerMisbehaved as P;
    let (fault, expected) = match why {
        P::SelectedUnofferedApplicationProtocol => {
            (TlsFault::NoCommonProtocol, "one of the application protocols that were offered")
        }
        P::TooManyEmptyFragments
        | P::TooManyWarningAlertsReceived
        | P::TooManyKeyUpdateRequests
        | P::TooManyRenegotiationRequests => (TlsFault::Misbehaved, "a peer that makes progress"),
        P::IllegalTlsInnerPlaintext => (TlsFault::BadRecord, "records with a type"),
        _ => (TlsFault::Misbehaved, "a peer that follows the protocol"),
    };
    (ErrorKind::Tls(fault), format!("expected {expected}, but it did not ({why:?}); {REPORT}"))
}

/// Describes a refused certificate for which the verifier left no notes, as the platform's does not.
fn certificate_text(why: &CertificateError) -> String {
    format!(
        "expected a certificate that the verifier accepts, but it said: {}; have it issued anew",
        printable(&why.to_string(), 2 * NAME_MAX)
    )
}
