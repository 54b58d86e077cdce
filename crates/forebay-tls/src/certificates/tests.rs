use std::time::{Duration, SystemTime};

use forebay_io::ErrorKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Authority, Issued, KeyKind, Options};
use crate::PeerCertificate;
use crate::x509::{CLIENT_AUTHENTICATION, Certificate, SERVER_AUTHENTICATION, dotted};

fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

fn of_issued(issued: &Issued) -> PeerCertificate {
    PeerCertificate::parse(&ders(issued.certificate_pem())[0])
}

/// Parses a certificate and passes it to `look`.
fn parsed<T>(pem: &str, look: impl FnOnce(&Certificate<'_>) -> T) -> T {
    look(&Certificate::read(&ders(pem)[0]).unwrap())
}

/// Values of extensions in DER (RFC 5280, sections 4.2.1.3 and 4.2.1.9).
const DIGITAL_SIGNATURE: &[u8] = &[3, 2, 7, 0b1000_0000];
const KEY_CERT_SIGN_AND_CRL_SIGN: &[u8] = &[3, 2, 1, 0b0000_0110];
const CA_WITHOUT_LIMIT: &[u8] = &[0x30, 3, 1, 1, 0xff];

/// Ktor's case `generateCertificateWithCA_default`.
#[test]
fn a_servers_certificate_is_issued_by_the_authority() {
    let authority = Authority::new("localhostCA").unwrap();
    let server = authority.server(["localhost", "127.0.0.1"]).unwrap();
    let certificate = of_issued(&server);
    assert_eq!(certificate.issuer(), "CN=localhostCA");
    assert_eq!(certificate.subject(), "CN=localhost");
    assert_eq!(certificate.names(), ["localhost", "127.0.0.1"]);
    parsed(server.certificate_pem(), |certificate| {
        assert!(!certificate.is_ca());
        assert_eq!(certificate.purposes().unwrap(), [SERVER_AUTHENTICATION.as_bytes()]);
        assert_eq!(certificate.value_of("2.5.29.15"), Some(DIGITAL_SIGNATURE));
    });
}

/// Ktor's case `keyTypeCA`, for a root and for an authority below it.
#[test]
fn an_authority_may_issue_without_limit_and_is_nothing_else() {
    let root = Authority::new("localhostCA").unwrap();
    let below = root.authority("localhost").unwrap();
    for (authority, subject) in [(&root, "CN=localhostCA"), (&below, "CN=localhost")] {
        parsed(authority.pem(), |certificate| {
            assert_eq!(certificate.subject.to_string(), subject);
            assert_eq!(certificate.issuer.to_string(), "CN=localhostCA");
            assert_eq!(certificate.value_of("2.5.29.19"), Some(CA_WITHOUT_LIMIT));
            assert_eq!(certificate.value_of("2.5.29.15"), Some(KEY_CERT_SIGN_AND_CRL_SIGN));
            assert_eq!(certificate.value_of("2.5.29.37"), None);
            assert_eq!(certificate.value_of("2.5.29.17"), None);
        });
    }
}

#[test]
fn a_clients_certificate_is_for_clients() {
    let client = Authority::new("CA").unwrap().client("somebody").unwrap();
    assert_eq!(of_issued(&client).subject(), "CN=somebody");
    parsed(client.certificate_pem(), |certificate| {
        assert_eq!(certificate.purposes().unwrap(), [CLIENT_AUTHENTICATION.as_bytes()]);
    });
}

/// Ktor's cases `customValues` and `customAlgorithmAndKeySize`.
#[test]
fn a_key_is_ecdsa_of_256_bits_unless_asked_for_another() {
    let authority = Authority::new("CA").unwrap();
    // A point of a curve is a byte and two numbers (RFC 5480, section 2.2).
    let (ecdsa, p256, p384) = ("1.2.840.10045.2.1", 1 + 2 * 32, 1 + 2 * 48);
    let default = authority.server(["localhost"]).unwrap();
    let larger = Options::default().key(KeyKind::EcdsaP384);
    let larger = authority.server_with(["localhost"], larger).unwrap();
    for (issued, bytes) in [(&default, p256), (&larger, p384)] {
        parsed(issued.certificate_pem(), |certificate| {
            assert_eq!(dotted(certificate.public_key.algorithm), ecdsa);
            assert_eq!(certificate.public_key.bits.len(), bytes);
            // Signed by the authority's key, with SHA-256.
            assert_eq!(dotted(certificate.signature_algorithm), "1.2.840.10045.4.3.2");
        });
    }
    let edwards = Options::default().key(KeyKind::Ed25519);
    let edwards = authority.server_with(["localhost"], edwards).unwrap();
    parsed(edwards.certificate_pem(), |certificate| {
        assert_eq!(dotted(certificate.public_key.algorithm), "1.3.101.112");
    });
}

/// Ktor's case `customValidity`: five days, and ninety by default.
#[test]
fn a_certificate_is_valid_for_so_many_days() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let authority = Authority::with_options("CA", Options::default().days(5)).unwrap();
    let five = authority.server_with(["localhost"], Options::default().days(5)).unwrap();
    let ninety = authority.server(["localhost"]).unwrap();
    let now = SystemTime::now();
    let certificate = |pem: &str| PeerCertificate::parse(&ders(pem)[0]);
    for (pem, days) in
        [(authority.pem(), 5), (five.certificate_pem(), 5), (ninety.certificate_pem(), 90)]
    {
        let certificate = certificate(pem);
        assert!(certificate.not_before().unwrap() < now);
        let left = certificate.not_after().unwrap().duration_since(now).unwrap();
        assert!(left <= days * DAY && left + DAY / 24 > days * DAY, "{left:?} of {days} days");
    }
}

