//! Certificates that are not issued any more, with the commands that made them.

use forebay_io::TlsFault;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{accept_any, ask, refused};
use crate::Trust;

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("../../../tests/data/", $name))
    };
}

const HOST: &str = "weak.example";

fn trust(root: &str) -> Trust {
    Trust::roots_pem(root).unwrap()
}

fn leaf(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A certificate without a fault, so that the others are refused for theirs.
#[test]
fn rsa_of_2048_bits_is_believed() {
    ask(&trust(data!("rsa-root.pem")), HOST, &[leaf(data!("good-leaf.pem"))]).unwrap();
}

/// Computed by the command in the documentation of `Trust::pinned`: OpenSSL's pin of a key equals ours.
#[test]
fn the_pin_that_openssl_computes_is_believed() {
    let pin = "wefmbo8n8Ic/rCIoPsLnE2nJ6NOWZrX9uTUUuwReQRM=";
    ask(&Trust::pinned([pin]).unwrap(), HOST, &[leaf(data!("good-leaf.pem"))]).unwrap();
}

/// Made as `openssl req -x509` makes it, with identifiers of both keys, which are the same.
#[test]
fn a_root_of_openssls_making_as_a_server() {
    refused(
        ask(&trust(data!("ed448-root.pem")), HOST, &[leaf(data!("rsa-root.pem"))]),
        TlsFault::SelfSigned,
        "a certificate that a trusted root vouches for",
        "CN=rsa-root was issued by itself",
        "Trust::roots_pem",
    );
}

#[test]
fn a_signature_with_sha_1() {
    refused(
        ask(&trust(data!("rsa-root.pem")), HOST, &[leaf(data!("sha1-leaf.pem"))]),
        TlsFault::WeakSignature,
        "signatures with SHA-256 or better",
        "CN=sha1-leaf is signed with SHA-1 and RSA",
        "issued anew",
    );
}

#[test]
fn a_signature_with_md5() {
    refused(
        ask(&trust(data!("rsa-root.pem")), HOST, &[leaf(data!("md5-leaf.pem"))]),
        TlsFault::WeakSignature,
        "SHA-256",
        "CN=md5-leaf is signed with MD5 and RSA",
        "issued anew",
    );
}

#[test]
fn a_key_of_1024_bits() {
    refused(
        ask(&trust(data!("rsa-root.pem")), HOST, &[leaf(data!("rsa1024-leaf.pem"))]),
        TlsFault::WeakKey,
        "RSA keys of at least 2048 bits",
        "CN=rsa1024-leaf has 1024",
        "issued anew, with larger keys",
    );
}

#[test]
fn a_key_of_1024_bits_is_too_weak_even_where_everybody_is_accepted() {
    let leaf = leaf(data!("rsa1024-leaf.pem"));
    let error = ask(&accept_any(), HOST, &[leaf]).unwrap_err();
    assert_eq!(error.tls_fault(), Some(TlsFault::WeakKey));
}

#[test]
fn a_root_of_1024_bits() {
    refused(
        ask(&trust(data!("rsa1024-root.pem")), HOST, &[leaf(data!("under-rsa1024-leaf.pem"))]),
        TlsFault::WeakKey,
        "at least 2048 bits",
        "that of the root CN=rsa1024-root has 1024",
        "trust a root with a larger key",
    );
}

#[test]
fn a_root_of_1024_bits_that_was_sent() {
    let chain = [leaf(data!("under-rsa1024-leaf.pem")), leaf(data!("rsa1024-root.pem"))];
    refused(
        ask(&trust(data!("rsa1024-root.pem")), HOST, &chain),
        TlsFault::WeakKey,
        "at least 2048 bits",
        "CN=rsa1024-root has 1024",
        "larger keys",
    );
}

#[test]
fn a_certificate_of_version_1() {
    refused(
        ask(&trust(data!("rsa-root.pem")), HOST, &[leaf(data!("version1-leaf.pem"))]),
        TlsFault::InvalidCertificate,
        "a valid chain",
        "one is not of X.509 version 3",
        "issued anew",
    );
}

#[test]
fn a_signature_that_the_provider_does_not_know() {
    refused(
        ask(&trust(data!("ed448-root.pem")), HOST, &[leaf(data!("ed448-leaf.pem"))]),
        TlsFault::UnsupportedAlgorithm,
        "signatures that the provider can check",
        "CN=ed448-leaf with algorithm 1.3.101.113",
        "issued with ECDSA P-256 or RSA",
    );
}
