//! Peers that are authenticated by their keys.

use forebay_io::TlsFault;
use rcgen::{KeyPair, PublicKeyData, date_time_ymd};
use rustls::pki_types::CertificateDer;

use super::{Authority, ask, ask_client, provider, refused};
use crate::Trust;

const HOST: &str = "www.example.com";

/// Returns the pin of a key, read from the message of a refusal.
fn pin_of(certificate: &CertificateDer<'_>) -> String {
    let error = ask(&Trust::pinned([[0; 32]]).unwrap(), HOST, std::slice::from_ref(certificate))
        .unwrap_err();
    let text = error.to_string();
    let at = text.find("sha256//").unwrap();
    text[at..at + 52].to_owned()
}

#[test]
fn the_pin_of_a_key_is_the_digest_of_its_public_half() {
    let (root, key) = (Authority::new("the root"), KeyPair::generate().unwrap());
    let digest = provider()
        .cipher_suites
        .iter()
        .filter_map(rustls::SupportedCipherSuite::tls13)
        .map(|suite| suite.common.hash_provider)
        .find(|hash| hash.output_len() == 32)
        .unwrap()
        .hash(&key.subject_public_key_info());
    let digest = <[u8; 32]>::try_from(digest.as_ref()).unwrap();
    ask(&Trust::pinned([digest]).unwrap(), HOST, &[root.leaf_for(&key, &[HOST], |_| {})]).unwrap();
}

#[test]
fn a_pinned_key_is_believed_whatever_its_certificate_says() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&["elsewhere.example"], |params| {
        params.not_after = date_time_ymd(2029, 2, 1);
    });
    let trust = Trust::pinned([pin_of(&leaf)]).unwrap();
    ask(&trust, HOST, std::slice::from_ref(&leaf)).unwrap();
    ask_client(&trust, &[leaf]).unwrap();
}

#[test]
fn a_renewed_certificate_of_a_pinned_key_is_believed() {
    let (root, key) = (Authority::new("the root"), KeyPair::generate().unwrap());
    let old = root.leaf_for(&key, &[HOST], |_| {});
    let new = root.leaf_for(&key, &[HOST], |params| params.not_after = date_time_ymd(2040, 1, 1));
    assert_ne!(old, new);
    let other = root.leaf(&[HOST]);
    let trust = Trust::pinned([pin_of(&other), pin_of(&old)]).unwrap();
    ask(&trust, HOST, &[new]).unwrap();
    ask(&trust, HOST, &[other]).unwrap();
}

#[test]
fn garbage_is_not_a_pinned_key() {
    refused(
        ask(&Trust::pinned([[7; 32]]).unwrap(), HOST, &[vec![0; 40].into()]),
        TlsFault::InvalidCertificate,
        "a valid chain",
        "certificate 1 of the chain is malformed",
        "issued anew",
    );
}

/// A certificate that does not parse is refused for that, and not for its pin.
#[test]
fn a_pinned_key_in_a_certificate_that_contradicts_itself_is_refused() {
    let (root, key) = (Authority::new("the root"), KeyPair::generate().unwrap());
    let good = root.leaf_for(&key, &[HOST], |_| {});
    let bad = root.leaf_for(&key, &[HOST], |params| {
        let usage = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 1, 6]);
        params.custom_extensions.extend([usage.clone(), usage]);
    });
    let trust = Trust::pinned([pin_of(&good)]).unwrap();
    ask(&trust, HOST, &[good]).unwrap();
    let error = ask(&trust, HOST, &[bad]).unwrap_err();
    assert_eq!(error.tls_fault(), Some(TlsFault::InvalidCertificate), "{error}");
}
