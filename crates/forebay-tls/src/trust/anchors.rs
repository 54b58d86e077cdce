//! What is known of trusted roots.

use rustls::pki_types::TrustAnchor;
use rustls::{DistinguishedName, RootCertStore};

use super::chain::rsa_bits;
use crate::x509::{Name, PublicKey};

/// Finds a root of this name.
pub(super) fn named<'a>(
    roots: &'a RootCertStore,
    name: Name<'_>,
) -> Option<&'a TrustAnchor<'static>> {
    roots.roots.iter().find(|anchor| sequence(&anchor.subject).as_ref() == name.der())
}

/// The length of a root's key, if it is RSA.
pub(super) fn rsa_bits_of(anchor: &TrustAnchor<'_>) -> Option<usize> {
    let der = sequence(&anchor.subject_public_key_info);
    rsa_bits(&PublicKey::read(der.as_ref())?)
}

/// A root's parts are kept without the header of their sequence. What puts it back is named for the
/// part that usually needs it.
fn sequence(body: &[u8]) -> DistinguishedName {
    DistinguishedName::in_sequence(body)
}
