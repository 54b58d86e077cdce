//! The names of cipher suites, versions and key exchange groups.

use rustls::crypto::SupportedKxGroup;
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite, SupportedProtocolVersion};

use crate::TlsVersion;
use crate::info;
use crate::text::{NAME_MAX, list};
use forebay_io::seam::printable;

/// OpenSSL's names of the TLS 1.2 suites. For those of TLS 1.3 it uses IANA's.
const OPENSSL: &[(CipherSuite, &str)] = &[
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305"),
];

/// Other names of groups: NIST's and OpenSSL's.
const GROUPS: &[(NamedGroup, &[&str])] = &[
    (NamedGroup::secp256r1, &["P-256", "prime256v1"]),
    (NamedGroup::secp384r1, &["P-384"]),
    (NamedGroup::secp521r1, &["P-521"]),
];

/// Returns the name of a suite in IANA's registry.
pub(super) fn suite_name(suite: CipherSuite) -> String {
    info::suite_name(suite.as_str().unwrap_or("unknown"))
}

/// Finds suites by name. The error is the detail of a message.
pub(super) fn suites(
    names: &[String],
    all: &[SupportedCipherSuite],
) -> Result<Vec<SupportedCipherSuite>, String> {
    let mut found: Vec<SupportedCipherSuite> = Vec::new();
    for name in names {
        let suite = all.iter().find(|suite| is_suite(suite.suite(), name)).ok_or_else(|| {
            let known: Vec<_> = all.iter().map(|suite| suite_name(suite.suite())).collect();
            unknown("cipher suite", name, &known)
        })?;
        if !found.contains(suite) {
            found.push(*suite);
        }
    }
    some(found, "cipher_suites")
}

/// Finds groups by name.
pub(super) fn groups(
    names: &[String],
    all: &[&'static dyn SupportedKxGroup],
) -> Result<Vec<&'static dyn SupportedKxGroup>, String> {
    let mut found: Vec<&'static dyn SupportedKxGroup> = Vec::new();
    for name in names {
        let group = all.iter().find(|group| is_group(group.name(), name)).ok_or_else(|| {
            let known: Vec<_> = all.iter().filter_map(|group| group.name().as_str()).collect();
            unknown("key exchange group", name, &known)
        })?;
        if !found.iter().any(|known| known.name() == group.name()) {
            found.push(*group);
        }
    }
    some(found, "key_exchange_groups")
}

/// Finds versions by name.
pub(super) fn versions(names: &[String]) -> Result<Vec<TlsVersion>, String> {
    let mut found = Vec::new();
    for name in names {
        let version = match name.as_str() {
            "1.2" | "TLS 1.2" | "TLSv1.2" => TlsVersion::Tls12,
            "1.3" | "TLS 1.3" | "TLSv1.3" => TlsVersion::Tls13,
            _ => return Err(unknown("version", name, &["1.2", "1.3"])),
        };
        if !found.contains(&version) {
            found.push(version);
        }
    }
    some(found, "versions")
}

/// Returns rustls' value for a version.
pub(super) fn supported(version: TlsVersion) -> &'static SupportedProtocolVersion {
    match version {
        TlsVersion::Tls12 => &rustls::version::TLS12,
        TlsVersion::Tls13 => &rustls::version::TLS13,
    }
}

/// Returns the version for rustls' value.
pub(super) fn ours(version: &SupportedProtocolVersion) -> TlsVersion {
    if *version == rustls::version::TLS12 { TlsVersion::Tls12 } else { TlsVersion::Tls13 }
}

fn is_suite(suite: CipherSuite, name: &str) -> bool {
    let is_rustls = suite.as_str().is_some_and(|known| known.eq_ignore_ascii_case(name));
    let mut openssl = OPENSSL.iter().filter(|(known, _)| *known == suite);
    is_rustls
        || suite_name(suite).eq_ignore_ascii_case(name)
        || openssl.any(|(_, known)| known.eq_ignore_ascii_case(name))
}

fn is_group(group: NamedGroup, name: &str) -> bool {
    let is_iana = group.as_str().is_some_and(|known| known.eq_ignore_ascii_case(name));
    is_iana
        || GROUPS.iter().any(|(known, others)| {
            *known == group && others.iter().any(|known| known.eq_ignore_ascii_case(name))
        })
}

fn some<T>(found: Vec<T>, option: &str) -> Result<Vec<T>, String> {
    if found.is_empty() {
        return Err(format!("`{option}` is empty; name at least one, or leave the option out"));
    }
    Ok(found)
}

fn unknown(what: &str, name: &str, known: &[impl AsRef<str>]) -> String {
    let name = printable(name, NAME_MAX);
    let known = list(known, usize::MAX);
    format!("there is no {what} \"{name}\" here; known are {known}")
}
