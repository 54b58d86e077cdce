//! What is looked at before anybody judges a chain.

use std::sync::Arc;

use forebay_io::TlsFault;
use rustls::{CertificateError, OtherError};

use super::chain::{AUTHORITIES_MAX, Chain, Presented, RSA_BITS_MIN, rsa_bits};
use super::explain;
use super::judge::Refused;
use crate::notes::Refusal;
use crate::x509::Certificate;

/// Chains of up to so many certificates cannot be arranged in too many ways.
const FEW: usize = 4;

/// How many ways there may be from the peer's certificate through the others. Honest chains have
/// one or two, cross-signed ones a handful.
const WAYS_MAX: usize = 100;

impl Presented<'_> {
    /// Refuses a key that no signature of a handshake would be believed with, whoever judges.
    pub(super) fn check_key(&self) -> Result<(), Refused> {
        if let Some((certificate, _)) = Certificate::read_first(self.end_entity)
            && let Some(bits) = rsa_bits(&certificate.public_key)
            && bits < RSA_BITS_MIN
        {
            return Err(refused_here(explain::weak_key(&certificate, bits, self.role)));
        }
        Ok(())
    }

    /// Refuses a chain that is made to be searched for seconds (RUSTSEC-2023-0052). The search of
    /// `webpki` parses every certificate at each step, and gives up after 200,000 steps only. What
    /// cannot be read here cannot be counted, so it has no place among many.
    pub(super) fn check_search(&self) -> Result<(), Refused> {
        if self.intermediates.len() <= FEW {
            return Ok(());
        }
        let chain = Chain::of(self);
        let came = match chain.malformed {
            Some(index) => format!("certificate {} of the chain is malformed", index + 1),
            None if ways(&chain.certificates) > WAYS_MAX => {
                format!("came {} certificates that make many", chain.certificates.len())
            }
            None => return Ok(()),
        };
        Err(refused_here(explain::refused(
            TlsFault::InvalidCertificate,
            "a chain with few ways through it",
            came,
            format!("have the {} send only its own chain", self.role),
        )))
    }
}

/// How many times a search from the first certificate comes to another, by names.
fn ways(certificates: &[Certificate<'_>]) -> usize {
    let mut ends = vec![0_usize; certificates.len()];
    if let Some(first) = ends.first_mut() {
        *first = 1;
    }
    let mut ways = 0_usize;
    // The search does not go deeper.
    for _ in 0..AUTHORITIES_MAX {
        let mut next = vec![0_usize; certificates.len()];
        for (end, certificate) in ends.iter().zip(certificates).filter(|(end, _)| **end > 0) {
            for (index, issuer) in certificates.iter().enumerate().skip(1) {
                if issuer.subject == certificate.issuer {
                    next[index] = next[index].saturating_add(*end);
                }
            }
        }
        ways = next.iter().fold(ways, |ways, end| ways.saturating_add(*end));
        ends = next;
    }
    ways
}

/// `certificate_unknown` is the alert for what no other alert describes (RFC 8446, section 6.2).
fn refused_here(refusal: Refusal) -> Refused {
    let other = OtherError(Arc::from(Box::from(refusal.detail.as_str())));
    Refused { error: CertificateError::Other(other).into(), refusal }
}
