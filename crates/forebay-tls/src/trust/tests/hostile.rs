//! Chains that are built to be searched forever.

use std::time::{Duration, Instant};

use forebay_io::TlsFault;

use super::{Authority, accept_any, ask, refused};

const HOST: &str = "www.example.com";

/// Many authorities of one name with as many keys (RUSTSEC-2023-0052). A search tries each behind each, for
/// 200,000 steps, unless the paths are counted before.
#[test]
fn a_chain_that_is_made_to_be_searched_is_given_up_quickly() {
    let root = Authority::new("the root");
    let ordinary = hundred_ordinary(&root);

    let first = Authority::root_with("same", |_| {});
    let mut hostile = vec![first.leaf(&[HOST])];
    for _ in 0..60 {
        hostile.push(Authority::new("same").der);
    }
    let began = Instant::now();
    refused(
        ask(&root.trust(), HOST, &hostile),
        TlsFault::InvalidCertificate,
        "a chain with few possible paths",
        "received 61 certificates with too many",
        "have the server send only its own chain",
    );
    let hostile = began.elapsed();
    assert!(hostile < 10 * ordinary, "{hostile:?}, where 100 ordinary ones take {ordinary:?}");
}

/// A certificate that only one of two parsers can read could hide the number of paths.
#[test]
fn among_many_all_have_to_be_readable() {
    let root = Authority::new("the root");
    let mut chain = vec![root.leaf(&[HOST])];
    chain.extend((0..5).map(|_| vec![0x30, 0].into()));
    refused(
        ask(&root.trust(), HOST, &chain),
        TlsFault::InvalidCertificate,
        "a chain with few possible paths",
        "certificate 2 of the chain is malformed",
        "have the server send only its own chain",
    );
    // Without a search, the number of paths does not matter.
    ask(&accept_any(), HOST, &chain).unwrap();
}

/// A certificate with any byte altered in any way is refused with an explanation.
#[test]
fn a_certificate_with_any_byte_altered_is_refused() {
    let root = Authority::new("the root");
    let (trust, good) = (root.trust(), root.leaf_with(&[HOST, "192.0.2.1"], super::for_servers));
    ask(&trust, HOST, std::slice::from_ref(&good)).unwrap();
    for at in 0..good.len() {
        for change in [0xff, 0x01, 0x80, good[at]] {
            let mut der = good.to_vec();
            der[at] ^= change;
            if der[..] == good[..] {
                continue;
            }
            let chain = [der.into(), root.der.clone()];
            let error = ask(&trust, HOST, &chain).expect_err("an altered certificate was believed");
            let text = error.to_string();
            assert!(error.tls_fault().is_some(), "byte {at}: {text}");
            assert!(text.len() < 2_000 && !text.chars().any(char::is_control), "{text:?}");
            // Another rule may accept the peer, and then its certificate is parsed for the user.
            let [altered, _] = &chain;
            drop(crate::PeerCertificate::parse(altered));
        }
    }
}

/// Below the number from which paths are counted, the search itself must be short.
#[test]
fn what_is_not_counted_is_searched_quickly() {
    let root = Authority::new("the root");
    let ordinary = hundred_ordinary(&root);

    // Each has the root's name and another key, so that all signatures are checked in every order.
    let forgers: Vec<_> = (0..4).map(|_| Authority::new("the root")).collect();
    let mut hostile = vec![forgers[0].leaf(&[HOST])];
    hostile.extend(forgers.iter().map(|authority| authority.der.clone()));
    let began = Instant::now();
    ask(&root.trust(), HOST, &hostile).unwrap_err();
    let hostile = began.elapsed();
    assert!(hostile < 10 * ordinary, "{hostile:?}, where 100 ordinary ones take {ordinary:?}");
}

/// The time that a hundred ordinary chains take on this machine.
fn hundred_ordinary(root: &Authority) -> Duration {
    let (trust, chain) = (root.trust(), [root.leaf(&[HOST])]);
    let began = Instant::now();
    for _ in 0..100 {
        ask(&trust, HOST, &chain).unwrap();
    }
    began.elapsed()
}
