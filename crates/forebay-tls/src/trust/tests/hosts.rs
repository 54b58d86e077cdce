//! The names that a certificate is for (RFC 9525, section 6; cases of Ktor's `HostnameUtilsTest`).

use forebay_io::TlsFault;
use rcgen::SanType;

use super::{Authority, ask, refused};

/// Returns `true` if a server with these names is accepted as `host`; a refusal must be of that kind.
#[track_caller]
fn believed(host: &str, names: &[&str]) -> bool {
    let root = Authority::new("the root");
    // Inserted as they are, because rcgen would refuse the strangest of them.
    let leaf = root.leaf_with(&[], |params| {
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            });
        }
    });
    match ask(&root.trust(), host, &[leaf]) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.tls_fault(), Some(TlsFault::WrongName), "{error}");
            assert!(error.to_string().contains(&format!("a certificate for {host}")), "{error}");
            false
        }
    }
}

/// Ktor's case "null SAN", which Ktor accepts; here a certificate without a name is refused.
#[test]
fn a_certificate_without_the_extension_is_for_nobody() {
    let root = Authority::new("the root");
    for host in ["www.example.com", "0.0.0.0"] {
        refused(
            ask(&root.trust(), host, &[root.leaf(&[])]),
            TlsFault::NoName,
            &format!("the subject alternative name {host}"),
            "CN=the leaf has none, and a common name does not count",
            &format!("subjectAltName {host}"),
        );
    }
}

/// Ktor's case "empty SAN", which Ktor accepts, too.
#[test]
fn a_certificate_with_an_empty_extension_is_for_nobody() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[], |params| {
        let empty = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 0]);
        params.custom_extensions.push(empty);
    });
    for host in ["www.example.com", "0.0.0.0"] {
        let error = ask(&root.trust(), host, std::slice::from_ref(&leaf)).unwrap_err();
        let fault = error.tls_fault();
        assert!(matches!(fault, Some(TlsFault::NoName | TlsFault::InvalidCertificate)), "{error}");
    }
}

#[test]
fn a_wildcard_is_for_one_label_of_a_domain() {
    assert!(believed("www.example.com", &["*.example.com"]));
    assert!(!believed("www.example.com", &["*.com"]));
    assert!(!believed("www.example.com", &["*"]));
}

#[test]
fn an_empty_name_is_for_nobody() {
    assert!(!believed("www.example.com", &[""]));
}

#[test]
fn another_name_is_for_another() {
    assert!(!believed("www.example.com", &["www.example.org"]));
}

#[test]
fn case_does_not_matter() {
    assert!(believed("example.com", &["EXAMPLE.com"]));
    assert!(believed("EXAMPLE.com", &["example.com"]));
}

#[test]
fn wildcards_that_are_malformed_are_for_nobody() {
    for name in ["*.*.com", "*.*.*", "*.*", "*."] {
        assert!(!believed("www.example.com", &[name]), "{name}");
    }
}

/// Ktor's case `testNestedWildcard`: Ktor accepts several asterisks, RFC 9525 allows one.
#[test]
fn a_wildcard_does_not_nest() {
    assert!(believed("www.example.com", &["*.example.com"]));
    assert!(!believed("www.sub.example.com", &["*.*.example.com"]));
    assert!(!believed("www.sub.sub.example.com", &["*.*.*.example.com"]));
    assert!(!believed("www.sub.sub.example.com", &["*.sub.example.com"]));
}

#[test]
fn a_wildcard_stands_first() {
    assert!(!believed("www.sub.example.com", &["www.*.example.com"]));
    assert!(!believed("www.sub.example.com", &["www.sub.*.com"]));
    assert!(!believed("www.example.com", &["w*.example.com"]));
}

#[test]
fn a_domain_is_not_its_subdomain() {
    assert!(!believed("example.com", &["*.example.com"]));
    assert!(!believed("a.b.example.com", &["*.example.com"]));
    assert!(!believed("www.example.com", &["example.com"]));
}

#[test]
fn one_name_among_many_is_enough() {
    assert!(believed("c.example", &["a.example", "192.0.2.1", "c.example"]));
    assert!(believed("192.0.2.1", &["a.example", "192.0.2.1"]));
}

#[test]
fn an_address_is_believed_by_an_address_only() {
    assert!(believed("127.0.0.1", &["127.0.0.1"]));
    assert!(believed("::1", &["::1"]));
    assert!(!believed("127.0.0.1", &["127.0.0.2"]));
    assert!(!believed("::1", &["127.0.0.1"]));
    assert!(!believed("127.0.0.1", &["localhost"]));
}

#[test]
fn a_dns_name_that_looks_like_an_address_is_none() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[], |params| {
        params.subject_alt_names.push(SanType::DnsName("127.0.0.1".try_into().unwrap()));
    });
    refused(
        ask(&root.trust(), "127.0.0.1", &[leaf]),
        TlsFault::WrongName,
        "a certificate for 127.0.0.1",
        "the server's is for DNS:127.0.0.1",
        "have a certificate issued for 127.0.0.1",
    );
}

/// Such a name counts for nothing, and harms no other.
#[test]
fn a_certificate_whose_name_ends_in_a_dot_is_refused_for_that() {
    let root = Authority::new("the root");
    refused(
        ask(&root.trust(), "www.example.com", &[root.leaf(&["a.example", "www.example.com."])]),
        TlsFault::WrongName,
        "a certificate for www.example.com",
        "the server's is for a.example and www.example.com.",
        "without the dot at the end of its name",
    );
    assert!(believed("www.example.com", &["www.example.com.", "www.example.com"]));
}
