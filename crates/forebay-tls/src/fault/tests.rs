use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Fault, TlsFault};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::unbuffered::{EncryptError, InsufficientSizeError};
use rustls::{
    AlertDescription as Alert, CertRevocationListError, CertificateError as Certificate,
    ContentType, EncryptedClientHelloError, Error as Rustls, ExtendedKeyPurpose, HandshakeType,
    InconsistentKeys, InvalidMessage as Message, OtherError, PeerIncompatible as Incompatible,
    PeerMisbehaved as Misbehaved,
};

use super::{Known, Side, explained, not_sealed};
use crate::callback_facts::{Answer, CallbackFacts, Refusal};

fn told(error: impl Into<Rustls>) -> Error {
    explained("tls", error.into(), CallbackFacts::default(), Known::default())
}

/// The sentence of every refusal by the peer has the same three parts.
#[track_caller]
fn is(error: impl Into<Rustls>, fault: TlsFault) -> String {
    let error = told(error);
    assert_eq!(error.tls_fault(), Some(fault), "{error}");
    assert_eq!(error.kind().fault(), Fault::Peer);
    let text = error.to_string();
    assert!(text.starts_with("tls: "), "{text}");
    let said = text.find(": expected ").zip(text.find(", but ")).zip(text.find("; "));
    assert!(
        said.is_some_and(|((expected, came), remedy)| expected < came && came < remedy),
        "{text}"
    );
    text
}

#[test]
fn every_alert_is_named_and_its_usual_meaning_told() {
    let cases = [
        (Alert::CloseNotify, "close_notify; it ended before"),
        (Alert::UnexpectedMessage, "unexpected_message;"),
        (Alert::BadRecordMac, "bad_record_mac; bytes were altered"),
        (Alert::DecryptionFailed, "bad_record_mac; bytes were altered"),
        (Alert::RecordOverflow, "record_overflow; a record was too large"),
        (Alert::DecompressionFailure, "decompression_failure;"),
        (Alert::HandshakeFailure, "handshake_failure; usually no cipher suite"),
        (Alert::NoCertificate, "certificate_required; it wants a client certificate"),
        (Alert::BadCertificate, "bad_certificate; it could not use our certificate"),
        (Alert::UnsupportedCertificate, "unsupported_certificate; our certificate is of a"),
        (Alert::CertificateRevoked, "certificate_revoked; it knows ours as revoked"),
        (Alert::CertificateExpired, "certificate_expired; ours has expired"),
        (Alert::CertificateUnknown, "certificate_unknown; it did not accept"),
        (Alert::IllegalParameter, "illegal_parameter; a value of ours"),
        (Alert::UnknownCA, "unknown_ca; it does not trust the root of our certificate"),
        (Alert::AccessDenied, "access_denied; our certificate is valid, but"),
        (Alert::DecodeError, "decode_error; it could not read"),
        (Alert::DecryptError, "decrypt_error; a signature of ours"),
        (Alert::ExportRestriction, "export_restriction;"),
        (Alert::ProtocolVersion, "protocol_version; it speaks none of our versions"),
        (Alert::InsufficientSecurity, "insufficient_security; it asks for stronger"),
        (Alert::InternalError, "internal_error; something broke on its side"),
        (Alert::InappropriateFallback, "inappropriate_fallback;"),
        (Alert::UserCanceled, "user_canceled;"),
        (Alert::NoRenegotiation, "no_renegotiation;"),
        (Alert::MissingExtension, "missing_extension; it needs an extension"),
        (Alert::UnsupportedExtension, "unsupported_extension;"),
        (Alert::CertificateUnobtainable, "certificate_unobtainable;"),
        (Alert::UnrecognisedName, "unrecognized_name; it has no certificate for the name"),
        (Alert::BadCertificateStatusResponse, "bad_certificate_status_response;"),
        (Alert::BadCertificateHashValue, "bad_certificate_hash_value;"),
        (Alert::UnknownPSKIdentity, "unknown_psk_identity;"),
        (Alert::CertificateRequired, "certificate_required; it wants a client certificate"),
        (Alert::NoApplicationProtocol, "no_application_protocol; it speaks none of our"),
        (Alert::EncryptedClientHelloRequired, "ech_required;"),
        (Alert::Unknown(200), "its alert 200; see its log"),
    ];
    for (alert, words) in cases {
        let text = is(Rustls::AlertReceived(alert), TlsFault::RefusedByPeer);
        assert!(text.contains(words), "{text}");
    }
}

/// Returns a client's error for an alert, given its answer to a server that asked for a certificate.
fn alert_after(alert: Alert, answer: Option<Answer>, server_name: &str) -> String {
    let known = Known { side: Side::Client(answer), server_name: Some(server_name) };
    let told = explained("tls", Rustls::AlertReceived(alert), CallbackFacts::default(), known);
    assert_eq!(told.tls_fault(), Some(TlsFault::RefusedByPeer), "{told}");
    told.to_string()
}

