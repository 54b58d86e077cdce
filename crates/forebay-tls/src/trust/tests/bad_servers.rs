//! Servers that are refused, each for its own reason.

use forebay_io::TlsFault;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    NameConstraints, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use super::{Authority, ask, for_clients, named, refused, self_signed};
use crate::Trust;

const HOST: &str = "www.example.com";

#[test]
fn an_expired_certificate() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[HOST], |params| params.not_after = date_time_ymd(2029, 12, 31));
    refused(
        ask(&root.trust(), HOST, &[leaf]),
        TlsFault::Expired,
        "valid at 2030-01-01 00:00:00 UTC (this clock)",
        "CN=the leaf expired on 2029-12-31 00:00:00 UTC",
        "send a renewed certificate, or set this clock",
    );
}

/// A certificate that is not needed may be as old as it likes.
#[test]
fn of_two_expired_certificates_the_one_that_matters_is_named() {
    let root = Authority::new("the root");
    let stranger =
        root.authority_with("stranger", |params| params.not_after = date_time_ymd(2028, 1, 1));
    let between =
        root.authority_with("between", |params| params.not_after = date_time_ymd(2029, 1, 1));
    refused(
        ask(&root.trust(), HOST, &[between.leaf(&[HOST]), stranger.der, between.der.clone()]),
        TlsFault::Expired,
        "valid at 2030-01-01 00:00:00 UTC (this clock)",
        "CN=between expired on 2029-01-01 00:00:00 UTC",
        "send a renewed certificate, or set this clock",
    );
    let stranger =
        root.authority_with("stranger", |params| params.not_before = date_time_ymd(2032, 1, 1));
    let between =
        root.authority_with("between", |params| params.not_before = date_time_ymd(2031, 1, 1));
    refused(
        ask(&root.trust(), HOST, &[between.leaf(&[HOST]), stranger.der, between.der.clone()]),
        TlsFault::NotYetValid,
        "valid at 2030-01-01 00:00:00 UTC (this clock)",
        "CN=between is valid from 2031-01-01 00:00:00 UTC on",
        "send one that is valid already",
    );
}

#[test]
fn a_certificate_of_tomorrow() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[HOST], |params| params.not_before = date_time_ymd(2030, 1, 2));
    refused(
        ask(&root.trust(), HOST, &[leaf]),
        TlsFault::NotYetValid,
        "valid at 2030-01-01 00:00:00 UTC",
        "CN=the leaf is valid from 2030-01-02 00:00:00 UTC on",
        "or set this clock if it is wrong",
    );
}

#[test]
fn an_expired_certificate_between() {
    let root = Authority::new("the root");
    let between =
        root.authority_with("between", |params| params.not_after = date_time_ymd(2029, 6, 1));
    refused(
        ask(&root.trust(), HOST, &[between.leaf(&[HOST]), between.der.clone()]),
        TlsFault::Expired,
        "certificates that are valid",
        "CN=between expired on 2029-06-01",
        "send a renewed certificate",
    );
}

#[test]
fn an_authority_of_tomorrow() {
    let root = Authority::new("the root");
    let between =
        root.authority_with("between", |params| params.not_before = date_time_ymd(2030, 6, 1));
    refused(
        ask(&root.trust(), HOST, &[between.leaf(&[HOST]), between.der.clone()]),
        TlsFault::NotYetValid,
        "certificates that are valid",
        "CN=between is valid from 2030-06-01",
        "have the server send one that is valid already",
    );
}

#[test]
fn dates_the_wrong_way_around() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[HOST], |params| {
        (params.not_before, params.not_after) =
            (date_time_ymd(2031, 1, 1), date_time_ymd(2029, 1, 1));
    });
    refused(
        ask(&root.trust(), HOST, &[leaf]),
        TlsFault::InvalidCertificate,
        "a server with a valid chain",
        "CN=the leaf expires before it becomes valid",
        "issued anew",
    );
}

#[test]
fn a_certificate_for_another_host() {
    let root = Authority::new("the root");
    refused(
        ask(&root.trust(), HOST, &[root.leaf(&["a.example", "*.b.example", "192.0.2.7"])]),
        TlsFault::WrongName,
        "a certificate for www.example.com",
        "the server's is for a.example, *.b.example and 192.0.2.7",
        "connect to such a name, say it with `server_name`",
    );
}

