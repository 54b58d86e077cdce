//! The system's roots, and additional roots.
//!
//! Which roots a system has cannot be chosen from within a process without danger, because its
//! environment belongs to all threads. So the tests run themselves again, with another environment.

use std::process::Command;

use forebay_io::{ErrorKind, TlsFault};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Authority, SystemRoots, ask, ask_loaded, pem, provider, refused};
use crate::Trust;

const HOST: &str = "www.example.com";

/// Set in the child, to a file of: a root, a leaf of it, and a root that the system does not have.
const CHILD: &str = "FOREBAY_TEST_SYSTEM_ROOTS";

/// Runs one test of this file again in a process with these roots as the system's.
fn again(test: &str, roots: &str, chain: &str) -> bool {
    let folder = std::env::temp_dir();
    let files = ["roots", "chain"]
        .map(|name| folder.join(format!("forebay-{test}-{}-{name}.pem", std::process::id())));
    std::fs::write(&files[0], roots).unwrap();
    std::fs::write(&files[1], chain).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("trust::tests::system::{test}"), "--nocapture"])
        .env("SSL_CERT_FILE", &files[0])
        .env_remove("SSL_CERT_DIR")
        .env(CHILD, &files[1])
        .output()
        .unwrap();
    for file in &files {
        std::fs::remove_file(file).unwrap();
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn chain() -> Option<Vec<CertificateDer<'static>>> {
    let path = std::env::var_os(CHILD)?;
    Some(CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect())
}

#[test]
fn what_the_system_trusts_is_trusted_and_what_is_given_besides() {
    let Some(chain) = chain() else {
        let (system, own) = (Authority::new("the system's"), Authority::new("our own"));
        let certificates = [&system.leaf(&[HOST]), &own.leaf(&[HOST]), &own.der];
        let chain: String = certificates.iter().map(|der| pem(der)).collect();
        let test = "what_the_system_trusts_is_trusted_and_what_is_given_besides";
        assert!(again(test, &pem(&system.der), &chain));
        return;
    };
    let [of_system, of_own, own] = &chain[..] else { panic!("three certificates were written") };
    let roots = SystemRoots::load(&provider()).unwrap();
    let ask = |trust: &Trust, host, leaf: &CertificateDer<'static>| {
        ask_loaded(trust, Some(&roots), host, std::slice::from_ref(leaf))
    };

    let trust = Trust::system();
    ask(&trust, HOST, of_system).unwrap();
    let incomplete = TlsFault::IncompleteChain;
    refused(ask(&trust, HOST, of_own), incomplete, "a trusted root", "CN=our own", "send");
    refused(
        ask(&trust, "elsewhere.example", of_system),
        TlsFault::WrongName,
        "a certificate for elsewhere.example",
        "the server's is for www.example.com",
        "connect to such a name",
    );

    let trust = Trust::system_plus_pem(pem(own)).unwrap();
    ask(&trust, HOST, of_system).unwrap();
    ask(&trust, HOST, of_own).unwrap();
    let wrong = ask(&trust, "elsewhere.example", of_own).unwrap_err();
    assert_eq!(wrong.tls_fault(), Some(TlsFault::WrongName));
    let stranger = Authority::new("a stranger").leaf(&[HOST]);
    let unknown = ask(&trust, HOST, &stranger).unwrap_err();
    assert_eq!(unknown.tls_fault(), Some(incomplete));
}

#[test]
fn a_system_without_roots_says_so() {
    if std::env::var_os(CHILD).is_none() {
        assert!(again("a_system_without_roots_says_so", "", ""));
        return;
    }
    let error = SystemRoots::load(&provider()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("install the package ca-certificates"), "{error}");
}

#[test]
fn a_servers_purpose_is_asked_of_the_system_too() {
    let Some(chain) = chain() else {
        let system = Authority::new("the system's");
        let leaf = system.leaf_with(&[HOST], super::for_clients);
        let test = "a_servers_purpose_is_asked_of_the_system_too";
        assert!(again(test, &pem(&system.der), &pem(&leaf)));
        return;
    };
    let roots = SystemRoots::load(&provider()).unwrap();
    refused(
        ask_loaded(&Trust::system(), Some(&roots), HOST, &chain),
        TlsFault::WrongPurpose,
        "server authentication",
        "CN=the leaf is for client authentication",
        "serverAuth",
    );
}

#[test]
fn nobody_is_believed_before_the_roots_are_loaded() {
    let root = Authority::new("the root");
    let error = ask(&Trust::system(), HOST, &[root.leaf(&[HOST])]).unwrap_err();
    assert!(error.to_string().contains("expected the system's roots to be loaded"), "{error}");
    assert!(Trust::system().needs_loading());
    assert!(!root.trust().needs_loading());
}
