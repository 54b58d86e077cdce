//! The texts of certificates.

use std::time::SystemTime;

use rcgen::{SanType, date_time_ymd};

use super::{named, self_signed};
use crate::PeerCertificate;

#[test]
fn a_certificate_that_was_parsed_is_what_it_was_made_as() {
    let mut params = named("the server", &["a.example", "192.0.2.1", "2001:db8::1"]);
    (params.not_before, params.not_after) = (date_time_ymd(2029, 1, 1), date_time_ymd(2031, 1, 1));
    params.serial_number = Some(vec![0x4e, 0x2a, 1].into());
    params.subject_alt_names.push(SanType::Rfc822Name("me@a.example".try_into().unwrap()));
    params.subject_alt_names.push(SanType::URI("https://a.example/".try_into().unwrap()));
    let der = self_signed(&params);
    let certificate = PeerCertificate::parse(&der);
    assert_eq!(certificate.der(), der.as_ref());
    assert_eq!(certificate.subject(), "CN=the server");
    assert_eq!(certificate.issuer(), "CN=the server");
    let names =
        ["a.example", "192.0.2.1", "2001:db8::1", "email:me@a.example", "URI:https://a.example/"];
    assert_eq!(certificate.names(), names);
    assert_eq!(certificate.serial(), "4e:2a:01");
    let since = |time: Option<SystemTime>| {
        time.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
    };
    assert_eq!(since(certificate.not_before()), 1_861_920_000);
    assert_eq!(since(certificate.not_after()), 1_924_992_000);
    assert_eq!(certificate.public_key()[0], 0x30);
}

/// A decision by names must not be misled by a name of another kind.
#[test]
fn a_dns_name_reads_as_nothing_but_a_dns_name() {
    let mut params = named("the server", &[]);
    let strange =
        ["192.0.2.1", "URI:spiffe://a.example/admin", "email:me@a.example", "a\nb", "*.b"];
    params.subject_alt_names =
        strange.map(|name| SanType::DnsName(name.try_into().unwrap())).into();
    let certificate = PeerCertificate::parse(&self_signed(&params));
    let names = [
        "DNS:192.0.2.1",
        "DNS:URI:spiffe://a.example/admin",
        "DNS:email:me@a.example",
        "DNS:a\\u{a}b",
        "*.b",
    ];
    assert_eq!(certificate.names(), names);
}

#[test]
fn bytes_that_do_not_parse_keep_their_bytes() {
    let certificate = PeerCertificate::parse(b"no certificate");
    assert_eq!(certificate.der(), b"no certificate");
    assert_eq!(certificate.subject(), "");
    assert!(certificate.names().is_empty());
    assert!(certificate.not_after().is_none());
}
