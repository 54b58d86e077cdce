//! What is known of trusted roots.

use rustls::pki_types::TrustAnchor;
use rustls::{DistinguishedName, RootCertStore};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::chain::rsa_bits;

/// Finds a root of this name.
pub(super) fn named<'a>(
    roots: &'a RootCertStore,
    name: &X509Name<'_>,
) -> Option<&'a TrustAnchor<'static>> {
    roots.roots.iter().find(|anchor| sequence(&anchor.subject).as_ref() == name.as_raw())
}

/// The length of a root's key, if it is RSA.
pub(super) fn rsa_bits_of(anchor: &TrustAnchor<'_>) -> Option<usize> {
    let der = sequence(&anchor.subject_public_key_info);
    let (_, key) = SubjectPublicKeyInfo::from_der(der.as_ref()).ok()?;
    rsa_bits(&key)
}

/// A root's parts are kept without the header of their sequence. What puts it back is named for the
/// part that usually needs it.
fn sequence(body: &[u8]) -> DistinguishedName {
    DistinguishedName::in_sequence(body)
}
