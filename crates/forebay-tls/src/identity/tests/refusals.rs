use forebay_io::ErrorKind;
use rcgen::{
    CertificateParams, CertificateRevocationList, CertificateRevocationListParams, KeyIdMethod,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use crate::Identity;
use crate::samples::{Authority, Directory, Issued, assert_hides};

const PASSWORD: &str = "planted-password-4711";

fn leaf() -> Issued {
    Authority::new("root").issue(&["localhost"])
}

/// An empty revocation list.
fn nobody_revoked() -> CertificateRevocationList {
    let root = Authority::root_with("root", |params| {
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
    });
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2036, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&root.issuer()).unwrap()
}

/// Checks that a text, as both files and alone, is refused with these words and the path, and that nothing
/// of the key is shown.
#[track_caller]
fn assert_refused(content: impl AsRef<[u8]>, key_pem: &str, says: &[&str]) {
    let directory = Directory::new();
    let path = directory.write("identity.pem", &content);
    let of_file = Identity::from_pem_files(&path, &path).unwrap_err();
    let of_text = Identity::from_pem(&content).unwrap_err();
    assert_eq!(of_file.address(), path.to_str());
    assert!(of_file.to_string().contains(path.to_str().unwrap()), "{of_file}");
    for error in [of_file, of_text] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let message = error.to_string();
        for words in says {
            assert!(message.contains(words), "{message}\nlacks {words}");
        }
        assert_hides(&format!("{message}{error:?}"), key_pem);
        assert!(!format!("{message}{error:?}").contains(PASSWORD), "{message}");
    }
}

#[test]
fn an_empty_file_says_so() {
    let key = leaf().key_pem;
    assert_refused("", &key, &["not PEM but empty", "written completely"]);
    assert_refused(" \n\n", &key, &["not PEM but blank"]);
}

#[test]
fn a_file_without_a_certificate_says_what_it_has() {
    let leaf = leaf();
    assert_refused(
        &leaf.key_pem,
        &leaf.key_pem,
        &["no certificate in it", "only 1 private key", "-----BEGIN CERTIFICATE-----"],
    );
}

#[test]
fn a_file_without_a_key_says_what_it_has() {
    let leaf = leaf();
    let content = format!("{0}{0}", leaf.pem);
    assert_refused(
        content,
        &leaf.key_pem,
        &["no private key in it", "only 2 certificates", "-----BEGIN PRIVATE KEY-----"],
    );
}

#[test]
fn two_keys_are_one_too_many() {
    let leaf = leaf();
    let content = format!("{}{}", leaf.both(), KeyPair::generate().unwrap().serialize_pem());
    assert_refused(content, &leaf.key_pem, &["2 private keys in it", "leave the others out"]);
}

#[test]
fn a_key_of_another_certificate_says_whose_certificate_it_is() {
    let leaf = leaf();
    let other = KeyPair::generate().unwrap().serialize_pem();
    let content = format!("{}{other}", leaf.pem);
    assert_refused(
        content,
        &other,
        &["does not belong to the certificate", "CN=the leaf", "requested with"],
    );
}

#[test]
fn an_encrypted_key_says_so() {
    let leaf = leaf();
    let pkcs8 = leaf.key_pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let pkcs1 = leaf.key_pem.replace("PRIVATE KEY", "RSA PRIVATE KEY").replacen(
        "-----\n",
        &format!("-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{PASSWORD}\n\n"),
        1,
    );
    for key in [pkcs8, pkcs1] {
        let says = ["the private key is encrypted", "password", "openssl pkey -in FILE -out NEW"];
        assert_refused(format!("{}{key}", leaf.pem), &leaf.key_pem, &says);
        assert_refused(format!("{key}{}", leaf.pem), &leaf.key_pem, &says);
        let two = format!("{}{key}{}", leaf.pem, leaf.key_pem);
        assert_refused(two, &leaf.key_pem, &["2 private keys", "some of them encrypted"]);
    }
}

#[test]
fn a_file_of_another_kind_says_which() {
    let leaf = leaf();
    let key = KeyPair::from_pem(&leaf.key_pem).unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap();
    let pkcs12 = [&[0x30, 0x82, 0x04, 0x00, 0x02, 0x01, 0x03, 0x30][..], PASSWORD.as_bytes()];
    let revoked = nobody_revoked();
    let cases: [(&[u8], &str, &str); 10] = [
        (&pkcs12.concat(), "not PEM but a PKCS#12 store", "openssl pkcs12 -in FILE"),
        (&leaf.der, "not PEM but a certificate in DER", "openssl x509 -inform der"),
        (&leaf.key_der, "not PEM but a private key in DER", "openssl pkey -inform der"),
        (b"\xfe\xed\xfe\xed\0\0\0\x02", "not PEM but a key store of Java", "keytool"),
        (b"\xff\xfe-\0-\0", "not PEM but text in UTF-16", "save it as"),
        (b"ssh-ed25519 AAAAC3Nz me", "a public key of OpenSSH", "take the certificate"),
        (b"#!/bin/sh\n", "not PEM but something else", "-----BEGIN ...-----"),
        (request.der(), "a certificate request in DER", "when an authority signs it"),
        (revoked.der(), "a revocation list in DER", "leave the list out"),
        (b"  -----BEGIN CERTIFICATE-----\n", "stand at the beginning of a line", "take out"),
    ];
    for (content, what, advice) in cases {
        assert_refused(content, &leaf.key_pem, &[what, advice]);
    }
}

