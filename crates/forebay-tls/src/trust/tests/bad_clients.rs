//! Clients that are refused.

use forebay_io::{ErrorKind, TlsFault};
use rcgen::date_time_ymd;

use super::{
    Authority, ask_client, for_clients, for_servers, named, provider, refused, self_signed,
};
use crate::Trust;

#[test]
fn an_expired_client() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[], |params| {
        for_clients(params);
        params.not_after = date_time_ymd(2029, 3, 1);
    });
    refused(
        ask_client(&root.trust(), &[leaf]),
        TlsFault::Expired,
        "valid at 2030-01-01",
        "CN=the leaf expired on 2029-03-01 00:00:00 UTC",
        "have the client send a renewed certificate",
    );
}

#[test]
fn a_client_of_somebody_else() {
    let (root, stranger) = (Authority::new("the root"), Authority::new("a stranger"));
    refused(
        ask_client(&root.trust(), &[stranger.leaf_with(&[], for_clients)]),
        TlsFault::IncompleteChain,
        "a chain that leads to a trusted root",
        "CN=a stranger, the issuer of the last certificate",
        "have the client send the certificate of CN=a stranger too",
    );
}

#[test]
fn a_client_with_a_root_of_its_own() {
    let (root, stranger) = (Authority::new("the root"), Authority::new("a stranger"));
    let chain = [stranger.leaf_with(&[], for_clients), stranger.der.clone()];
    refused(
        ask_client(&root.trust(), &chain),
        TlsFault::UntrustedRoot,
        "a trusted root",
        "CN=a stranger, which is not trusted here",
        "Trust::roots_pem",
    );
}

#[test]
fn a_client_that_signed_itself() {
    let root = Authority::new("the root");
    refused(
        ask_client(&root.trust(), &[self_signed(&named("somebody", &[]))]),
        TlsFault::SelfSigned,
        "a certificate that a trusted root vouches for",
        "CN=somebody was issued by itself",
        "Trust::roots_pem",
    );
}

#[test]
fn a_servers_certificate_at_a_client() {
    let root = Authority::new("the root");
    refused(
        ask_client(&root.trust(), &[root.leaf_with(&[], for_servers)]),
        TlsFault::WrongPurpose,
        "certificates for client authentication",
        "CN=the leaf is for server authentication",
        "extended key usage clientAuth",
    );
}

#[test]
fn a_client_whose_key_is_not_pinned() {
    let root = Authority::new("the root");
    let trust = Trust::pinned([[7; 32]]).unwrap();
    refused(
        ask_client(&trust, &[root.leaf_with(&[], for_clients)]),
        TlsFault::PinMismatch,
        "a client with the pinned key",
        "received one with sha256//",
        "Trust::pinned",
    );
}

#[test]
fn the_systems_roots_do_not_vouch_for_clients() {
    let error = Trust::system().client_verifier(&provider(), true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("name yours with Trust::roots_pem"), "{error}");
}

#[test]
fn a_required_client_is_required_and_an_optional_one_is_not() {
    let trust = Authority::new("the root").trust();
    for required in [true, false] {
        let verifier = trust.client_verifier(&provider(), required).unwrap();
        assert!(verifier.offer_client_auth());
        assert_eq!(verifier.client_auth_mandatory(), required);
        assert_eq!(verifier.root_hint_subjects().len(), 1);
    }
}
