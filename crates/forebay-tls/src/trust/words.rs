//! Parts of certificates as words of a sentence.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree};
use x509_parser::x509::AlgorithmIdentifier;

use crate::info::name_text;
use crate::text::{NAME_MAX, clean, list};

/// So many purposes or rules stand in a message.
const SHOWN: usize = 8;

/// A certificate, by its subject, or by its first name where it has none.
pub(super) fn who(certificate: &X509Certificate<'_>) -> String {
    let subject = clean(&certificate.subject().to_string(), NAME_MAX);
    if !subject.is_empty() {
        return format!("the certificate of {subject}");
    }
    match crate::info::names_of(certificate).first() {
        Some(name) => format!("the certificate of {name}"),
        None => format!(
            "the certificate with the serial number {}",
            clean(&certificate.raw_serial_as_string(), NAME_MAX)
        ),
    }
}

/// What a certificate is made for, by its extended key usage.
pub(super) fn purposes(certificate: &X509Certificate<'_>) -> String {
    let Ok(Some(usage)) = certificate.extended_key_usage() else {
        return "every use".to_owned();
    };
    let usage = usage.value;
    let mut purposes: Vec<String> = [
        (usage.server_auth, "server authentication"),
        (usage.client_auth, "client authentication"),
        (usage.code_signing, "code signing"),
        (usage.email_protection, "e-mail"),
        (usage.time_stamping, "time stamping"),
        (usage.ocsp_signing, "OCSP"),
        (usage.any, "any use (which does not count)"),
    ]
    .iter()
    .filter(|(is_set, _)| *is_set)
    .map(|(_, name)| (*name).to_owned())
    .collect();
    purposes.extend(usage.other.iter().map(|oid| clean(&oid.to_id_string(), NAME_MAX)));
    match purposes.as_slice() {
        [] => "nothing".to_owned(),
        purposes => list(purposes, SHOWN),
    }
}

/// Digests that can be forged, by the signature algorithms that use them.
const WEAK: [(&str, &str); 7] = [
    ("1.2.840.113549.1.1.2", "MD2 and RSA"),
    ("1.2.840.113549.1.1.3", "MD4 and RSA"),
    ("1.2.840.113549.1.1.4", "MD5 and RSA"),
    ("1.2.840.113549.1.1.5", "SHA-1 and RSA"),
    ("1.3.14.3.2.29", "SHA-1 and RSA"),
    ("1.2.840.10045.4.1", "SHA-1 and ECDSA"),
    ("1.2.840.10040.4.3", "SHA-1 and DSA"),
];

pub(super) fn is_weak(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    let oid = algorithm.algorithm.to_id_string();
    WEAK.iter().any(|(weak, _)| *weak == oid)
}

/// How a certificate is signed.
pub(super) fn algorithm(certificate: &X509Certificate<'_>) -> String {
    let oid = certificate.signature_algorithm.algorithm.to_id_string();
    match WEAK.iter().find(|(weak, _)| *weak == oid) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("algorithm {}", clean(&oid, NAME_MAX)),
    }
}

/// For which names an authority may vouch, where that is limited.
pub(super) fn constraints(authority: &X509Certificate<'_>) -> Option<String> {
    let limits = authority.name_constraints().ok()??.value;
    let mut rules = Vec::new();
    if let Some(permitted) = &limits.permitted_subtrees {
        rules.push(format!("only for {}", subtrees(permitted)));
    }
    if let Some(excluded) = &limits.excluded_subtrees {
        rules.push(format!("not for {}", subtrees(excluded)));
    }
    let subject = clean(&authority.subject().to_string(), NAME_MAX);
    Some(format!("{subject} may vouch {}", list(&rules, SHOWN)))
}

fn subtrees(trees: &[GeneralSubtree<'_>]) -> String {
    let names: Vec<String> = trees.iter().map(|tree| subtree(&tree.base)).collect();
    list(&names, SHOWN)
}

/// Limits on addresses are an address and a mask.
fn subtree(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::IPAddress(bytes) if bytes.len() == 8 || bytes.len() == 32 => {
            let (address, mask) = bytes.split_at(bytes.len() / 2);
            let [address, mask] =
                [address, mask].map(|half| name_text(&GeneralName::IPAddress(half)));
            format!("{address}/{mask}")
        }
        name => name_text(name),
    }
}
