use forebay_io::ErrorKind;
use rustls::ProtocolVersion;

use super::{Cryptography, WantedCryptography};
use crate::TlsVersion;

fn wanted(suites: &[&str], versions: &[&str], groups: &[&str]) -> WantedCryptography {
    let some = |names: &[&str]| {
        (!names.is_empty()).then(|| names.iter().map(|name| (*name).to_owned()).collect())
    };
    WantedCryptography {
        cipher_suites: some(suites),
        versions: some(versions),
        key_exchange_groups: some(groups),
    }
}

fn suites(names: &[&str]) -> Vec<String> {
    let chosen = Cryptography::of(&wanted(names, &[], &[]), "build").unwrap();
    chosen
        .provider
        .cipher_suites
        .iter()
        .map(|suite| super::names::suite_name(suite.suite()))
        .collect()
}

#[track_caller]
fn assert_refused(wanted: &WantedCryptography, says: &[&str]) {
    let error = Cryptography::of(wanted, "build").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for words in says {
        assert!(error.to_string().contains(words), "{error}\nlacks {words}");
    }
}

#[test]
fn a_suite_goes_by_the_names_that_people_know() {
    let names = ["TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256", "tls_aes_128_gcm_sha256"];
    for name in names {
        assert_eq!(suites(&[name]), ["TLS_AES_128_GCM_SHA256"]);
    }
    let pairs = [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ];
    for (openssl, iana) in pairs {
        assert_eq!(suites(&[openssl]), [iana]);
        assert_eq!(suites(&[iana]), [iana]);
    }
}

#[test]
fn order_is_kept_and_repetitions_are_one() {
    let names = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];
    assert_eq!(suites(&[names[0], names[1], names[0]]), names);
}

#[test]
fn all_nine_suites_are_the_default() {
    let default = Cryptography::of_default().unwrap();
    assert_eq!(default.provider.cipher_suites.len(), 9);
    assert_eq!(default.versions.len(), 2);
    let of_nothing = Cryptography::of(&WantedCryptography::default(), "build").unwrap();
    assert_eq!(of_nothing.provider.cipher_suites, default.provider.cipher_suites);
    assert_eq!(of_nothing.versions, default.versions);
}

#[test]
fn a_version_goes_by_number_and_by_type() {
    for (name, version) in [
        ("1.2", ProtocolVersion::TLSv1_2),
        ("1.3", ProtocolVersion::TLSv1_3),
        ("TLSv1.3", ProtocolVersion::TLSv1_3),
        (TlsVersion::Tls12.as_ref(), ProtocolVersion::TLSv1_2),
        (TlsVersion::Tls13.as_ref(), ProtocolVersion::TLSv1_3),
    ] {
        let chosen = Cryptography::of(&wanted(&[], &[name], &[]), "build").unwrap();
        let versions: Vec<_> = chosen.versions.iter().map(|version| version.version).collect();
        assert_eq!(versions, [version]);
        assert!(
            chosen.provider.cipher_suites.iter().all(|suite| suite.version().version == version)
        );
    }
}

#[test]
fn a_group_goes_by_the_names_that_people_know() {
    for (name, known) in [
        ("x25519", "X25519"),
        ("X25519", "X25519"),
        ("secp256r1", "secp256r1"),
        ("P-256", "secp256r1"),
        ("prime256v1", "secp256r1"),
        ("secp384r1", "secp384r1"),
        ("P-384", "secp384r1"),
    ] {
        let chosen = Cryptography::of(&wanted(&[], &[], &[name]), "build").unwrap();
        let groups: Vec<_> =
            chosen.provider.kx_groups.iter().map(|group| group.name().as_str()).collect();
        assert_eq!(groups, [Some(known)]);
    }
}

#[test]
fn what_is_not_known_is_answered_with_what_is() {
    assert_refused(
        &wanted(&["TLS_RSA_WITH_RC4_128_MD5"], &[], &[]),
        &[
            "no cipher suite \"TLS_RSA_WITH_RC4_128_MD5\"",
            "TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256",
        ],
    );
    assert_refused(&wanted(&[""], &[], &[]), &["no cipher suite \"\""]);
    assert_refused(&wanted(&[], &["1.1"], &[]), &["no version \"1.1\"", "1.2 and 1.3"]);
    assert_refused(
        &wanted(&[], &[], &["x448"]),
        &["no key exchange group \"x448\"", "X25519, secp256r1"],
    );
}

#[test]
fn an_empty_list_is_no_choice() {
    for (which, option) in ["cipher_suites", "versions", "key_exchange_groups"].iter().enumerate() {
        let mut empty = WantedCryptography::default();
        *[&mut empty.cipher_suites, &mut empty.versions, &mut empty.key_exchange_groups][which] =
            Some(Vec::new());
        assert_refused(&empty, &[&format!("`{option}` is empty"), "leave the option out"]);
    }
}

#[test]
fn what_could_never_be_used_is_refused() {
    let only_13 = "TLS_AES_128_GCM_SHA256";
    let only_12 = "ECDHE-RSA-AES128-GCM-SHA256";
    assert_refused(
        &wanted(&[only_13], &["1.2"], &[]),
        &["TLS 1.2 is wanted", "none of the cipher suites is one of TLS 1.2"],
    );
    assert_refused(&wanted(&[only_13], &["1.2", "1.3"], &[]), &["take TLS 1.2 out of `versions`"]);
    assert_refused(
        &wanted(&[only_12, only_13], &["1.3"], &[]),
        &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is one of TLS 1.2", "only TLS 1.3 is left"],
    );
    let chosen = Cryptography::of(&wanted(&[only_12], &[], &[]), "build").unwrap();
    assert_eq!(chosen.versions, [&rustls::version::TLS12]);
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn groups_of_tls_1_3_alone_are_refused_without_it() {
    let chosen = Cryptography::of(&wanted(&[], &[], &["X25519MLKEM768"]), "build").unwrap();
    assert_eq!(chosen.versions, [&rustls::version::TLS13]);
    assert_refused(
        &wanted(&[], &["1.2"], &["X25519MLKEM768"]),
        &["TLS 1.2 is wanted", "none of the key exchange groups"],
    );
    assert_refused(
        &wanted(&[], &["1.2"], &["x25519", "X25519MLKEM768"]),
        &["X25519MLKEM768 cannot be used with TLS 1.2", "take it out"],
    );
}
