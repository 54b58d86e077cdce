//! A key, its certificate, and those who vouch for that, in order.

use std::collections::HashSet;

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::pem;
use crate::text::{NAME_MAX, clean, list};
use crate::x509::Certificate;

/// Subjects in a message.
const SUBJECTS_MAX: usize = 8;

/// What is wrong, and with what. The text holds subjects and counts, nothing secret.
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
        // rustls' own words are about the formats it tried, and would send a person astray.
        let curves =
            if cfg!(feature = "aws-lc-rs") { "P-256, P-384 and P-521" } else { "P-256 and P-384" };
        Problem::Key(format!(
            "the private key cannot be used: it is damaged, or of a kind that is not supported; \
             supported are RSA of at least 2048 bits, ECDSA on {curves}, and Ed25519"
        ))
    })?;
    let order = {
        let parsed = parse(&certificates)?;
        // Every key of both providers tells its public half. One that did not could only be
        // believed to be the first certificate's.
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

/// The certificate of a public key: the one that is valid longest, where a renewed one stands
/// beside its predecessor.
fn leaf(certificates: &[Certificate<'_>], public: &[u8]) -> Result<usize, Problem> {
    let own = certificates.iter().enumerate().filter(|(_, one)| one.public_key.der == public);
    let longest = own.max_by_key(|(_, one)| one.not_after);
    longest.map(|(index, _)| index).ok_or_else(|| {
        let subjects: Vec<_> = certificates
            .iter()
            .map(|one| format!("\"{}\"", clean(&one.subject.to_string(), NAME_MAX)))
            .collect();
        Problem::Pair(format!(
            "the private key does not belong to the certificate: its public half is not in that of \
             {}; take the key that the certificate was requested with",
            list(&subjects, SUBJECTS_MAX),
        ))
    })
}

/// Each behind one that it issued. What issued none of them is left out: TLS 1.2 peers may refuse
/// a chain with a stranger in it (RFC 5246, section 7.4.2).
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
        // The provider may not know the kind of signature. Then a name has to do.
        let is_known = named.len() > 1 && named.iter().any(|(_, one)| signed(one));
        let issuers = named.into_iter().filter(|(_, one)| !is_known || signed(one));
        order.extend(issuers.map(|(index, _)| index).collect::<Vec<_>>());
        at += 1;
    }
    order
}

/// By name, and by key identifier where both have one (RFC 5280, section 4.2.1.1), because a
/// renewed authority keeps its name.
fn may_be_issuer(authority: &Certificate<'_>, issued: &Certificate<'_>) -> bool {
    let names_match = authority.subject == issued.issuer;
    let keys_match = match (issued.authority_key(), authority.subject_key()) {
        (Some(wanted), Some(has)) => wanted == has,
        _ => true,
    };
    names_match && keys_match
}

/// Whether the signature is of this authority's key. Each algorithm reads its own kind of key and
/// signature only, so that they need not be told apart before.
fn has_signed(
    authority: &Certificate<'_>,
    issued: &Certificate<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let (key, text, signature) = (authority.public_key.bits, issued.signed, issued.signature);
    algorithms.all.iter().any(|one| one.verify_signature(key, text, signature).is_ok())
}