#[test]
fn a_certificate_for_another_address() {
    let root = Authority::new("the root");
    refused(
        ask(&root.trust(), "192.0.2.1", &[root.leaf(&["192.0.2.7", "2001:db8::1"])]),
        TlsFault::WrongName,
        "a certificate for 192.0.2.1",
        "the server's is for 192.0.2.7 and 2001:db8::1",
        "have a certificate issued for 192.0.2.1",
    );
}

#[test]
fn a_certificate_without_names() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[], |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, HOST);
    });
    refused(
        ask(&root.trust(), HOST, &[leaf]),
        TlsFault::NoName,
        "the subject alternative name www.example.com",
        "CN=www.example.com has none, and a common name does not count",
        "have one issued with subjectAltName www.example.com",
    );
}

#[test]
fn a_self_signed_certificate() {
    let root = Authority::new("the root");
    refused(
        ask(&root.trust(), HOST, &[self_signed(&named("the server", &[HOST]))]),
        TlsFault::SelfSigned,
        "a certificate that a trusted root vouches for",
        "CN=the server was issued by itself",
        "trust it with Trust::roots_pem, or its key with Trust::pinned",
    );
}

/// Made as `openssl req -x509` makes it: marked as an authority's.
#[test]
fn a_self_signed_authority_as_a_server() {
    let root = Authority::new("the root");
    let mut params = named("the server", &[HOST]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    refused(
        ask(&root.trust(), HOST, &[self_signed(&params)]),
        TlsFault::SelfSigned,
        "a certificate that a trusted root vouches for",
        "CN=the server was issued by itself",
        "Trust::pinned",
    );
}

#[test]
fn a_trusted_root_as_a_server() {
    let root = Authority::root_with("the root", |params| {
        params.subject_alt_names.push(SanType::DnsName(HOST.try_into().unwrap()));
    });
    refused(
        ask(&root.trust(), HOST, std::slice::from_ref(&root.der)),
        TlsFault::WrongPurpose,
        "the server's own certificate",
        "CN=the root is that of an authority",
        "issue one for the server with it",
    );
}

/// An authority and its server may have the same name; that alone does not make a certificate self-signed.
#[test]
fn a_server_that_is_called_like_its_authority() {
    let (root, stranger) = (Authority::new("the root"), Authority::new("localhost"));
    let leaf = stranger.leaf_with(&[HOST], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
        params.use_authority_key_identifier_extension = true;
    });
    refused(
        ask(&root.trust(), HOST, &[leaf.clone(), stranger.der.clone()]),
        TlsFault::UntrustedRoot,
        "a trusted root",
        "it ends in the certificate of CN=localhost, which is not trusted here",
        "Trust::roots_pem",
    );
    refused(
        ask(&root.trust(), HOST, &[leaf]),
        TlsFault::IncompleteChain,
        "a trusted root",
        "CN=localhost, the issuer of the last certificate",
        "send the certificate of CN=localhost too",
    );
}

#[test]
fn an_unknown_root_that_was_sent() {
    let (root, stranger) = (Authority::new("the root"), Authority::new("a stranger"));
    refused(
        ask(&root.trust(), HOST, &[stranger.leaf(&[HOST]), stranger.der.clone()]),
        TlsFault::UntrustedRoot,
        "a chain that ends in a trusted root",
        "it ends in the certificate of CN=a stranger, which is not trusted here",
        "if that is your root, trust it with Trust::roots_pem",
    );
}

#[test]
fn an_unknown_root_behind_an_authority() {
    let (root, stranger) = (Authority::new("the root"), Authority::new("a stranger"));
    let between = stranger.authority("between");
    let chain = [between.leaf(&[HOST]), between.der.clone(), stranger.der.clone()];
    refused(
        ask(&root.trust(), HOST, &chain),
        TlsFault::UntrustedRoot,
        "a trusted root",
        "CN=a stranger",
        "trust it with",
    );
}

/// Development roots are often made anew under the old name.
#[test]
fn a_root_made_anew_under_its_old_name() {
    let (old, new) = (Authority::new("the root"), Authority::new("the root"));
    refused(
        ask(&old.trust(), HOST, &[new.leaf(&[HOST]), new.der.clone()]),
        TlsFault::UntrustedRoot,
        "a trusted root",
        "CN=the root, whose name is trusted here, but with another key",
        "trust the new one",
    );
}

