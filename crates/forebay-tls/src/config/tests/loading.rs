//! The system's roots are read through `SSL_CERT_FILE`, which a process can only set for another:
//! so each of these tests is run again as one.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use forebay_io::ErrorKind;
use rustls::HandshakeKind;

use super::handshake::shake;
use crate::config::Store;
use crate::samples::Authority;
use crate::{Identity, TlsConfig, Trust};

const MARK: &str = "FOREBAY_TLS_ROOTS";

/// Runs a test in a process whose roots are `roots`, and says whether this is that process: then
/// the path of the file.
fn inside(test: &str, roots: &str) -> Option<PathBuf> {
    if let Some(path) = env::var_os(MARK) {
        return Some(path.into());
    }
    let path = env::temp_dir().join(format!("forebay-tls-{test}-{}.pem", std::process::id()));
    std::fs::write(&path, roots).unwrap();
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(MARK, &path)
        .env("SSL_CERT_FILE", &path)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{name} was not found: {said}");
    std::fs::remove_file(&path).unwrap_or_default();
    None
}

fn connect(client: &TlsConfig, store: &Store, server: &TlsConfig) -> HandshakeKind {
    let mut ours = client.client_connection(store, Some("localhost")).unwrap();
    let mut theirs = server.server_connection().unwrap();
    shake(&mut ours, &mut theirs).unwrap();
    ours.handshake_kind().unwrap()
}

/// A server whose root this process believes from now on, as its system's.
fn server(roots: &PathBuf) -> TlsConfig {
    let root = Authority::new("root of the system");
    std::fs::write(roots, root.pem()).unwrap();
    TlsConfig::server(Identity::from_pem(root.issue(&["localhost"]).both()).unwrap())
        .build()
        .unwrap()
}

#[test]
fn the_default_written_at_every_call_resumes() {
    let Some(roots) = inside("the_default_written_at_every_call_resumes", "") else { return };
    let server = server(&roots);
    let (store, other) = (Store::default(), Store::default());
    assert!(!TlsConfig::default().is_loaded(&store));
    TlsConfig::default().load(&store).unwrap();
    TlsConfig::default().load(&other).unwrap();
    assert!(TlsConfig::default().is_loaded(&store));
    assert_eq!(connect(&TlsConfig::default(), &store, &server), HandshakeKind::Full);
    assert_eq!(connect(&TlsConfig::default(), &store, &server), HandshakeKind::Resumed);
    assert_eq!(connect(&TlsConfig::default(), &other, &server), HandshakeKind::Full);
}

#[test]
fn roots_are_read_when_they_are_needed_and_once() {
    let Some(roots) = inside("roots_are_read_when_they_are_needed_and_once", "") else { return };
    // Nothing but an empty file is there to be read: building does not look.
    let own = TlsConfig::client().build().unwrap();
    let plus = Authority::new("another").pem();
    let plus = TlsConfig::client().trust(Trust::system_plus_pem(plus).unwrap()).build().unwrap();
    let server = server(&roots);
    let store = Arc::new(Store::default());
    let all = [TlsConfig::default(), own, plus];
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for config in &all {
                    config.load(&store).unwrap();
                }
            });
        }
    });
    let [first, second] = [store.default_client().unwrap(), store.default_client().unwrap()];
    assert!(Arc::ptr_eq(&first, &second));
    // What was read stays, whatever becomes of the file.
    std::fs::remove_file(&roots).unwrap();
    for config in &all {
        assert!(config.is_loaded(&store));
        config.load(&store).unwrap();
        assert_eq!(connect(config, &store, &server), HandshakeKind::Full);
        assert_eq!(connect(config, &store, &server), HandshakeKind::Resumed);
    }
    let late = TlsConfig::client().build().unwrap();
    late.load(&store).unwrap();
    assert_eq!(connect(&late, &store, &server), HandshakeKind::Full);
}

#[test]
fn a_failure_is_told_and_the_next_call_tries_again() {
    let test = "a_failure_is_told_and_the_next_call_tries_again";
    let Some(roots) = inside(test, "") else { return };
    let own = TlsConfig::client().build().unwrap();
    let store = Store::default();
    let all = [TlsConfig::default(), own];
    for config in &all {
        for _ in 0..2 {
            let error = config.load(&store).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
            assert!(!config.is_loaded(&store));
        }
    }
    let server = server(&roots);
    for config in &all {
        config.load(&store).unwrap();
        assert!(config.is_loaded(&store));
        assert_eq!(connect(config, &store, &server), HandshakeKind::Full);
        assert_eq!(connect(config, &store, &server), HandshakeKind::Resumed);
    }
}

/// A section that is no certificate, in front of one that is.
#[test]
fn a_bad_file_among_the_roots_costs_its_own_only() {
    let test = "a_bad_file_among_the_roots_costs_its_own_only";
    let Some(roots) = inside(test, "") else { return };
    let server = server(&roots);
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let good = std::fs::read_to_string(&roots).unwrap();
    std::fs::write(&roots, format!("{broken}{good}")).unwrap();
    let store = Store::default();
    TlsConfig::default().load(&store).unwrap();
    assert_eq!(connect(&TlsConfig::default(), &store, &server), HandshakeKind::Full);
}

#[test]
fn what_was_not_loaded_is_an_error_and_no_panic() {
    for config in [TlsConfig::default(), TlsConfig::client().build().unwrap()] {
        let store = Store::default();
        assert!(!config.is_loaded(&store));
        let error = config.client_connection(&store, Some("localhost")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(error.to_string().contains("before its roots were loaded"), "{error}");
    }
}

#[test]
fn what_needs_no_roots_of_the_system_is_loaded_when_it_is_built() {
    let (_root, client, server) = super::sides();
    let store = Store::default();
    for config in [client.build().unwrap(), server.build().unwrap()] {
        assert!(config.is_loaded(&store));
        config.load(&store).unwrap();
    }
    assert!(format!("{store:?}").contains("has_roots: false"));
}
