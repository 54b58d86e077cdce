use std::io;

use super::{Error, ErrorKind, Fault, TlsFault};

#[test]
fn an_error_is_one_word() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Error>>(), size_of::<usize>());
}

#[test]
fn a_round_trip_through_std_keeps_the_error() {
    let ours = Error::new(ErrorKind::LineTooLong { limit: 9 }, "read_line").context("login");
    let back = Error::from(io::Error::from(ours.clone()));
    assert_eq!(back.kind(), ours.kind());
    assert_eq!(back.to_string(), ours.to_string());
}

#[test]
fn system_errors_are_sorted_by_fault() {
    let cases = [
        (io::ErrorKind::ConnectionReset, Fault::Peer),
        (io::ErrorKind::BrokenPipe, Fault::Peer),
        (io::ErrorKind::ConnectionRefused, Fault::Peer),
        (io::ErrorKind::AddrInUse, Fault::System),
        (io::ErrorKind::PermissionDenied, Fault::System),
        (io::ErrorKind::InvalidInput, Fault::Caller),
    ];
    for (kind, fault) in cases {
        assert_eq!(Error::from(io::Error::from(kind)).kind().fault(), fault, "{kind}");
    }
    let no_descriptors = Error::from_io("accept", io::Error::from_raw_os_error(24));
    assert_eq!(no_descriptors.kind(), ErrorKind::Exhausted);
}

