//! Certificates that rcgen makes, read back, and altered. `fuzz/targets/certificates.rs` compares the
//! reader with another one.

use proptest::prelude::*;
use proptest::sample::Index;
use rcgen::{
    CustomExtension, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, GeneralSubtree,
    KeyPair, NameConstraints, SanType, date_time_ymd,
};

use super::{Certificate, GeneralName, Name, PublicKey, dotted, is_request, is_revocation_list};
use crate::samples::{Authority, named};

/// Certificates with every field that is read, in every form that rcgen can write.
fn certificates() -> [Vec<u8>; 4] {
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
    [root.der.to_vec(), leaf.to_vec(), late.to_vec(), below.der.to_vec()]
}

#[test]
fn a_certificate_is_read_as_it_was_made() {
    let [root, leaf, late, below] = certificates();
    let [root, leaf, late, below] =
        [&root, &leaf, &late, &below].map(|der| Certificate::read(der).unwrap());
    assert_eq!(
        leaf.subject.to_string(),
        "CN=the leaf, C=DE, O=Gr\u{f6}\u{df}e, L=Ulm, serialNumber=serial 1"
    );
    assert_eq!(leaf.issuer.to_string(), "CN=the root");
    assert_eq!(leaf.issuer, root.subject);
    assert_eq!(leaf.serial(), "00:80:01:02");
    assert_eq!(dotted(leaf.signature_algorithm), "1.2.840.10045.4.3.2");
    assert!(leaf.signed.starts_with(&[0x30, 0x82]));
    assert_eq!(leaf.extensions.len(), 4);
    assert_eq!((leaf.is_ca(), root.is_ca(), below.is_ca()), (false, true, true));
    assert_eq!((leaf.not_before, late.not_before), (Some(157_766_400), Some(157_766_400)));
    assert_eq!((leaf.not_after, late.not_after), (Some(67_090_118_400), Some(67_121_654_400)));
    assert!(leaf.authority_key().is_some_and(|key| key.len() == 20));
    assert_eq!(leaf.authority_key(), root.subject_key());
    assert_eq!((root.authority_key(), leaf.subject_key()), (None, None));
}

#[test]
fn extensions_are_read_as_they_were_made() {
    let [root, leaf, late, below] = certificates();
    let [root, leaf, late, below] =
        [&root, &leaf, &late, &below].map(|der| Certificate::read(der).unwrap());
    let names =
        |names: &[GeneralName<'_>]| names.iter().map(crate::info::name_text).collect::<Vec<_>>();
    assert_eq!(
        names(&leaf.alternative_names().unwrap()),
        [
            "a.example",
            "192.0.2.1",
            "2001:db8::1",
            "email:me@a.example",
            "URI:https://a.example/",
            "(a name of another kind)",
        ]
    );
    assert_eq!(names(&late.alternative_names().unwrap()), ["DN:CN=ab"]);
    assert!(below.alternative_names().is_none());
    let purposes = |certificate: &Certificate<'_>| {
        certificate.purposes().map(|oids| oids.into_iter().map(dotted).collect::<Vec<_>>())
    };
    assert_eq!(purposes(&leaf).unwrap(), ["1.3.6.1.5.5.7.3.1", "2.5.29.37.0"]);
    assert_eq!(purposes(&late).unwrap(), ["1.2.3.4"]);
    assert_eq!(purposes(&below), None);
    let limits = root.name_constraints().unwrap();
    assert_eq!(names(&limits.permitted.unwrap()), [".example"]);
    assert_eq!(names(&limits.excluded.unwrap()), ["not.example"]);
    assert!(below.name_constraints().is_none());
}

/// Neither of two extensions of a kind can be believed.
#[test]
fn what_is_there_twice_is_not_read() {
    let twice = Authority::new("root").leaf_with(&["a.example"], |params| {
        let again = b"\x30\x0b\x82\x09b.example";
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], again.to_vec())];
    });
    assert!(Certificate::read(&twice).unwrap().alternative_names().is_none());
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
    /// No altered certificate makes the reader panic.
    #[test]
    fn altered_certificates_are_read_or_refused(
        which in any::<Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        static CERTIFICATES: std::sync::LazyLock<[Vec<u8>; 4]> =
            std::sync::LazyLock::new(certificates);
        let mut der = which.get(&CERTIFICATES[..]).clone();
        for change in &changes {
            change.apply(&mut der);
        }
        let _: [bool; 3] =
            [is_request(&der), is_revocation_list(&der), PublicKey::read(&der).is_some()];
        if let Some((own, _)) = Certificate::read_first(&der) {
            look(&own);
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