/// Without the root in the chain it looks just like a forgery.
#[test]
fn a_certificate_of_a_root_made_anew() {
    let (old, new) = (Authority::new("the root"), Authority::new("the root"));
    refused(
        ask(&old.trust(), HOST, &[new.leaf(&[HOST])]),
        TlsFault::InvalidCertificate,
        "a valid chain",
        "the signature on the certificate of CN=the leaf is not of the CN=the root that is known",
        "issued anew",
    );
}

#[test]
fn a_chain_without_the_authority_between() {
    let root = Authority::new("the root");
    let between = root.authority("between");
    refused(
        ask(&root.trust(), HOST, &[between.leaf(&[HOST])]),
        TlsFault::IncompleteChain,
        "a chain that leads to a trusted root",
        "CN=between, the issuer of the last certificate (the certificate of CN=the leaf), was \
         neither sent nor is it trusted here",
        "send the certificate of CN=between too, or, if that is a root, trust it",
    );
}

#[test]
fn a_chain_without_one_of_two_authorities() {
    let root = Authority::new("the root");
    let upper = root.authority("upper");
    let lower = upper.authority("lower");
    refused(
        ask(&root.trust(), HOST, &[lower.leaf(&[HOST]), lower.der.clone()]),
        TlsFault::IncompleteChain,
        "a trusted root",
        "CN=upper, the issuer of the last certificate (the certificate of CN=lower)",
        "send the certificate of CN=upper too",
    );
}

#[test]
fn a_clients_certificate_at_a_server() {
    let root = Authority::new("the root");
    refused(
        ask(&root.trust(), HOST, &[root.leaf_with(&[HOST], for_clients)]),
        TlsFault::WrongPurpose,
        "certificates for server authentication",
        "CN=the leaf is for client authentication",
        "extended key usage serverAuth",
    );
}

#[test]
fn an_authority_for_another_purpose() {
    let root = Authority::new("the root");
    let between = root.authority_with("between", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    });
    refused(
        ask(&root.trust(), HOST, &[between.leaf(&[HOST]), between.der.clone()]),
        TlsFault::WrongPurpose,
        "server authentication",
        "CN=between is for e-mail",
        "serverAuth",
    );
}

#[test]
fn a_name_that_the_authority_may_not_vouch_for() {
    let root = Authority::new("the root");
    let between = root.authority_with("between", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    refused(
        ask(&root.trust(), HOST, &[between.leaf(&[HOST]), between.der.clone()]),
        TlsFault::NameConstraints,
        "names that every authority of the chain may vouch for",
        "is for www.example.com, and CN=between may vouch only for example.org",
        "issued by an authority without that limit",
    );
}

#[test]
fn a_name_that_the_root_excludes() {
    let root = Authority::root_with("the root", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: Vec::new(),
            excluded_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
        });
    });
    refused(
        ask(&root.trust(), HOST, &[root.leaf(&[HOST])]),
        TlsFault::NameConstraints,
        "every authority of the chain",
        "is for www.example.com, and its root may not vouch",
        "or for other names",
    );
}

#[test]
fn an_issuer_that_is_no_authority() {
    let root = Authority::new("the root");
    let between = root.authority_with("no authority", |params| params.is_ca = IsCa::ExplicitNoCa);
    refused(
        ask(&root.trust(), HOST, &[between.leaf(&[HOST]), between.der.clone()]),
        TlsFault::InvalidCertificate,
        "a valid chain",
        "the certificate of CN=no authority issued one, which is no authority",
        "issued anew",
    );
}

