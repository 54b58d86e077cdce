//! The usual meaning of an alert of the peer.

use rustls::AlertDescription as Alert;

use super::{Known, Side};
use crate::callback_facts::Answer;
use crate::text::NAME_MAX;
use forebay_io::seam::printable;

/// The alerts by their names in RFC 8446, section 6, and RFC 5246, section 7.2, with their usual meaning.
/// An alert that is obsolete has the name of its successor.
const ALERTS: [(Alert, &str, &str); 35] = [
    (Alert::CloseNotify, "close_notify", "it ended before the handshake was complete"),
    (Alert::UnexpectedMessage, "unexpected_message", "it did not expect what it got"),
    (Alert::BadRecordMac, "bad_record_mac", "bytes were altered between here and there"),
    (Alert::DecryptionFailed, "bad_record_mac", "bytes were altered between here and there"),
    (Alert::RecordOverflow, "record_overflow", "a record was too large for it"),
    (Alert::DecompressionFailure, "decompression_failure", "its TLS is very old"),
    (
        Alert::HandshakeFailure,
        "handshake_failure",
        "usually no cipher suite, group or signature scheme in common: compare `cipher_suites` and \
         `key_exchange_groups`, and see what kind of key the identity has",
    ),
    (Alert::NoCertificate, "certificate_required", "it wants a client certificate: set `identity`"),
    (
        Alert::CertificateRequired,
        "certificate_required",
        "it wants a client certificate: set `identity`",
    ),
    (
        Alert::BadCertificate,
        "bad_certificate",
        "it could not use our certificate: see its names, its form and its log",
    ),
    (
        Alert::UnsupportedCertificate,
        "unsupported_certificate",
        "our certificate is of a kind or for a use that it does not take: see the extended key \
         usage",
    ),
    (Alert::CertificateRevoked, "certificate_revoked", "it knows ours as revoked: renew it"),
    (
        Alert::CertificateExpired,
        "certificate_expired",
        "ours has expired, or its clock is wrong: renew it",
    ),
    (
        Alert::CertificateUnknown,
        "certificate_unknown",
        "it did not accept our certificate: see its log for the reason",
    ),
    (
        Alert::UnknownCA,
        "unknown_ca",
        "it does not trust the root of our certificate, or we did not send the whole chain: \
         have it trust the root, or add the intermediate certificates to the identity",
    ),
    (Alert::IllegalParameter, "illegal_parameter", "a value of ours made no sense to it"),
    (Alert::AccessDenied, "access_denied", "our certificate is valid, but it does not let us in"),
    (Alert::DecodeError, "decode_error", "it could not read a message of ours"),
    (
        Alert::DecryptError,
        "decrypt_error",
        "a signature of ours did not convince it: see whether key and certificate belong \
         together",
    ),
    (Alert::ExportRestriction, "export_restriction", "its TLS is very old"),
    (
        Alert::ProtocolVersion,
        "protocol_version",
        "it speaks none of our versions of TLS: see `versions`, or renew its TLS",
    ),
    (
        Alert::InsufficientSecurity,
        "insufficient_security",
        "it asks for stronger cryptography: see `cipher_suites`",
    ),
    (Alert::InternalError, "internal_error", "something broke on its side: see its log"),
    (
        Alert::InappropriateFallback,
        "inappropriate_fallback",
        "it speaks a newer version than the one that was tried",
    ),
    (Alert::UserCanceled, "user_canceled", "the user there cancelled it"),
    (Alert::NoRenegotiation, "no_renegotiation", "it does not renegotiate"),
    (
        Alert::MissingExtension,
        "missing_extension",
        "it needs an extension that was not offered: see `server_name`",
    ),
    (Alert::UnsupportedExtension, "unsupported_extension", "it was sent an extension unasked"),
    (Alert::CertificateUnobtainable, "certificate_unobtainable", "it could not fetch ours"),
    (
        Alert::UnrecognisedName,
        "unrecognized_name",
        "it has no certificate for the name that was asked for: see `server_name`",
    ),
    (
        Alert::BadCertificateStatusResponse,
        "bad_certificate_status_response",
        "it refused the OCSP response",
    ),
    (Alert::BadCertificateHashValue, "bad_certificate_hash_value", "a hash did not fit"),
    (Alert::UnknownPSKIdentity, "unknown_psk_identity", "it does not know the session"),
    (
        Alert::NoApplicationProtocol,
        "no_application_protocol",
        "it speaks none of our application protocols: compare `alpn` of both",
    ),
    (Alert::EncryptedClientHelloRequired, "ech_required", "it takes encrypted hellos only"),
];

/// Describes the peer's alert in a sentence.
pub(super) fn text(alert: Alert, known: Known<'_>) -> String {
    let usual = ALERTS.iter().find(|(usual, ..)| *usual == alert);
    let (name, meaning) = usual.map_or_else(
        || (u8::from(alert).to_string(), "see its log"),
        |(_, name, meaning)| ((*name).to_owned(), *meaning),
    );
    let meaning = here(alert, known).unwrap_or_else(|| meaning.to_owned());
    format!("expected the peer to accept the connection, but received its alert {name}; {meaning}")
}

/// Returns the meaning of an alert that follows from what this side did, if that tells more than the alert.
fn here(alert: Alert, known: Known<'_>) -> Option<String> {
    let Side::Client(answer) = known.side else { return None };
    match answer {
        Some(Answer::None) if may_miss_certificate(alert) => Some(
            "it asked for a client certificate, and this client has none: set `identity`"
                .to_owned(),
        ),
        Some(Answer::Unfit) if may_miss_certificate(alert) => Some(
            "it asked for a client certificate, but takes no signatures of the kind of key that \
             `identity` has: use a key of ECDSA P-256 or RSA"
                .to_owned(),
        ),
        // Everything else that the handshake needs was agreed on before the server asked.
        Some(Answer::Shown) if alert == Alert::HandshakeFailure => Some(
            "it does not take the client certificate that it was shown: see its log".to_owned(),
        ),
        _ => known.server_name.filter(|_| alert == Alert::IllegalParameter).and_then(underscored),
    }
}

/// Returns `true` for the alerts with which servers refuse a client that shows no certificate. RFC 8446,
/// section 4.4.2.4, asks for `certificate_required`. Over TLS 1.2, `OpenSSL` and Go send
/// `handshake_failure`, JSSE and NSS `bad_certificate`, `GnuTLS` `decode_error`. The other alerts would be
/// about a certificate, and none was shown.
fn may_miss_certificate(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecodeError
    )
}

/// Returns a hint for a name with an underscore, which is no host name by RFC 952: JSSE and `GnuTLS` refuse
/// it.
fn underscored(name: &str) -> Option<String> {
    name.contains('_').then(|| {
        format!(
            "it was asked for the name {}, which has an underscore, and some servers refuse that: \
             connect by another name, or set another `server_name`",
            printable(name, NAME_MAX)
        )
    })
}
