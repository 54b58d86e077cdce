//! Chains that are made to be searched for ever.

use std::time::{Duration, Instant};

use forebay_io::TlsFault;

use super::{Authority, ask, refused};

const HOST: &str = "www.example.com";

/// Many authorities of one name with as many keys (RUSTSEC-2023-0052). A search tries each behind
/// each, 200,000 steps of it, unless somebody counts them before.
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
        "a chain with few ways through it",
        "came 61 certificates that make many",
        "have the server send only its own chain",
    );
    let hostile = began.elapsed();
    assert!(hostile < 10 * ordinary, "{hostile:?}, where 100 ordinary ones take {ordinary:?}");
}

/// Below the number that is counted, the search itself has to be short.
#[test]
fn what_is_not_counted_is_searched_quickly() {
    let root = Authority::new("the root");
    let ordinary = hundred_ordinary(&root);

    // Each of the root's name, but with another key, so that all signatures are checked in every
    // order.
    let forgers: Vec<_> = (0..4).map(|_| Authority::new("the root")).collect();
    let mut hostile = vec![forgers[0].leaf(&[HOST])];
    hostile.extend(forgers.iter().map(|authority| authority.der.clone()));
    let began = Instant::now();
    ask(&root.trust(), HOST, &hostile).unwrap_err();
    let hostile = began.elapsed();
    assert!(hostile < 10 * ordinary, "{hostile:?}, where 100 ordinary ones take {ordinary:?}");
}

/// The time that a hundred ordinary chains take, here and now.
fn hundred_ordinary(root: &Authority) -> Duration {
    let (trust, chain) = (root.trust(), [root.leaf(&[HOST])]);
    let began = Instant::now();
    for _ in 0..100 {
        ask(&trust, HOST, &chain).unwrap();
    }
    began.elapsed()
}