#[test]
fn sections_of_another_kind_are_named() {
    let leaf = leaf();
    let key = KeyPair::from_pem(&leaf.key_pem).unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let openssh = leaf.key_pem.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY");
    let trusted = leaf.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
    let cases = [
        (format!("{}{}", leaf.pem, key.public_key_pem()), "a section \"PUBLIC KEY\"", "public key"),
        (
            format!("{}{}", leaf.key_pem, nobody_revoked().pem().unwrap()),
            "X509 CRL",
            "leave the list",
        ),
        (format!("{request}{}", leaf.key_pem), "\"CERTIFICATE REQUEST\"", "an authority signs it"),
        (format!("{}{openssh}", leaf.pem), "\"OPENSSH PRIVATE KEY\"", "ssh-keygen -p -m PKCS8"),
        (format!("{trusted}{}", leaf.key_pem), "\"TRUSTED CERTIFICATE\"", "openssl x509 -in FILE"),
    ];
    for (content, what, advice) in cases {
        assert_refused(content, &leaf.key_pem, &[what, advice]);
    }
    // A malformed label could be any text.
    let strange = format!("-----BEGIN {PASSWORD}-----\n-----END {PASSWORD}-----\n{}", leaf.pem);
    assert_refused(strange, &leaf.key_pem, &["a section \"of an unknown kind\""]);
}

#[test]
fn damage_is_told_of_its_section() {
    let leaf = leaf();
    let (head, _) = leaf.key_pem.split_at(leaf.key_pem.len() / 2);
    let cut = format!("{}{head}", leaf.pem);
    assert_refused(cut, &leaf.key_pem, &["\"PRIVATE KEY\" is damaged", "cut off", "copy it anew"]);
    let no_base64 = leaf.both().replacen("-----\nMII", "-----\n%%%", 1);
    assert_refused(no_base64, &leaf.key_pem, &["\"CERTIFICATE\" is damaged", "not base64"]);
    let no_hyphens = leaf.both().replacen("CERTIFICATE-----", "CERTIFICATE---", 1);
    assert_refused(no_hyphens, &leaf.key_pem, &["\"CERTIFICATE\" is damaged", "five hyphens"]);
}

#[test]
fn what_does_not_parse_is_told_by_its_number() {
    let leaf = leaf();
    let second = leaf.key_pem.replace("PRIVATE KEY", "CERTIFICATE");
    let content = format!("{}{second}{}", leaf.pem, leaf.key_pem);
    assert_refused(
        content,
        &leaf.key_pem,
        &["certificate 2 of 2 is a private key in DER", "leave it out"],
    );
    let bad_key = leaf.pem.replace("CERTIFICATE", "PRIVATE KEY");
    let content = format!("{}{bad_key}", leaf.pem);
    let curves = if cfg!(feature = "aws-lc-rs") { "P-256, P-384 and P-521," } else { "P-384," };
    assert_refused(content, &leaf.key_pem, &["private key cannot be used", "2048 bits", curves]);
}

#[test]
fn der_says_what_it_was_given_instead() {
    let leaf = leaf();
    let none: [Vec<u8>; 0] = [];
    let other = KeyPair::generate().unwrap().serialize_der();
    let cases = [
        (Identity::from_der(none, leaf.key_der.clone()), "no certificate in the chain"),
        (Identity::from_der([leaf.der.clone()], leaf.der.clone()), "but a certificate in DER"),
        (Identity::from_der([leaf.der.clone()], leaf.key_pem.clone()), "but PEM"),
        (Identity::from_der([leaf.der.clone()], Vec::new()), "but empty"),
        (Identity::from_der([leaf.pem.clone()], leaf.key_der.clone()), "certificate 1 of 1 is PEM"),
        (Identity::from_der([leaf.der.clone()], other), "CN=the leaf"),
    ];
    for (result, words) in cases {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(words), "{error}\nlacks {words}");
        assert_hides(&format!("{error}{error:?}"), &leaf.key_pem);
    }
}
