//! Roots from files that are not what they should be (row S10): the path is named, the content not.

use std::path::PathBuf;

use forebay_io::ErrorKind;
use rcgen::KeyPair;

use super::{Authority, pem};
use crate::Trust;

/// A file that is gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let folder = std::env::temp_dir();
        let path = folder.join(format!("forebay-trust-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The system clears its folder of temporary files, should this fail.
        std::fs::remove_file(&self.0).unwrap_or_default();
    }
}

#[test]
fn s10_a_good_file_is_read() {
    let file = Scratch::new("good.pem", pem(&Authority::new("the root").der));
    let trust = Trust::roots_pem_file(&file.0).unwrap();
    assert_eq!(format!("{trust:?}"), "Trust::roots(1 roots)");
    let trust = Trust::system_plus_pem_file(&file.0).unwrap();
    assert!(trust.needs_loading());
}

#[test]
fn s10_a_bad_file_is_named_and_what_it_is_instead() {
    let good = pem(&Authority::new("the root").der);
    let key = KeyPair::generate().unwrap().serialize_pem();
    let broken = good.replace("MII", "M*I");
    let other = pem(b"not a certificate");
    let der = Authority::new("the root").der.to_vec();
    let request = good.replace(" CERTIFICATE-", " CERTIFICATE REQUEST-");
    let trusted = good.replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-");
    let cases: [(&str, &[u8], &str); 10] = [
        ("empty", b"", "there is nothing"),
        ("blank", b" \n\n", "there is nothing"),
        ("key", key.as_bytes(), "there is only a private key"),
        ("text", b"hello", "it is not PEM"),
        ("der", &der, "it looks like DER; `openssl x509 -inform der"),
        ("cut", &good.as_bytes()[..good.len() / 2], "the last section has no end"),
        ("broken", broken.as_bytes(), "a section is malformed"),
        ("other", other.as_bytes(), "certificate 1 is malformed"),
        ("request", request.as_bytes(), "there is only a request"),
        ("trusted", trusted.as_bytes(), "there is OpenSSL's own format"),
    ];
    for (name, content, came) in cases {
        let file = Scratch::new(name, content);
        let error = Trust::roots_pem_file(&file.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        let text = error.to_string();
        assert!(text.contains(&file.0.display().to_string()), "{text}");
        assert!(text.contains("expected certificates in PEM"), "{text}");
        assert!(text.contains(came), "{name}: {text}");
    }
}

#[test]
fn s10_a_missing_file_is_named() {
    let error = Trust::roots_pem_file("/nowhere/roots.pem").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/nowhere/roots.pem"), "{error}");
}

#[test]
fn s10_a_file_without_end_is_not_read_for_ever() {
    if !std::path::Path::new("/dev/zero").exists() {
        return;
    }
    let error = Trust::roots_pem_file("/dev/zero").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("/dev/zero"), "{error}");
    assert!(error.to_string().contains("a file of at most 16777216 bytes"), "{error}");
}

#[test]
fn s12_a_file_with_a_key_is_not_quoted() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let secret = key.lines().nth(1).unwrap().to_owned();
    for content in [key.clone(), key.replace("-----END", "--END"), key.replace("MIG", "M!G")] {
        let file = Scratch::new("secret", content);
        let error = Trust::roots_pem_file(&file.0).unwrap_err();
        for text in [format!("{error}"), format!("{error:?}")] {
            assert!(!text.contains(&secret[..16]), "{text}");
        }
    }
}