#[test]
fn the_system_text_is_kept_as_the_source() {
    let error =
        Error::from_io("bind", io::Error::from(io::ErrorKind::AddrInUse)).with_address("[::1]:80");
    assert_eq!(error.to_string(), "bind [::1]:80: the address is in use");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
#[cfg_attr(miri, ignore = "Miri's text of a system's error repeats its number")]
fn the_line_always_carries_the_direct_cause() {
    let missing = std::fs::read("/nosuch").expect_err("there is no such file");
    let text = "not found (No such file or directory, os error 2)";
    assert_eq!(Error::from(missing).to_string(), text);
    let number = |kind, number| {
        let error = Error::from_io("call", io::Error::from_raw_os_error(number));
        assert_eq!(error.kind(), kind);
        error.with_detail("what to do").to_string()
    };
    let in_use = number(ErrorKind::AddressInUse, ADDRINUSE);
    assert_eq!(in_use, format!("call: the address is in use (os error {ADDRINUSE}): what to do"));
    let table_full = number(ErrorKind::Exhausted, 24);
    assert_eq!(
        table_full,
        "call: a resource is exhausted (Too many open files, os error 24): what to do"
    );
    let unknown = number(ErrorKind::System, 5);
    assert_eq!(unknown, "call: Input/output error (os error 5): what to do");
}

#[cfg(target_os = "linux")]
const ADDRINUSE: i32 = 98;
#[cfg(not(target_os = "linux"))]
const ADDRINUSE: i32 = 48;

#[test]
fn a_cause_that_the_line_contains_is_not_repeated() {
    let told = Error::new(ErrorKind::InvalidInput, "build").with_cause("no key");
    assert_eq!(told.to_string(), "build: invalid argument (no key)");
    let told = told.with_detail("expected a key, but: no key");
    assert_eq!(told.to_string(), "build: invalid argument: expected a key, but: no key");
    let bare = Error::from(io::Error::from(io::ErrorKind::NotFound));
    assert_eq!(bare.to_string(), "not found");
}

#[test]
fn the_detail_of_a_tls_failure_stands_for_the_peers_names() {
    let error = Error::new(ErrorKind::Tls(TlsFault::WrongName), "tls").with_cause("\u{1b}[2J");
    let error = error.with_detail("expected a, but received b; ask for b");
    let line =
        "tls: the peer's certificate is for another name: expected a, but received b; ask for b";
    assert_eq!([error.to_string(), format!("{error:?}")], [line; 2]);
    assert!(std::error::Error::source(&error).is_some());
}

/// An error with a cause of its own, and perhaps more behind that.
#[derive(Debug)]
struct Layered(&'static str, Option<Box<dyn std::error::Error + Send + Sync>>);

impl std::fmt::Display for Layered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Layered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn debug_prints_the_line_and_the_causes_that_it_does_not_contain() {
    let plain = Error::from_io("bind", io::Error::from_raw_os_error(13)).with_address("[::1]:80");
    assert_eq!(format!("{plain:?}"), "bind [::1]:80: permission denied (os error 13)");

    let one = Layered("no settings", Some(Box::new(plain.clone())));
    assert_eq!(
        format!("{:?}", Error::other(one)),
        "no settings\n\nCaused by:\n    bind [::1]:80: permission denied (os error 13)"
    );

    let two = Layered("start", Some(Box::new(Layered("no settings", Some(Box::new(plain))))));
    assert_eq!(
        format!("{:?}", Error::other(two)),
        "start\n\nCaused by:\n    0: no settings\n    1: bind [::1]:80: permission denied (os error 13)"
    );
}

#[test]
fn alternate_debug_prints_the_fields() {
    let error = Error::new(ErrorKind::Refused, "connect").with_address("[::1]:80");
    let text = format!("{:#?}", error.with_detail("nothing listens").context("greeting"));
    for field in [
        "kind: Refused",
        "operation: \"connect\"",
        "\"[::1]:80\"",
        "\"nothing listens\"",
        "\"greeting\"",
        "source: None",
    ] {
        assert!(text.contains(field), "{field}: {text}");
    }
}

#[test]
fn a_boxed_error_keeps_what_it_is() {
    type Boxed = Box<dyn std::error::Error + Send + Sync>;
    fn through(error: Boxed) -> Error {
        let answer: crate::Result<()> = (|| Err(error)?)();
        answer.expect_err("it fails")
    }
    let ours = Error::new(ErrorKind::Refused, "connect").context("greeting");
    let back = through(ours.clone().into());
    assert_eq!((back.kind(), back.to_string()), (ours.kind(), ours.to_string()));

    let system = through(io::Error::from_raw_os_error(2).into());
    assert_eq!(system.kind(), ErrorKind::NotFound);

    let parse = through("x".parse::<u8>().expect_err("no digit").into());
    assert_eq!(parse.kind(), ErrorKind::Other);
    assert_eq!(parse.to_string(), "invalid digit found in string");
    let source = std::error::Error::source(&parse).expect("the error itself");
    assert!(source.is::<std::num::ParseIntError>());
}

#[cfg(feature = "anyhow")]
#[test]
fn an_error_of_anyhow_keeps_its_kind_and_its_chain() {
    fn through(error: anyhow::Error) -> Error {
        let answer: crate::Result<()> = (|| Err(error)?)();
        answer.expect_err("it fails")
    }
    let ours = Error::new(ErrorKind::Refused, "connect").with_address("[::1]:80");
    let wrapped = anyhow::Error::from(ours).context("greeting").context("start");
    let back = through(wrapped);
    assert!(back.is_refused(), "{back}");
    assert_eq!(
        back.to_string(),
        "start: greeting: connect [::1]:80: the peer refused the connection"
    );

    let system = anyhow::Error::from(io::Error::from_raw_os_error(2)).context("settings");
    let system = through(system);
    assert_eq!(system.kind(), ErrorKind::NotFound);
    assert_eq!(system.to_string(), "settings: not found (No such file or directory, os error 2)");

    let other = through(anyhow::anyhow!("no digit").context("settings"));
    assert_eq!(other.kind(), ErrorKind::Other);
    assert_eq!(format!("{other:?}"), "settings\n\nCaused by:\n    no digit");

    let typed = Layered("no settings", Some(Box::new(Error::new(ErrorKind::Reset, "read"))));
    let typed = through(anyhow::Error::from(typed));
    let source = std::error::Error::source(&typed).expect("the error itself");
    assert!(source.is::<Layered>(), "{typed:?}");
}

/// Every TLS fault, with part of its text.
const TLS_FAULTS: [(TlsFault, &str); 27] = [
    (TlsFault::Expired, "has expired"),
    (TlsFault::NotYetValid, "not valid yet"),
    (TlsFault::WrongName, "another name"),
    (TlsFault::NoName, "no subject alternative name"),
    (TlsFault::SelfSigned, "self-signed"),
    (TlsFault::UntrustedRoot, "a root that is not trusted"),
    (TlsFault::IncompleteChain, "incomplete"),
    (TlsFault::WrongPurpose, "not made for this use"),
    (TlsFault::WeakSignature, "weak signature"),
    (TlsFault::WeakKey, "weak key"),
    (TlsFault::NameConstraints, "name constraints"),
    (TlsFault::InvalidCertificate, "is invalid"),
    (TlsFault::UnsupportedAlgorithm, "unknown algorithm"),
    (TlsFault::Revoked, "is revoked"),
    (TlsFault::NoCertificate, "sent no certificate"),
    (TlsFault::PinMismatch, "not a pinned one"),
    (TlsFault::RefusedByVerifier, "the verifier refused"),
    (TlsFault::RefusedByPeer, "the peer refused"),
    (TlsFault::NoCommonProtocol, "no application protocol in common"),
    (TlsFault::NoCommonVersion, "no TLS version in common"),
    (TlsFault::NoCommonSuite, "no cryptography in common"),
    (TlsFault::UnknownServerName, "requested server name"),
    (TlsFault::NotTls, "does not speak TLS"),
    (TlsFault::BadRecord, "bad TLS record"),
    (TlsFault::Misbehaved, "broke the TLS protocol"),
    (TlsFault::EndedInHandshake, "within the TLS handshake"),
    (TlsFault::KeysExhausted, "too much was encrypted"),
];

#[test]
fn each_cause_of_a_tls_failure_says_what_it_is_and_is_the_peers_or_a_limit() {
    for (fault, words) in TLS_FAULTS {
        let error = Error::new(ErrorKind::Tls(fault), "tls");
        assert_eq!(error.tls_fault(), Some(fault));
        let is_limit = fault == TlsFault::KeysExhausted;
        let whose = if is_limit { Fault::Limit } else { Fault::Peer };
        assert_eq!(error.kind().fault(), whose, "{fault:?}");
        assert_eq!(error.is_limit(), is_limit, "{fault:?}");
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn no_two_causes_of_a_tls_failure_read_the_same() {
    let mut texts: Vec<_> = TLS_FAULTS.iter().map(|(fault, _)| fault.to_string()).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), TLS_FAULTS.len());
}

#[test]
fn an_end_without_notify_is_an_end_of_the_peers() {
    let error = Error::new(ErrorKind::EndedWithoutNotify, "read");
    assert_eq!(error.kind().fault(), Fault::Peer);
    assert_eq!(error.tls_fault(), None);
    assert_eq!(error.to_string(), "read: the TLS input ended without close_notify");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::UnexpectedEof);
}

/// The limit is a number of handshakes or of bytes; the detail says which.
#[test]
fn a_limit_that_was_exceeded_has_no_unit_of_its_own() {
    let error = Error::new(ErrorKind::LimitExceeded { limit: 256 }, "tls handshake");
    assert!(error.is_limit());
    assert_eq!(error.to_string(), "tls handshake: above the limit of 256");
}
