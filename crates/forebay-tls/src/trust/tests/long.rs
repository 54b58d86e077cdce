//! Chains with many authorities.

use forebay_io::TlsFault;
use rustls::pki_types::CertificateDer;

use super::{Authority, ask, pem, refused};
use crate::Trust;

const HOST: &str = "www.example.com";

/// A root, this many authorities below it, and a certificate issued by the last.
fn long_chain(authorities: usize) -> (Authority, Vec<CertificateDer<'static>>) {
    let root = Authority::new("the root");
    let mut chain = Vec::new();
    let mut last = root.authority("authority 1");
    for number in 2..=authorities {
        let next = last.authority(&format!("authority {number}"));
        chain.insert(0, last.der);
        last = next;
    }
    chain.insert(0, last.der.clone());
    chain.insert(0, last.leaf(&[HOST]));
    (root, chain)
}

#[test]
fn a_long_chain_is_believed_up_to_a_limit_that_is_named() {
    let (root, chain) = long_chain(6);
    ask(&root.trust(), HOST, &chain).unwrap();
    for authorities in [7, 12] {
        let (root, chain) = long_chain(authorities);
        let with_root: Vec<_> = chain.iter().chain([&root.der]).cloned().collect();
        for chain in [&chain, &with_root] {
            refused(
                ask(&root.trust(), HOST, chain),
                TlsFault::InvalidCertificate,
                "at most 6 authorities between the server's certificate and a trusted root",
                &format!("the chain has {authorities}"),
                "trust one of them with Trust::roots_pem",
            );
        }
        // An authority that is trusted is a root, however many are above it.
        let nearer = Trust::roots_pem(pem(&chain[3])).unwrap();
        ask(&nearer, HOST, &chain).unwrap();
    }
    // A chain that ends in an unknown root is refused for that reason first.
    let (_, chain) = long_chain(3);
    let error = ask(&Authority::new("another").trust(), HOST, &chain).unwrap_err();
    assert_eq!(error.tls_fault(), Some(TlsFault::IncompleteChain), "{error}");
}
