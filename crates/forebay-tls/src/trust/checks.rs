//! Checks that come before a [`Judge`](super::judge::Judge) decides about a chain.

use std::sync::Arc;

use forebay_io::TlsFault;
use rustls::{CertificateError, OtherError};

use super::chain::{AUTHORITIES_MAX, Chain, Presented, RSA_BITS_MIN, rsa_bits};
use super::explain;
use super::judge::Refused;
use crate::callback_facts::Refusal;
use crate::x509::Certificate;

/// Up to this many certificates, a chain cannot have too many paths.
const FEW: usize = 4;

/// The largest number of paths from the peer's certificate through the others. Honest chains have one or
/// two, cross-signed ones a few.
const WAYS_MAX: usize = 100;

impl Presented<'_> {
    /// Refuses a key that no signature of a handshake would be accepted with, whatever decides about the
    /// peer.
    pub(super) fn check_key(&self) -> Result<(), Refused> {
        if let Some((certificate, _)) = Certificate::read_first(self.end_entity)
            && let Some(bits) = rsa_bits(&certificate.public_key)
            && bits < RSA_BITS_MIN
        {
            return Err(refused_here(explain::weak_key(&certificate, bits, self.role)));
        }
        Ok(())
    }

    /// Refuses a chain that is built to make the search for a path take seconds (RUSTSEC-2023-0052). The
    /// search of `webpki` parses every certificate at each step, and gives up only after 200,000 steps. A
    /// certificate that cannot be parsed here cannot be counted, so a chain of many certificates must not
    /// have one.
    pub(super) fn check_search(&self) -> Result<(), Refused> {
        if self.intermediates.len() <= FEW {
            return Ok(());
        }
        let chain = Chain::of(self);
        let came = match chain.malformed {
            Some(index) => format!("certificate {} of the chain is malformed", index + 1),
            None if ways(&chain.certificates) > WAYS_MAX => {
                format!("received {} certificates with too many", chain.certificates.len())
            }
            None => return Ok(()),
        };
        Err(refused_here(explain::refused(
            TlsFault::InvalidCertificate,
            "a chain with few possible paths",
            came,
            format!("have the {} send only its own chain", self.role),
        )))
    }
}

/// Counts how often a search from the first certificate reaches another one, by names.
fn ways(certificates: &[Certificate<'_>]) -> usize {
    let mut ends = vec![0_usize; certificates.len()];
    if let Some(first) = ends.first_mut() {
        *first = 1;
    }
    let mut ways = 0_usize;
    // The search of `webpki` does not go deeper.
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

/// Makes a refusal. Its alert is `certificate_unknown`, for reasons that no other alert describes (RFC
/// 8446, section 6.2).
fn refused_here(refusal: Refusal) -> Refused {
    let other = OtherError(Arc::from(Box::from(refusal.detail.as_str())));
    Refused { error: CertificateError::Other(other).into(), refusal }
}
