//! Compares this parser with `x509-parser`, which parses complete certificates.

use proptest::prelude::*;
use proptest::sample::Index;
use rcgen::{
    CustomExtension, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, GeneralSubtree,
    KeyPair, NameConstraints, SanType, date_time_ymd,
};
use x509_parser::extensions::GeneralName as Judged;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Certificate, GeneralName, Name, PublicKey, is_request, is_revocation_list};
use crate::samples::{Authority, named};

/// Certificates with every field that is read, in every form that rcgen can write.
fn certificates() -> Vec<Vec<u8>> {
    let root = Authority::root_with("the root", |params| {
        let names = |name: &str| vec![GeneralSubtree::DnsName(name.to_owned())];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: names(".example"),
            excluded_subtrees: names("not.example"),
        });
    });
    let leaf = root.leaf_with(&["a.example", "192.0.2.1", "2001:db8::1"], |params| {
        let subject = &mut params.distinguished_name;
        subject.push(DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap()));
        subject.push(DnType::OrganizationName, DnValue::BmpString("Größe".try_into().unwrap()));
        subject.push(DnType::LocalityName, DnValue::TeletexString("Ulm".try_into().unwrap()));
        subject.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "serial 1");
        params.serial_number = Some(vec![0x80, 1, 2].into());
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
        let more = [
            SanType::Rfc822Name("me@a.example".try_into().unwrap()),
            SanType::URI("https://a.example/".try_into().unwrap()),
            SanType::OtherName((vec![1, 2, 3], "other".to_owned().into())),
        ];
        params.subject_alt_names.extend(more);
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 999, 1], b"anything".to_vec())];
    });
    let late = root.leaf_with(&[], |params| {
        params.distinguished_name = DistinguishedName::new();
        params.not_after = date_time_ymd(4096, 12, 31);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 2, 3, 4])];
        // A directory's name among the alternative ones, which rcgen does not write.
        let directory = b"\x30\x11\xa4\x0f\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02ab";
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], directory.to_vec())];
    });
    let below = root.authority_with("below", |params| {
        params.use_authority_key_identifier_extension = true;
    });
    vec![root.der.to_vec(), leaf.to_vec(), late.to_vec(), below.der.to_vec()]
}

#[test]
fn a_certificate_is_read_as_it_was_made() {
    for der in certificates() {
        let own = Certificate::read(&der).unwrap();
        let (_, judge) = X509Certificate::from_der(&der).unwrap();
        assert_same(&own, &judge);
        assert_eq!(own.public_key.der, judge.public_key().raw);
        assert_eq!(own.is_ca(), judge.is_ca());
        assert_eq!(own.not_before, Some(judge.validity().not_before.timestamp()));
        assert_eq!(own.not_after, Some(judge.validity().not_after.timestamp()));
        assert_eq!(own.subject.to_string(), judge.subject().to_string());
        assert_eq!(own.issuer.to_string(), judge.issuer().to_string());
        let names = judge.subject_alternative_name().unwrap();
        let names = names.map(|names| &names.value.general_names);
        let own_names = own.alternative_names();
        assert_eq!(own_names.as_ref().map(Vec::len), names.map(Vec::len));
        for (own, judge) in own_names.iter().flatten().zip(names.into_iter().flatten()) {
            assert_name(own, judge);
        }
        let usage = judge.extended_key_usage().unwrap();
        assert_eq!(own.purposes().is_some(), usage.is_some());
        let limits = judge.name_constraints().unwrap().map(|limits| limits.value);
        let own_limits = own.name_constraints();
        assert_eq!(own_limits.is_some(), limits.is_some());
        if let (Some(own), Some(judge)) = (own_limits, limits) {
            let pairs = [
                (own.permitted, &judge.permitted_subtrees),
                (own.excluded, &judge.excluded_subtrees),
            ];
            for (own, judge) in pairs {
                assert_name(&own.unwrap()[0], &judge.as_ref().unwrap()[0].base);
            }
        }
    }
}

/// Checks that two parsers agree about bytes that both can read.
fn assert_same(own: &Certificate<'_>, judge: &X509Certificate<'_>) {
    assert_eq!(own.signed, judge.tbs_certificate.as_ref());
    assert_eq!(own.signature, &*judge.signature_value.data);
    assert_eq!(own.serial(), judge.raw_serial_as_string());
    // What of a sequence it does not understand, the other one leaves out of the sequence's bytes.
    assert!(own.subject.der().starts_with(judge.subject().as_raw()));
    assert!(own.issuer.der().starts_with(judge.issuer().as_raw()));
    assert!(own.public_key.der.starts_with(judge.public_key().raw));
    assert_eq!(own.public_key.bits, &*judge.public_key().subject_public_key.data);
    assert_eq!(own.signature_algorithm, judge.signature_algorithm.algorithm.as_bytes());
    // `webpki`, too, takes no byte for true but the one of DER (X.690, section 11.1).
    assert!(judge.is_ca() || !own.is_ca());
    assert_eq!(own.extensions.len(), judge.extensions().len());
}

