//! Peers that the program itself accepts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use forebay_io::{Error, TlsFault};

use super::{Authority, ask, ask_client};
use crate::Trust;

const HOST: &str = "www.example.com";

#[test]
fn a_programs_verifier_sees_the_chain_and_the_name() {
    let root = Authority::new("the root");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let trust = Trust::verifier(move |chain| {
        let subjects = chain.certificates().iter().map(|c| c.subject().to_owned()).collect();
        let names = chain.certificates()[0].names().to_vec();
        let server = chain.server_name().map(ToOwned::to_owned);
        noted.lock().unwrap().push((server, subjects, names));
        Ok(())
    });
    let leaf = root.leaf(&["a.example", "192.0.2.1"]);
    ask(&trust, HOST, &[leaf.clone(), root.der.clone()]).unwrap();
    ask_client(&trust, &[leaf]).unwrap();
    let names = vec!["a.example".to_owned(), "192.0.2.1".to_owned()];
    let expected: [(Option<String>, Vec<String>, Vec<String>); 2] = [
        (Some(HOST.into()), vec!["CN=the leaf".into(), "CN=the root".into()], names.clone()),
        (None, vec!["CN=the leaf".into()], names),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn a_programs_refusal_is_told_and_kept() {
    let root = Authority::new("the root");
    let trust = Trust::verifier(|_| Err(Error::other("this one is on holiday")));
    let result = ask(&trust, HOST, &[root.leaf(&[HOST])]);
    let source = std::error::Error::source(result.as_ref().unwrap_err()).unwrap().to_string();
    assert_eq!(source, "this one is on holiday");
    let text = result.as_ref().unwrap_err().to_string();
    assert_eq!(result.unwrap_err().tls_fault(), Some(TlsFault::RefusedByVerifier));
    assert!(text.contains("expected a server that"), "{text}");
    assert!(text.contains("but it said: this one is on holiday"), "{text}");
}

#[test]
fn a_panic_of_the_programs_leaves_nothing_behind() {
    let root = Authority::new("the root");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let trust = Trust::verifier(move |_| {
        assert!(counted.fetch_add(1, Ordering::Relaxed) > 0, "the first peer is one too many");
        Ok(())
    });
    let leaf = [root.leaf(&[HOST])];
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(&trust, HOST, &leaf)));
    assert!(asked.is_err());
    ask(&trust, HOST, &leaf).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
