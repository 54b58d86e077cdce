//! The order of a chain: the key's own certificate, then its issuers.

use std::collections::HashSet;

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::pem;
use crate::text::{NAME_MAX, list};
use crate::x509::Certificate;
use forebay_io::seam::printable;

/// The largest number of subjects that a message names.
const SUBJECTS_MAX: usize = 8;

/// A problem, with the part it is about. The text contains subjects and counts, and nothing secret.
pub(super) enum Problem {
    Certificate(String),
    Key(String),
    Pair(String),
}

/// Finds the key's certificate and puts the others behind it.
pub(super) fn certified(
    mut certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Problem> {
    let mut seen = HashSet::new();
    certificates.retain(|certificate| seen.insert(certificate.clone()));
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        // rustls' own message lists the formats that it tried, which would mislead the user.
        let curves =
            if cfg!(feature = "aws-lc-rs") { "P-256, P-384 and P-521" } else { "P-256 and P-384" };
        Problem::Key(format!(
            "the private key cannot be used: it is damaged, or of a kind that is not supported; \
             supported are RSA of at least 2048 bits, ECDSA on {curves}, and Ed25519"
        ))
    })?;
    let order = {
        let parsed = parse(&certificates)?;
        // With both providers, every key has a public half. For a key without one, the first certificate
        // has to be assumed to be its own.
        let leaf = match key.public_key() {
            Some(public) => leaf(&parsed, public.as_ref())?,
            None => 0,
        };
        in_order(&parsed, leaf, &provider.signature_verification_algorithms)
    };
    let chain = order.into_iter().map(|index| certificates[index].clone()).collect();
    Ok(CertifiedKey::new(chain, key))
}

fn parse<'a>(certificates: &'a [CertificateDer<'static>]) -> Result<Vec<Certificate<'a>>, Problem> {
    let count = certificates.len();
    let parse = |(index, certificate): (usize, &'a CertificateDer<'static>)| {
        Certificate::read(certificate)
            .ok_or_else(|| Problem::Certificate(pem::malformed(index, count, certificate)))
    };
    certificates.iter().enumerate().map(parse).collect()
}

/// Finds the certificate of a public key. If there are several, such as a renewed one and its predecessor,
/// the one that is valid longest.
fn leaf(certificates: &[Certificate<'_>], public: &[u8]) -> Result<usize, Problem> {
    let own = certificates.iter().enumerate().filter(|(_, one)| one.public_key.der == public);
    let longest = own.max_by_key(|(_, one)| one.not_after);
    longest.map(|(index, _)| index).ok_or_else(|| {
        let subjects: Vec<_> = certificates
            .iter()
            .map(|one| format!("\"{}\"", printable(&one.subject.to_string(), NAME_MAX)))
            .collect();
        Problem::Pair(format!(
            "the private key does not belong to the certificate: its public half is not in that of \
             {}; take the key that the certificate was requested with",
            list(&subjects, SUBJECTS_MAX),
        ))
    })
}

/// Orders the certificates, each behind one that it issued. A certificate that issued none of the others is
/// left out: TLS 1.2 peers may refuse a chain with an unrelated certificate (RFC 5246, section 7.4.2).
fn in_order(
    certificates: &[Certificate<'_>],
    leaf: usize,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Vec<usize> {
    let mut order = vec![leaf];
    let mut at = 0;
    while let Some(issued) = order.get(at).and_then(|index| certificates.get(*index)) {
        let others = certificates.iter().enumerate().filter(|(index, _)| !order.contains(index));
        let named: Vec<_> = others.filter(|(_, one)| may_be_issuer(one, issued)).collect();
        let signed = |one: &Certificate<'_>| has_signed(one, issued, algorithms);
        // The provider may not support this kind of signature. Then the names decide.
        let is_known = named.len() > 1 && named.iter().any(|(_, one)| signed(one));
        let issuers = named.into_iter().filter(|(_, one)| !is_known || signed(one));
        order.extend(issuers.map(|(index, _)| index).collect::<Vec<_>>());
        at += 1;
    }
    order
}

/// Compares the names, and the key identifiers if both have one (RFC 5280, section 4.2.1.1), because a
/// renewed authority keeps its name.
fn may_be_issuer(authority: &Certificate<'_>, issued: &Certificate<'_>) -> bool {
    let names_match = authority.subject == issued.issuer;
    let keys_match = match (issued.authority_key(), authority.subject_key()) {
        (Some(wanted), Some(has)) => wanted == has,
        _ => true,
    };
    names_match && keys_match
}

/// Returns `true` if the signature is made with this authority's key. Each algorithm accepts only its own
/// kind of key and signature, so all of them can be tried.
fn has_signed(
    authority: &Certificate<'_>,
    issued: &Certificate<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let (key, text, signature) = (authority.public_key.bits, issued.signed, issued.signature);
    algorithms.all.iter().any(|one| one.verify_signature(key, text, signature).is_ok())
}
