//! What a peer presents, as far as it can be read.

use std::fmt;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_PKCS1_RSAENCRYPTION;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A peer's chain, in which capacity it is sent, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) end_entity: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) role: Role<'a>,
    pub(super) ocsp_response: &'a [u8],
    pub(super) now: UnixTime,
}

/// Who is presented.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role<'a> {
    /// The server that was connected to by this name.
    Server(&'a ServerName<'a>),
    /// A server, where the name is not at hand.
    SomeServer,
    /// A client.
    Client,
}

impl fmt::Display for Role<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) | Self::SomeServer => "server",
            Self::Client => "client",
        })
    }
}

/// RSA keys shorter than this are broken too cheaply (NIST SP 800-57, part 1, table 2).
pub(super) const RSA_BITS_MIN: usize = 2048;

/// So many authorities may stand between a peer's certificate and a root: what `webpki` follows.
pub(crate) const AUTHORITIES_MAX: usize = 6;

impl<'a> Presented<'a> {
    /// Every certificate, the peer's own first.
    pub(super) fn ders(&self) -> impl Iterator<Item = &'a CertificateDer<'a>> + use<'a> {
        std::iter::once(self.end_entity).chain(self.intermediates)
    }
}

/// The certificates of a chain that can be read.
pub(super) struct Chain<'a> {
    /// In the order they came; the first is the peer's own, unless it is the malformed one.
    pub(super) certificates: Vec<X509Certificate<'a>>,
    /// The place of the first that cannot be read.
    pub(super) malformed: Option<usize>,
}

impl<'a> Chain<'a> {
    pub(super) fn of(presented: &Presented<'a>) -> Self {
        let mut chain = Self { certificates: Vec::new(), malformed: None };
        for (index, der) in presented.ders().enumerate() {
            match X509Certificate::from_der(der) {
                Ok(([], certificate)) => chain.certificates.push(certificate),
                _ => chain.malformed = chain.malformed.or(Some(index)),
            }
        }
        chain
    }

    /// Follows the issuers by name from the peer's certificate, as far as they were sent.
    pub(super) fn path(&self) -> Vec<&X509Certificate<'a>> {
        let mut left: Vec<&X509Certificate<'a>> = self.certificates.iter().collect();
        if left.is_empty() {
            return Vec::new();
        }
        let mut path = vec![left.remove(0)];
        while let Some(last) = path.last()
            && !is_self_issued(last)
            && let Some(next) =
                left.iter().position(|c| c.subject().as_raw() == last.issuer().as_raw())
        {
            path.push(left.remove(next));
        }
        path
    }
}

/// Whether a certificate is its own issuer, as far as can be told without its key: an authority and
/// its server may both be called `localhost`, and then the identifiers of their keys differ (RFC
/// 5280, sections 4.2.1.1 and 4.2.1.2).
pub(super) fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    let (mut own, mut issuers) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(key) => own = Some(key),
            ParsedExtension::AuthorityKeyIdentifier(key) => issuers = key.key_identifier.as_ref(),
            _ => {}
        }
    }
    certificate.subject().as_raw() == certificate.issuer().as_raw()
        && (issuers.is_none() || issuers == own)
}

/// The length of an RSA key as cryptographers and providers count it: whole bytes.
pub(super) fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    if key.algorithm.algorithm != OID_PKCS1_RSAENCRYPTION {
        return None;
    }
    let Ok(PublicKey::RSA(key)) = key.parsed() else { return None };
    let zeroes = key.modulus.iter().take_while(|byte| **byte == 0).count();
    Some((key.modulus.len() - zeroes) * 8)
}