#[test]
fn an_alert_is_explained_by_what_the_client_had_to_show() {
    let of_none = [
        Alert::CertificateRequired,
        Alert::BadCertificate,
        Alert::HandshakeFailure,
        Alert::DecodeError,
        Alert::CertificateUnknown,
    ];
    for alert in of_none {
        let none = alert_after(alert, Some(Answer::None), "a.example");
        assert!(
            none.contains("asked for a client certificate, and this client has none"),
            "{none}"
        );
        let unfit = alert_after(alert, Some(Answer::Unfit), "a.example");
        assert!(unfit.contains("takes no signatures of the kind of key"), "{unfit}");
        for answer in [None, Some(Answer::Shown)] {
            let text = alert_after(alert, answer, "a.example");
            assert!(!text.contains("this client has none"), "{text}");
            assert!(!text.contains("takes no signatures"), "{text}");
        }
    }
    let shown = alert_after(Alert::HandshakeFailure, Some(Answer::Shown), "a.example");
    assert!(shown.contains("does not take the client certificate that it was shown"), "{shown}");
    let other = alert_after(Alert::NoApplicationProtocol, Some(Answer::None), "a.example");
    assert!(other.contains("compare `alpn` of both"), "{other}");
}

#[test]
fn a_name_with_an_underscore_is_named_where_a_value_makes_no_sense() {
    let text = alert_after(Alert::IllegalParameter, None, "a_\u{7}.example");
    assert!(text.contains("a_\\u{7}.example, which has an underscore"), "{text}");
    let text = alert_after(Alert::IllegalParameter, None, "a.example");
    assert!(text.contains("a value of ours made no sense to it"), "{text}");
    let text = alert_after(Alert::InternalError, None, "a_b.example");
    assert!(!text.contains("a_b"), "{text}");
}

#[test]
fn a_key_that_a_client_takes_no_signatures_of_is_not_in_common_over_each_version() {
    let over_12 = is(Rustls::General("incompatible signing key".into()), TlsFault::NoCommonSuite);
    let over_13 = is(Incompatible::NoSignatureSchemesInCommon, TlsFault::NoCommonSuite);
    assert_eq!(over_12, over_13);
}

#[test]
fn what_is_no_record_is_not_tls() {
    for message in [Message::InvalidContentType, Message::UnknownProtocolVersion] {
        let text = is(message, TlsFault::NotTls);
        assert!(text.contains("see whether this port speaks TLS"), "{text}");
    }
}

#[test]
fn a_record_that_cannot_be_used_is_a_bad_one() {
    is(Message::MessageTooLarge, TlsFault::BadRecord);
    is(Message::InvalidEmptyPayload, TlsFault::BadRecord);
    is(Rustls::DecryptError, TlsFault::BadRecord);
    is(Rustls::PeerSentOversizedRecord, TlsFault::BadRecord);
    is(Misbehaved::IllegalTlsInnerPlaintext, TlsFault::BadRecord);
}

#[test]
fn a_message_that_cannot_be_read_is_misbehaviour() {
    let messages = [
        Message::CertificatePayloadTooLarge,
        Message::HandshakePayloadTooLarge,
        Message::InvalidCcs,
        Message::InvalidCertificateStatusType,
        Message::InvalidCertRequest,
        Message::InvalidDhParams,
        Message::InvalidKeyUpdate,
        Message::InvalidServerName,
        Message::MessageTooShort,
        Message::MissingData("ServerHello"),
        Message::MissingKeyExchange,
        Message::NoSignatureSchemes,
        Message::TrailingData("ServerHello"),
        Message::UnexpectedMessage("ServerHello"),
        Message::UnsupportedCompression,
        Message::UnsupportedCurveType,
        Message::EmptyTicketValue,
        Message::IllegalEmptyList("CipherSuites"),
        Message::IllegalEmptyValue,
        Message::DuplicateExtension(16),
        Message::PreSharedKeyIsNotFinalExtension,
        Message::UnknownHelloRetryRequestExtension,
        Message::UnknownCertificateExtension,
    ];
    for message in messages {
        is(message, TlsFault::Misbehaved);
    }
    is(
        Rustls::InappropriateMessage {
            expect_types: vec![ContentType::Handshake],
            got_type: ContentType::ApplicationData,
        },
        TlsFault::Misbehaved,
    );
    is(
        Rustls::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::ServerHello],
            got_type: HandshakeType::Finished,
        },
        TlsFault::Misbehaved,
    );
    is(
        Rustls::InvalidEncryptedClientHello(EncryptedClientHelloError::SniRequired),
        TlsFault::Misbehaved,
    );
}