/// Ktor's case `customIpsAndDomains`.
#[test]
fn names_stand_before_addresses() {
    let names = ["127.0.0.1", "localhost", "127.2.3.4", "my.custom.host", "::1"];
    let server = Authority::new("CA").unwrap().server(names).unwrap();
    let expected = ["localhost", "my.custom.host", "127.0.0.1", "127.2.3.4", "::1"];
    assert_eq!(of_issued(&server).names(), expected);
    let only = Authority::new("CA").unwrap().server(["::1"]).unwrap();
    assert_eq!(of_issued(&only).subject(), "CN=::1");
}

#[test]
fn what_an_authority_below_issues_comes_with_it() {
    let root = Authority::new("root").unwrap();
    let lower = root.authority("upper").unwrap().authority("lower").unwrap();
    let server = lower.server(["localhost"]).unwrap();
    let subjects: Vec<_> = ders(server.certificate_pem())
        .iter()
        .map(|der| PeerCertificate::parse(der).subject().to_owned())
        .collect();
    assert_eq!(subjects, ["CN=localhost", "CN=lower", "CN=upper"]);
}

#[test]
fn what_is_issued_is_believed_by_who_trusts_the_authority() {
    use rustls::pki_types::{ServerName, UnixTime};

    let root = Authority::new("root").unwrap();
    let below = root.authority("below").unwrap();
    let trust = crate::Trust::roots_pem(root.pem()).unwrap();
    let provider = crate::provider::provider().unwrap();
    let servers = trust.server_verifier(&provider, None).unwrap();
    let clients = trust.client_verifier(&provider, true).unwrap();
    for authority in [&root, &below] {
        let server = ders(authority.server(["localhost", "::1"]).unwrap().certificate_pem());
        for host in ["localhost", "::1"] {
            let name = ServerName::try_from(host).unwrap();
            servers
                .verify_server_cert(&server[0], &server[1..], &name, &[], UnixTime::now())
                .unwrap();
        }
        let client = ders(authority.client("somebody").unwrap().certificate_pem());
        clients.verify_client_cert(&client[0], &client[1..], UnixTime::now()).unwrap();
        clients.verify_client_cert(&server[0], &server[1..], UnixTime::now()).unwrap_err();
    }
}

/// Returns `true` if our own client accepts a server with this certificate as `host`.
fn is_believed(authority: &Authority, issued: &Issued, host: &str) -> bool {
    use rustls::pki_types::{ServerName, UnixTime};

    let trust = crate::Trust::roots_pem(authority.pem()).unwrap();
    let verifier = trust.server_verifier(&crate::provider::provider().unwrap(), None).unwrap();
    let chain = ders(issued.certificate_pem());
    let host = ServerName::try_from(host).unwrap();
    verifier.verify_server_cert(&chain[0], &chain[1..], &host, &[], UnixTime::now()).is_ok()
}

