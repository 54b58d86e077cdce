//! Facts about trusted roots.

use rustls::pki_types::TrustAnchor;
use rustls::{DistinguishedName, RootCertStore};

use super::chain::rsa_bits;
use crate::x509::{Name, PublicKey};

/// Finds a root with this name.
pub(super) fn named<'a>(
    roots: &'a RootCertStore,
    name: Name<'_>,
) -> Option<&'a TrustAnchor<'static>> {
    roots.roots.iter().find(|anchor| sequence(&anchor.subject).as_ref() == name.der())
}

/// Returns the length of a root's key in bits, if it is RSA.
pub(super) fn rsa_bits_of(anchor: &TrustAnchor<'_>) -> Option<usize> {
    let der = sequence(&anchor.subject_public_key_info);
    rsa_bits(&PublicKey::read(der.as_ref())?)
}

/// Puts back the header of a sequence, without which the parts of a root are kept. rustls' function for
/// this is named after the part that usually needs it.
fn sequence(body: &[u8]) -> DistinguishedName {
    DistinguishedName::in_sequence(body)
}
