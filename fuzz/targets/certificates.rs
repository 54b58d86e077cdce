//! The reader of certificates in forebay-tls beside `x509-parser`: it never panics, and the fields that both
//! read are the same.
//!
//! An input is applied to a certificate that was made before: pairs of a place and a byte that is set there.
//! `cargo +nightly fuzz run certificates --sanitizer none`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use x509_parser::prelude::{FromDer, X509Certificate};

use x509::{Certificate, PublicKey, is_request, is_revocation_list};

// The reader is private to its crate, so its source is included, as `models/` includes what it models.
#[allow(dead_code, unused_imports, reason = "its users are in forebay-tls")]
#[path = "../../crates/forebay-tls/src/x509/mod.rs"]
mod x509;

/// One certificate of an authority and one of a server.
static CERTIFICATES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let names = ["a.example".to_owned(), "192.0.2.1".to_owned()];
    let mut leaf = CertificateParams::new(names).expect("names");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    [root, leaf].map(|params| {
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    })
});

fuzz_target!(|input: &[u8]| {
    let Some((first, changes)) = input.split_first() else { return };
    let mut der = CERTIFICATES[usize::from(*first) % CERTIFICATES.len()].clone();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % der.len();
        der[at] = change[2];
    }
    look(&der);
    look(changes);
});

fn look(der: &[u8]) {
    let _: [bool; 3] = [is_request(der), is_revocation_list(der), PublicKey::read(der).is_some()];
    let Some((own, _)) = Certificate::read_first(der) else { return };
    drop((own.subject.to_string(), own.issuer.to_string(), own.public_key.rsa_modulus()));
    drop((own.alternative_names(), own.purposes(), own.name_constraints()));
    let _: bool = own.subject_key() == own.authority_key();
    let Ok((_, other)) = X509Certificate::from_der(der) else { return };
    assert_eq!(own.signed, other.tbs_certificate.as_ref());
    assert_eq!(own.signature, &*other.signature_value.data);
    assert_eq!(own.signature_algorithm, other.signature_algorithm.algorithm.as_bytes());
    assert_eq!(own.serial(), other.raw_serial_as_string());
    assert_eq!(own.public_key.bits, &*other.public_key().subject_public_key.data);
    assert_eq!(own.extensions.len(), other.extensions().len());
    // The other one leaves the part of a sequence that it does not understand out of these bytes.
    assert!(own.subject.der().starts_with(other.subject().as_raw()));
    assert!(own.issuer.der().starts_with(other.issuer().as_raw()));
    assert!(own.public_key.der.starts_with(other.public_key().raw));
    // `webpki`, too, takes no byte for true but the one of DER (X.690, section 11.1).
    assert!(other.is_ca() || !own.is_ca());
}