#[test]
fn what_is_not_in_common_is_named() {
    let versions = [
        Incompatible::ServerDoesNotSupportTls12Or13,
        Incompatible::Tls12NotOffered,
        Incompatible::Tls12NotOfferedOrEnabled,
        Incompatible::SupportedVersionsExtensionRequired,
        Incompatible::SignatureAlgorithmsExtensionRequired,
        Incompatible::Tls13RequiredForQuic,
        Incompatible::ServerTlsVersionIsDisabledByOurConfig,
    ];
    for why in versions {
        let said = is(why, TlsFault::NoCommonVersion);
        assert!(said.contains("`versions`"));
        // The peer may have one of these, which `versions` does not allow here.
        assert!(!said.contains("neither"), "{said}");
    }
    let cryptography = [
        (Incompatible::NoCipherSuitesInCommon, "`cipher_suites`"),
        (Incompatible::NoKxGroupsInCommon, "`key_exchange_groups`"),
        (Incompatible::NamedGroupsExtensionRequired, "over elliptic curves"),
        (Incompatible::KeyShareExtensionRequired, "`key_exchange_groups`"),
        (Incompatible::NoSignatureSchemesInCommon, "signature scheme"),
        (Incompatible::NoCertificateRequestSignatureSchemesInCommon, "signature scheme"),
        (Incompatible::EcPointsExtensionRequired, "TLS 1.2"),
        (Incompatible::NoEcPointFormatsInCommon, "TLS 1.2"),
        (Incompatible::UncompressedEcPointsRequired, "TLS 1.2"),
        (Incompatible::NullCompressionRequired, "TLS 1.2"),
        (Incompatible::ExtendedMasterSecretExtensionRequired, "TLS 1.2"),
    ];
    for (why, words) in cryptography {
        assert!(is(why, TlsFault::NoCommonSuite).contains(words));
    }
    let others = [
        Incompatible::IncorrectCertificateTypeExtension,
        Incompatible::ServerSentHelloRetryRequestWithUnknownExtension,
        Incompatible::UnsolicitedCertificateTypeExtension,
        Incompatible::ServerRejectedEncryptedClientHello(None),
    ];
    for why in others {
        is(why, TlsFault::Misbehaved);
    }
}

#[test]
fn no_common_protocol_is_one_fault_on_both_sides() {
    is(Rustls::NoApplicationProtocol, TlsFault::NoCommonProtocol);
    is(Misbehaved::SelectedUnofferedApplicationProtocol, TlsFault::NoCommonProtocol);
}

#[test]
fn a_peer_without_a_certificate_is_told_apart_whichever_side_it_is() {
    let text = is(Rustls::NoCertificatesPresented, TlsFault::NoCertificate);
    assert!(text.contains("of the peer, but received none; give a client an identity"), "{text}");
    assert!(text.contains("whether a server has one"), "{text}");
}

#[test]
fn a_broken_rule_is_misbehaviour() {
    let rules = [
        Misbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported,
        Misbehaved::IncorrectBinder,
        Misbehaved::InvalidKeyShare,
        Misbehaved::KeyEpochWithPendingFragment,
        Misbehaved::MessageInterleavedWithHandshakeMessage,
        Misbehaved::SelectedUnofferedCipherSuite,
        Misbehaved::TooManyEmptyFragments,
        Misbehaved::TooManyKeyUpdateRequests,
        Misbehaved::TooManyRenegotiationRequests,
        Misbehaved::TooManyWarningAlertsReceived,
    ];
    for why in rules {
        let name = format!("{why:?}");
        assert!(is(why, TlsFault::Misbehaved).contains(&name));
    }
}