/// A name is either refused when a certificate is issued, or a server with it is accepted.
#[test]
fn a_name_that_no_client_would_take_is_not_issued() {
    let authority = Authority::new("CA").unwrap();
    let good =
        ["localhost", "a.example", "A.Example", "*.a.example", "a_b.example", "x--y.example"];
    for name in good {
        let issued = authority.server([name]).unwrap();
        let host = name.replace('*', "app");
        assert!(is_believed(&authority, &issued, &host), "{name}");
    }
    for name in ["*.localhost", "*.com", "*.localhost.", "*.a.example.", "localhost.", "a.example."]
    {
        let refused = authority
            .server([name])
            .map(|issued| is_believed(&authority, &issued, &name.replace('*', "app")));
        let error = refused.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let remedy =
            if name.ends_with('.') { "leave out the dot" } else { "two labels must follow" };
        assert!(error.to_string().contains(remedy), "{name}: {error}");
    }
}

#[test]
fn an_authority_stands_so_near_to_its_root_that_what_it_issues_is_believed() {
    let root = Authority::new("root").unwrap();
    let mut last = root.authority("1").unwrap();
    for number in 2..=6 {
        last = last.authority(&number.to_string()).unwrap();
    }
    assert!(is_believed(&root, &last.server(["a.example"]).unwrap(), "a.example"));
    let error = last.authority("7").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("at most 6 authorities below a root"), "{error}");
}

#[test]
fn what_is_issued_is_an_identity_whatever_its_key_is() {
    let authority = Authority::new("root").unwrap().authority("below").unwrap();
    for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Ed25519] {
        let options = Options::default().key(kind);
        let server = authority.server_with(["localhost"], options).unwrap();
        let identity = server.identity().unwrap();
        crate::TlsConfig::server(identity).build().unwrap();
        let client = authority.client_with("somebody", options).unwrap().identity().unwrap();
        crate::TlsConfig::client().identity(client).build().unwrap();
    }
}

#[test]
fn what_cannot_be_issued_says_so() {
    let authority = Authority::new("CA").unwrap();
    let none: [&str; 0] = [];
    let days = |days| authority.server_with(["localhost"], Options::default().days(days));
    let cases = [
        (authority.server(none).map(|_| ()), "expected at least one DNS name"),
        (authority.server([""]).map(|_| ()), "but \"\" is neither"),
        (authority.server(["two words"]).map(|_| ()), "but \"two words\" is neither"),
        (authority.server(["a.*.example"]).map(|_| ()), "is neither"),
        (authority.server(["grüße.example"]).map(|_| ()), "is neither"),
        (authority.client("").map(|_| ()), "expected a name, but it is empty"),
        (Authority::new("").map(|_| ()), "expected a name, but it is empty"),
        (days(0).map(|_| ()), "but `days` is 0"),
        (days(u32::MAX).map(|_| ()), "but `days` is 4294967295"),
    ];
    for (result, words) in cases {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(words), "{error}");
    }
    authority.server(["*.example.com"]).unwrap();
}

/// Ktor's case `writeToFile`; the mode of the key file takes the place of the key store's password.
#[test]
fn files_hold_what_was_issued_and_the_key_is_its_owners() {
    let folder = std::env::temp_dir();
    let [certificate, key] = ["cert", "key"]
        .map(|name| folder.join(format!("forebay-issued-{}-{name}.pem", std::process::id())));
    let server = Authority::new("CA").unwrap().server(["localhost"]).unwrap();
    std::fs::write(&key, "what was here before, and is longer than a key".repeat(100)).unwrap();
    server.write_to_files(&certificate, &key).unwrap();
    assert_eq!(std::fs::read_to_string(&certificate).unwrap(), server.certificate_pem());
    assert_eq!(std::fs::read_to_string(&key).unwrap(), server.key_pem());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    std::fs::remove_file(certificate).unwrap();
    std::fs::remove_file(key).unwrap();
    let error = server.write_to_files("/nowhere/cert.pem", "/nowhere/key.pem").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/nowhere/cert.pem"), "{error}");
}

#[test]
fn no_key_is_shown() {
    let authority = Authority::new("CA").unwrap();
    let server = authority.server(["localhost"]).unwrap();
    let own = authority.key.serialize_pem();
    let text = format!("{authority:?} {server:?} {:?}", server.identity().unwrap());
    for key in [server.key_pem(), &own] {
        let secret = key.lines().nth(1).unwrap();
        assert!(secret.len() > 40 && !text.contains(&secret[..24]), "{text}");
        let der = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let bytes = format!("{:?}", &der.secret_der()[40..48]);
        assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{text}");
    }
}
