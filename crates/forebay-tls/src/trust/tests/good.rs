//! Peers that are accepted.

use rcgen::{GeneralSubtree, KeyPair, NameConstraints, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::{Authority, ask, ask_client, for_clients, for_servers, named, pem, self_signed};
use crate::Trust;

const HOST: &str = "www.example.com";

#[test]
fn a_certificate_of_a_trusted_root() {
    let root = Authority::new("the root");
    ask(&root.trust(), HOST, &[root.leaf(&[HOST])]).unwrap();
}

#[test]
fn a_certificate_with_its_root_beside_it() {
    let root = Authority::new("the root");
    ask(&root.trust(), HOST, &[root.leaf(&[HOST]), root.der.clone()]).unwrap();
}

#[test]
fn a_chain_of_two_authorities() {
    let root = Authority::new("the root");
    let upper = root.authority("upper");
    let lower = upper.authority("lower");
    ask(&root.trust(), HOST, &[lower.leaf(&[HOST]), lower.der.clone(), upper.der.clone()]).unwrap();
}

#[test]
fn a_chain_out_of_order() {
    let root = Authority::new("the root");
    let upper = root.authority("upper");
    let lower = upper.authority("lower");
    let chain = [lower.leaf(&[HOST]), root.der.clone(), upper.der.clone(), lower.der.clone()];
    ask(&root.trust(), HOST, &chain).unwrap();
}

#[test]
fn a_chain_with_a_stranger_in_it() {
    let (root, stranger) = (Authority::new("the root"), Authority::new("a stranger"));
    let between = root.authority("between");
    let chain = [between.leaf(&[HOST]), stranger.der.clone(), between.der.clone()];
    ask(&root.trust(), HOST, &chain).unwrap();
}

#[test]
fn an_authority_that_is_trusted_as_a_root() {
    let root = Authority::new("the root");
    let between = root.authority("between");
    ask(&between.trust(), HOST, &[between.leaf(&[HOST])]).unwrap();
}

/// Signed by an old root and by a new one; only the new one is trusted.
#[test]
fn an_authority_that_two_roots_have_signed() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let between = old.authority("between");
    let crossed = between.params.signed_by(&between.key, &new.issuer()).unwrap().der().clone();
    let chain = [between.leaf(&[HOST]), between.der.clone(), crossed];
    ask(&new.trust(), HOST, &chain).unwrap();
    ask(&old.trust(), HOST, &chain).unwrap();
}

#[test]
fn a_self_signed_certificate_that_is_trusted_itself() {
    let leaf = self_signed(&named("the server", &[HOST]));
    ask(&Trust::roots_pem(pem(&leaf)).unwrap(), HOST, &[leaf]).unwrap();
}

#[test]
fn one_root_of_several() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let trust = Trust::roots_pem(pem(&first.der) + "between them\n" + &pem(&second.der)).unwrap();
    ask(&trust, HOST, &[first.leaf(&[HOST])]).unwrap();
    ask(&trust, HOST, &[second.leaf(&[HOST])]).unwrap();
}

#[test]
fn a_wildcard_an_address_and_a_name_in_one_certificate() {
    let root = Authority::new("the root");
    let leaf = root.leaf(&["*.example.com", "192.0.2.1", "2001:db8::1", "example.com"]);
    for host in [HOST, "192.0.2.1", "2001:db8::1", "example.com", "EXAMPLE.com"] {
        ask(&root.trust(), host, std::slice::from_ref(&leaf)).unwrap();
    }
}

#[test]
fn a_certificate_for_servers_and_clients() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[HOST], |params| {
        for_servers(params);
        params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
    });
    ask(&root.trust(), HOST, std::slice::from_ref(&leaf)).unwrap();
    ask_client(&root.trust(), &[leaf]).unwrap();
}

#[test]
fn keys_of_other_kinds() {
    let root = Authority::new("the root");
    for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(kind).unwrap();
        ask(&root.trust(), HOST, &[root.leaf_for(&key, &[HOST], |_| {})]).unwrap();
    }
}

#[test]
fn a_name_that_the_authority_may_vouch_for() {
    let root = Authority::new("the root");
    let between = root.authority_with("between", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    ask(&root.trust(), HOST, &[between.leaf(&[HOST]), between.der.clone()]).unwrap();
}

#[test]
fn clients_of_a_trusted_root() {
    let root = Authority::new("the root");
    let between = root.authority("between");
    ask_client(&root.trust(), &[root.leaf_with(&[], for_clients)]).unwrap();
    ask_client(&root.trust(), &[root.leaf(&[])]).unwrap();
    let chain = [between.leaf_with(&[], for_clients), between.der.clone()];
    ask_client(&root.trust(), &chain).unwrap();
}