#[test]
#[expect(deprecated, reason = "a verifier of the platform may still use the old words")]
fn a_certificate_that_nobody_explained_still_has_its_fault() {
    let (time, before) = (UnixTime::now(), UnixTime::now());
    let cases = [
        (Certificate::BadEncoding, TlsFault::InvalidCertificate),
        (Certificate::Expired, TlsFault::Expired),
        (Certificate::ExpiredContext { time, not_after: before }, TlsFault::Expired),
        (Certificate::NotValidYet, TlsFault::NotYetValid),
        (Certificate::NotValidYetContext { time, not_before: before }, TlsFault::NotYetValid),
        (Certificate::Revoked, TlsFault::Revoked),
        (Certificate::UnhandledCriticalExtension, TlsFault::InvalidCertificate),
        (Certificate::UnknownIssuer, TlsFault::UntrustedRoot),
        (Certificate::UnknownRevocationStatus, TlsFault::InvalidCertificate),
        (Certificate::ExpiredRevocationList, TlsFault::InvalidCertificate),
        (
            Certificate::ExpiredRevocationListContext { time, next_update: before },
            TlsFault::InvalidCertificate,
        ),
        (Certificate::BadSignature, TlsFault::InvalidCertificate),
        (Certificate::UnsupportedSignatureAlgorithm, TlsFault::UnsupportedAlgorithm),
        (
            Certificate::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: Vec::new(),
                supported_algorithms: Vec::new(),
            },
            TlsFault::UnsupportedAlgorithm,
        ),
        (
            Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: Vec::new(),
                public_key_algorithm_id: Vec::new(),
            },
            TlsFault::UnsupportedAlgorithm,
        ),
        (Certificate::NotValidForName, TlsFault::WrongName),
        (
            Certificate::NotValidForNameContext {
                expected: ServerName::try_from("a.example").unwrap(),
                presented: Vec::new(),
            },
            TlsFault::WrongName,
        ),
        (Certificate::InvalidPurpose, TlsFault::WrongPurpose),
        (
            Certificate::InvalidPurposeContext {
                required: ExtendedKeyPurpose::ServerAuth,
                presented: vec![ExtendedKeyPurpose::ClientAuth],
            },
            TlsFault::WrongPurpose,
        ),
        (Certificate::InvalidOcspResponse, TlsFault::InvalidCertificate),
        (Certificate::ApplicationVerificationFailure, TlsFault::RefusedByVerifier),
        (other(webpki::Error::NameConstraintViolation), TlsFault::NameConstraints),
        (other(webpki::Error::CaUsedAsEndEntity), TlsFault::WrongPurpose),
        (other(webpki::Error::PathLenConstraintViolated), TlsFault::InvalidCertificate),
    ];
    for (why, fault) in cases {
        is(why, fault);
    }
    is(
        Rustls::InvalidCertRevocationList(CertRevocationListError::ParseError),
        TlsFault::InvalidCertificate,
    );
}

fn other(error: webpki::Error) -> Certificate {
    Certificate::Other(OtherError(Arc::new(error)))
}

#[test]
fn what_is_ours_is_not_blamed_on_the_peer() {
    let cases = [
        (Rustls::UnsupportedNameType, ErrorKind::InvalidInput),
        (Rustls::InconsistentKeys(InconsistentKeys::KeyMismatch), ErrorKind::InvalidInput),
        (Rustls::BadMaxFragmentSize, ErrorKind::InvalidInput),
        (Rustls::FailedToGetCurrentTime, ErrorKind::System),
        (Rustls::FailedToGetRandomBytes, ErrorKind::System),
        (Rustls::EncryptError, ErrorKind::Other),
        (Rustls::HandshakeNotComplete, ErrorKind::Other),
        (Rustls::General("signing failed".to_owned()), ErrorKind::Other),
        (Rustls::Other(OtherError(Arc::new(std::fmt::Error))), ErrorKind::Other),
    ];
    for (error, kind) in cases {
        let told = told(error);
        assert_eq!(told.kind(), kind, "{told}");
        assert_ne!(told.kind().fault(), Fault::Peer, "{told}");
    }
}

#[test]
fn a_name_that_the_server_does_not_have_is_told() {
    let error = || Rustls::General("no server certificate chain resolved".to_owned());
    let asked = Known { side: Side::Server, server_name: Some("b\u{7}.example") };
    let told = explained("accept_tls", error(), CallbackFacts::default(), asked);
    assert_eq!(told.tls_fault(), Some(TlsFault::UnknownServerName));
    assert!(told.to_string().contains("the client asked for b\\u{7}.example"), "{told}");
    let text = is(error(), TlsFault::UnknownServerName);
    assert!(text.contains("the client asked for no name"), "{text}");
}

#[test]
fn what_a_verifier_noted_wins() {
    let cause = Error::other("the user's own");
    for cause in [None, Some(cause)] {
        let refusal = Refusal {
            fault: TlsFault::PinMismatch,
            detail: "expected this, but received that; do so".to_owned(),
            cause: cause.clone(),
        };
        let notes = CallbackFacts { refusal: Some(refusal), ..CallbackFacts::default() };
        let error = Certificate::ApplicationVerificationFailure;
        let told = explained("tls", error.into(), notes, Known::default());
        assert_eq!(told.tls_fault(), Some(TlsFault::PinMismatch));
        assert!(told.to_string().ends_with("expected this, but received that; do so"), "{told}");
        let source = std::error::Error::source(&told).map(ToString::to_string).unwrap();
        assert_eq!(source.contains("the user's own"), cause.is_some(), "{source}");
    }
}

/// The limit of a key is reported by the sessions that reach it.
#[test]
fn a_record_without_room_is_a_mistake_of_ours() {
    let error = InsufficientSizeError { required_size: 22 };
    let error = not_sealed("write", EncryptError::InsufficientSize(error));
    assert_eq!(error.kind(), ErrorKind::Other);
    let text = error.to_string();
    assert!(text.contains("22 bytes are required; report it to forebay"), "{text}");
}
