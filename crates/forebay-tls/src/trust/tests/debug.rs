//! What `Debug` shows.

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

#[test]
fn a_certificate_is_short_in_debug() {
    let root = Authority::new("the root");
    let names: Vec<String> = (0..2).map(|number| format!("n{number}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text = format!("{:?}", PeerCertificate::parse(&root.leaf(&names)));
    assert!(text.contains("CN=the leaf") && text.contains("n1.example"), "{text}");
    assert!(text.len() < 300, "{text}");
}
