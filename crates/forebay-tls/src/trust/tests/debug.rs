//! The output of `Debug`.

use super::{Authority, provider};
use crate::{PeerCertificate, Trust};

#[test]
fn debug_says_what_is_trusted() {
    let root = Authority::new("the root");
    let cases = [
        (Trust::pinned([[7; 32], [8; 32]]).unwrap(), "Trust::pinned(2 pins)"),
        (Trust::system(), "Trust::system"),
        (root.trust(), "Trust::roots(1 roots)"),
        (Trust::verifier(|_| Ok(())), "Trust::verifier"),
        (Trust::dangerous_accept_any(), "Trust::dangerous_accept_any"),
    ];
    for (trust, expected) in cases {
        assert_eq!(format!("{trust:?}"), expected);
        if !trust.needs_loading() {
            let verifier = trust.server_verifier(&provider(), None).unwrap();
            assert!(format!("{verifier:?}").starts_with("Verifier"));
        }
    }
}

#[cfg(feature = "webpki-roots")]
#[test]
fn the_roots_of_mozilla_are_many_and_vouch_for_servers() {
    let trust = Trust::mozilla();
    assert_eq!(format!("{trust:?}"), "Trust::mozilla");
    trust.server_verifier(&provider(), None).unwrap();
    trust.client_verifier(&provider(), true).unwrap_err();
    let root = Authority::new("the root");
    let error = super::ask(&trust, "a.example", &[root.leaf(&["a.example"])]).unwrap_err();
    assert_eq!(error.tls_fault(), Some(forebay_io::TlsFault::IncompleteChain));
}

#[test]
fn a_certificate_is_short_in_debug() {
    let root = Authority::new("the root");
    let names: Vec<String> = (0..2).map(|number| format!("n{number}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text = format!("{:?}", PeerCertificate::parse(&root.leaf(&names)));
    assert!(text.contains("CN=the leaf") && text.contains("n1.example"), "{text}");
    assert!(text.len() < 300, "{text}");
}
