//! Parts of certificates as words of a sentence.

use der::oid::ObjectIdentifier;

use crate::info::name_text;
use crate::text::{NAME_MAX, list};
use crate::x509::{CLIENT_AUTHENTICATION, Certificate, GeneralName, SERVER_AUTHENTICATION, dotted};
use forebay_io::seam::printable;

/// The largest number of purposes or rules that a message names.
const SHOWN: usize = 8;

/// Names a certificate by its subject, or by its first name if the subject is empty.
pub(super) fn who(certificate: &Certificate<'_>) -> String {
    let subject = printable(&certificate.subject.to_string(), NAME_MAX);
    if !subject.is_empty() {
        return format!("the certificate of {subject}");
    }
    match crate::info::names_of(certificate).first() {
        Some(name) => format!("the certificate of {name}"),
        None => format!(
            "the certificate with the serial number {}",
            printable(&certificate.serial(), NAME_MAX)
        ),
    }
}

/// Purposes (RFC 5280, section 4.2.1.12) as words, in the order in which a message names them.
const PURPOSES: [(ObjectIdentifier, &str); 7] = [
    (SERVER_AUTHENTICATION, "server authentication"),
    (CLIENT_AUTHENTICATION, "client authentication"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3"), "code signing"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"), "e-mail"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8"), "time stamping"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"), "OCSP"),
    (ObjectIdentifier::new_unwrap("2.5.29.37.0"), "any use (which does not count)"),
];

/// Lists the purposes of a certificate, from its extended key usage.
pub(super) fn purposes(certificate: &Certificate<'_>) -> String {
    let Some(mut usage) = certificate.purposes() else {
        return "every use".to_owned();
    };
    let mut purposes = Vec::new();
    for (purpose, name) in PURPOSES {
        let count = usage.len();
        usage.retain(|oid| *oid != purpose.as_bytes());
        if usage.len() < count {
            purposes.push(name.to_owned());
        }
    }
    purposes.extend(usage.iter().map(|oid| printable(&dotted(oid), NAME_MAX)));
    match purposes.as_slice() {
        [] => "nothing".to_owned(),
        purposes => list(purposes, SHOWN),
    }
}

/// Signature algorithms with a digest that can be forged.
const WEAK: [(&str, &str); 7] = [
    ("1.2.840.113549.1.1.2", "MD2 and RSA"),
    ("1.2.840.113549.1.1.3", "MD4 and RSA"),
    ("1.2.840.113549.1.1.4", "MD5 and RSA"),
    ("1.2.840.113549.1.1.5", "SHA-1 and RSA"),
    ("1.3.14.3.2.29", "SHA-1 and RSA"),
    ("1.2.840.10045.4.1", "SHA-1 and ECDSA"),
    ("1.2.840.10040.4.3", "SHA-1 and DSA"),
];

pub(super) fn is_weak(certificate: &Certificate<'_>) -> bool {
    let oid = dotted(certificate.signature_algorithm);
    WEAK.iter().any(|(weak, _)| *weak == oid)
}

/// Names the signature algorithm of a certificate.
pub(super) fn algorithm(certificate: &Certificate<'_>) -> String {
    let oid = dotted(certificate.signature_algorithm);
    match WEAK.iter().find(|(weak, _)| *weak == oid) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("algorithm {}", printable(&oid, NAME_MAX)),
    }
}

/// Lists the names that an authority may vouch for, if they are limited.
pub(super) fn constraints(authority: &Certificate<'_>) -> Option<String> {
    let limits = authority.name_constraints()?;
    let mut rules = Vec::new();
    if let Some(permitted) = &limits.permitted {
        rules.push(format!("only for {}", subtrees(permitted)));
    }
    if let Some(excluded) = &limits.excluded {
        rules.push(format!("not for {}", subtrees(excluded)));
    }
    let subject = printable(&authority.subject.to_string(), NAME_MAX);
    Some(format!("{subject} may vouch {}", list(&rules, SHOWN)))
}

fn subtrees(trees: &[GeneralName<'_>]) -> String {
    let names: Vec<String> = trees.iter().map(subtree).collect();
    list(&names, SHOWN)
}

/// Formats one limit. A limit on addresses consists of an address and a mask.
fn subtree(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::Address(bytes) if bytes.len() == 8 || bytes.len() == 32 => {
            let (address, mask) = bytes.split_at(bytes.len() / 2);
            let [address, mask] =
                [address, mask].map(|half| name_text(&GeneralName::Address(half)));
            format!("{address}/{mask}")
        }
        name => name_text(name),
    }
}