fn assert_name(own: &GeneralName<'_>, judge: &Judged<'_>) {
    match (own, judge) {
        (GeneralName::Dns(own), Judged::DNSName(judge))
        | (GeneralName::Email(own), Judged::RFC822Name(judge))
        | (GeneralName::Uri(own), Judged::URI(judge)) => assert_eq!(own, judge),
        (GeneralName::Address(own), Judged::IPAddress(judge)) => assert_eq!(own, judge),
        (GeneralName::Directory(own), Judged::DirectoryName(judge)) => {
            assert_eq!(own.to_string(), judge.to_string());
        }
        (GeneralName::Other, Judged::OtherName(..)) => {}
        _ => panic!("{own:?} is not {judge:?}"),
    }
}

#[test]
fn what_looks_like_a_certificate_is_told_apart() {
    let key = KeyPair::generate().unwrap();
    let request = named("a request", &["a.example"]).serialize_request(&key).unwrap();
    let certificate = &certificates()[1];
    let public = Certificate::read(certificate).unwrap().public_key.der;
    for (der, expected) in [
        (certificate.as_slice(), [true, false, false, false]),
        (request.der(), [false, true, false, false]),
        (public, [false, false, false, true]),
        (&[0x30, 0], [false; 4]),
        (b"", [false; 4]),
    ] {
        let found = [
            Certificate::read(der).is_some(),
            is_request(der),
            is_revocation_list(der),
            PublicKey::read(der).is_some(),
        ];
        assert_eq!(found, expected);
    }
}

#[test]
fn a_certificate_may_be_followed_by_something_where_that_is_allowed() {
    let mut der = certificates()[1].clone();
    der.extend(b"more");
    assert!(Certificate::read(&der).is_none());
    assert_eq!(Certificate::read_first(&der).unwrap().1, b"more");
}

/// Attributes that are not text are shown in hexadecimal, and those of an unknown kind with their number.
#[test]
fn every_name_has_a_text() {
    for (der, text) in [
        (&b"\x30\x00"[..], ""),
        (b"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x14\x02\x4d\xfc", "CN=4DFC"),
        (b"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x1e\x02\x00\xfc", "CN=\u{fc}"),
        (b"\x30\x0c\x31\x0a\x30\x08\x06\x02\x2a\x03\x0c\x02\x61\x62", "1.2.3=ab"),
        (b"\x30\x02\x31\x01", "(a name that cannot be read)"),
    ] {
        assert_eq!(Name(der).to_string(), text);
    }
}

/// One change to bytes: one byte altered, some removed, or some repeated.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Cut(Index, u8),
    Repeat(Index, u8),
}

impl Change {
    fn apply(&self, der: &mut Vec<u8>) {
        if der.is_empty() {
            return;
        }
        let range = |at: &Index, length: u8| {
            let at = at.index(der.len());
            at..der.len().min(at + usize::from(length))
        };
        match self {
            Self::Set(at, byte) => {
                let at = at.index(der.len());
                der[at] = *byte;
            }
            Self::Cut(at, length) => drop(der.drain(range(at, *length))),
            Self::Repeat(at, length) => {
                let range = range(at, *length);
                let (end, part) = (range.end, der[range].to_vec());
                drop(der.splice(end..end, part));
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        8 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (at(), 1..8_u8).prop_map(|(at, length)| Change::Cut(at, length)),
        1 => (at(), 1..40_u8).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

proptest! {
    /// After any change nothing panics, and what both parsers read they read alike.
    #[test]
    fn altered_certificates_are_read_alike_or_not_at_all(
        which in any::<Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        static CERTIFICATES: std::sync::LazyLock<Vec<Vec<u8>>> =
            std::sync::LazyLock::new(certificates);
        let mut der = which.get(&CERTIFICATES).clone();
        for change in &changes {
            change.apply(&mut der);
        }
        let _: [bool; 3] =
            [is_request(&der), is_revocation_list(&der), PublicKey::read(&der).is_some()];
        if let Some((own, _)) = Certificate::read_first(&der) {
            look(&own);
            if let Ok((_, judge)) = X509Certificate::from_der(&der) {
                assert_same(&own, &judge);
            }
        }
    }
}

/// Reads every field.
fn look(certificate: &Certificate<'_>) {
    let texts = [certificate.subject.to_string(), certificate.issuer.to_string()];
    drop((texts, certificate.subject_key(), certificate.authority_key()));
    drop((certificate.alternative_names(), certificate.purposes(), certificate.name_constraints()));
    let _: (bool, Option<&[u8]>) = (certificate.is_ca(), certificate.public_key.rsa_modulus());
}
