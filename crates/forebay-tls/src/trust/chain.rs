//! The chain that a peer presents, as far as it can be parsed.

use std::fmt;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::x509::{Certificate, PublicKey};

/// A peer's chain, the role in which the peer sent it, and the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) end_entity: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) role: Role<'a>,
    pub(super) ocsp_response: &'a [u8],
    pub(super) now: UnixTime,
}

/// The role of the peer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role<'a> {
    /// The server that was connected to by this name.
    Server(&'a ServerName<'a>),
    /// A server, where its name is not known.
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

/// The number of authorities that may stand between a peer's certificate and a root, which is the limit of
/// `webpki`.
pub(crate) const AUTHORITIES_MAX: usize = 6;

impl<'a> Presented<'a> {
    /// Returns all certificates, the peer's own first.
    pub(super) fn ders(&self) -> impl Iterator<Item = &'a CertificateDer<'a>> + use<'a> {
        std::iter::once(self.end_entity).chain(self.intermediates)
    }
}

/// The certificates of a chain that can be parsed.
pub(super) struct Chain<'a> {
    /// In the order in which they were sent. The first is the peer's own, unless that is the malformed one.
    pub(super) certificates: Vec<Certificate<'a>>,
    /// The index of the first certificate that cannot be parsed.
    pub(super) malformed: Option<usize>,
}

impl<'a> Chain<'a> {
    pub(super) fn of(presented: &Presented<'a>) -> Self {
        let mut chain = Self { certificates: Vec::new(), malformed: None };
        for (index, der) in presented.ders().enumerate() {
            match Certificate::read(der) {
                Some(certificate) => chain.certificates.push(certificate),
                None => chain.malformed = chain.malformed.or(Some(index)),
            }
        }
        chain
    }

    /// Follows the issuers by name, from the peer's certificate as far as they were sent.
    pub(super) fn path(&self) -> Vec<&Certificate<'a>> {
        let mut left: Vec<&Certificate<'a>> = self.certificates.iter().collect();
        if left.is_empty() {
            return Vec::new();
        }
        let mut path = vec![left.remove(0)];
        while let Some(last) = path.last()
            && !is_self_issued(last)
            && let Some(next) = left.iter().position(|c| c.subject == last.issuer)
        {
            path.push(left.remove(next));
        }
        path
    }
}

/// Returns `true` if a certificate is its own issuer, as far as this can be known without checking its
/// signature. An authority and its server may both be called `localhost`; then the identifiers of their
/// keys differ (RFC 5280, sections 4.2.1.1 and 4.2.1.2).
pub(super) fn is_self_issued(certificate: &Certificate<'_>) -> bool {
    let issuers = certificate.authority_key();
    certificate.subject == certificate.issuer
        && (issuers.is_none() || issuers == certificate.subject_key())
}

/// Returns the length of an RSA key in bits, in whole bytes as providers count it.
pub(super) fn rsa_bits(key: &PublicKey<'_>) -> Option<usize> {
    Some(key.rsa_modulus()?.len() * 8)
}