#[test]
fn more_authorities_than_the_upper_one_allows() {
    let root = Authority::new("the root");
    let upper = root.authority_with("upper", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let lower = upper.authority("lower");
    refused(
        ask(&root.trust(), HOST, &[lower.leaf(&[HOST]), lower.der.clone(), upper.der.clone()]),
        TlsFault::InvalidCertificate,
        "a valid chain",
        "an authority has issued another, and may not (path length)",
        "issued anew",
    );
}

#[test]
fn a_signature_that_was_altered() {
    let root = Authority::new("the root");
    let mut der = root.leaf(&[HOST]).to_vec();
    *der.last_mut().unwrap() ^= 1;
    refused(
        ask(&root.trust(), HOST, &[der.into()]),
        TlsFault::InvalidCertificate,
        "a valid chain",
        "the signature on the certificate of CN=the leaf",
        "issued anew",
    );
}

#[test]
fn a_name_that_was_altered() {
    let root = Authority::new("the root");
    let mut der = root.leaf(&["www.example.org"]).to_vec();
    let at = der.windows(15).position(|window| window == b"www.example.org").unwrap();
    der[at + 12..at + 15].copy_from_slice(b"com");
    refused(
        ask(&root.trust(), HOST, &[der.into()]),
        TlsFault::InvalidCertificate,
        "a valid chain",
        "it was altered",
        "issued anew",
    );
}

#[test]
fn bytes_that_are_no_certificate() {
    let root = Authority::new("the root");
    for der in [&b"not a certificate"[..], &[], &root.leaf(&[HOST])[..200]] {
        refused(
            ask(&root.trust(), HOST, &[der.into()]),
            TlsFault::InvalidCertificate,
            "a valid chain",
            "certificate 1 of the chain is malformed",
            "issued anew",
        );
    }
}

#[test]
fn garbage_where_the_authority_should_be() {
    let root = Authority::new("the root");
    let between = root.authority("between");
    let error = ask(&root.trust(), HOST, &[between.leaf(&[HOST]), vec![0; 40].into()]).unwrap_err();
    assert_eq!(error.tls_fault(), Some(TlsFault::InvalidCertificate), "{error}");
    assert!(error.to_string().contains("certificate 2 of the chain is malformed"), "{error}");
}

/// The malformed certificate is not the reason for the refusal.
#[test]
fn garbage_beside_a_chain_is_not_blamed_for_something_else() {
    let root = Authority::new("the root");
    let expired = root.leaf_with(&[HOST], |params| params.not_after = date_time_ymd(2029, 1, 1));
    let garbage = CertificateDer::from(vec![0; 40]);
    let (other, stranger) = (root.leaf(&["other.example"]), root.leaf_with(&[HOST], for_clients));
    for (leaf, fault) in [
        (expired, TlsFault::Expired),
        (other, TlsFault::WrongName),
        (stranger, TlsFault::WrongPurpose),
    ] {
        let error = ask(&root.trust(), HOST, &[leaf, garbage.clone()]).unwrap_err();
        assert_eq!(error.tls_fault(), Some(fault), "{error}");
        assert!(!error.to_string().contains("malformed"), "{error}");
    }
    ask(&root.trust(), HOST, &[root.leaf(&[HOST]), garbage]).unwrap();
}

#[test]
fn a_critical_extension_that_nobody_knows() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[HOST], |params| {
        let mut strange = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        strange.set_criticality(true);
        params.custom_extensions.push(strange);
    });
    refused(
        ask(&root.trust(), HOST, &[leaf]),
        TlsFault::InvalidCertificate,
        "a valid chain",
        "a critical extension that is not known here",
        "issued anew",
    );
}

#[test]
fn a_key_that_is_not_pinned() {
    let root = Authority::new("the root");
    let trust = Trust::pinned([[7; 32], [8; 32]]).unwrap();
    refused(
        ask(&trust, HOST, &[root.leaf(&[HOST])]),
        TlsFault::PinMismatch,
        "a server with one of the 2 pinned keys",
        "received one with sha256//",
        "pin that with Trust::pinned",
    );
}

#[test]
fn names_that_a_terminal_would_obey() {
    let root = Authority::new("the root");
    let mut params = named("ok\u{1b}[2J\u{202e}", &[HOST]);
    params.is_ca = IsCa::NoCa;
    let error = ask(&root.trust(), HOST, &[self_signed(&params)]).unwrap_err().to_string();
    assert!(error.contains("CN=ok\\u{1b}[2J\\u{202e}"), "{error}");
    assert!(!error.chars().any(char::is_control), "{error:?}");
}

#[test]
fn names_without_end() {
    let root = Authority::new("the root");
    let names: Vec<String> = (0..400).map(|number| format!("n{number}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let error = ask(&root.trust(), HOST, &[root.leaf(&names)]).unwrap_err().to_string();
    assert!(error.contains("n0.example, n1.example"), "{error}");
    assert!(error.len() < 1_000, "{} bytes", error.len());

    let leaf = self_signed(&named(&"x".repeat(5_000), &[HOST]));
    let error = ask(&root.trust(), HOST, &[leaf]).unwrap_err().to_string();
    assert!(error.len() < 1_000, "{} bytes", error.len());
}
