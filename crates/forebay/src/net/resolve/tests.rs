use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_lite::future::block_on;
use nix::libc;

use super::*;
use crate::SelectorManager;
use crate::net::address::ToAddress;

fn address(text: &str) -> Address {
    text.to_address().expect("a well-formed address")
}

#[test]
fn a_literal_touches_neither_the_resolver_nor_the_pool() {
    let pool = BlockingPool::for_own_calls();
    pool.close();
    for text in ["127.0.0.1:80", "[::1]:80", "[fe80::1%7]:0"] {
        let found = block_on(resolve(&pool, &address(text))).expect("a literal");
        assert_eq!(found, [text.parse().expect("std reads it too")]);
    }
    assert_eq!(pool.stats().threads, 0);
}

#[test]
fn localhost_resolves_on_the_pool_to_loopback() {
    let pool = BlockingPool::for_own_calls();
    let found = block_on(resolve(&pool, &address("localhost:80"))).expect("every host has it");
    assert!(!found.is_empty());
    for address in found {
        assert!(address.ip().is_loopback() && address.port() == 80, "{address}");
    }
    assert_eq!(pool.stats().threads, 1);
}

#[test]
fn a_failed_look_up_names_the_host_and_keeps_the_cause() {
    let missing = address("missing.example:80");
    for (code, kind) in [
        (libc::EAI_NONAME, ErrorKind::NotFound),
        (libc::EAI_AGAIN, ErrorKind::LookUpFailed),
        (libc::EAI_FAIL, ErrorKind::LookUpFailed),
        (libc::EAI_MEMORY, ErrorKind::Exhausted),
        (libc::EAI_FAMILY, ErrorKind::System),
    ] {
        let error = answer(&missing, Err(LookupError::new(code))).expect_err("it failed");
        assert_eq!(error.kind(), kind);
        let cause = error.source().expect("the system's").to_string();
        // The kind `System` has no words besides the system's; the detail says what to do.
        let text = match kind {
            ErrorKind::NotFound => format!("{kind} ({cause}): {CHECK_THE_NAME}"),
            ErrorKind::LookUpFailed => format!("{kind} ({cause}): {CHECK_THE_SERVERS}"),
            ErrorKind::System => cause,
            _ => format!("{kind} ({cause})"),
        };
        assert_eq!(error.to_string(), format!("resolve missing.example:80: {text}"));
    }
}

#[test]
fn an_address_is_tried_once() {
    let [one, two] = ["127.0.0.1:80", "[::1]:80"].map(|it| it.parse().expect("an address"));
    let found = answer(&address("localhost:80"), Ok(vec![one, two, one])).expect("addresses");
    assert_eq!(found, [one, two]);
}

#[test]
fn an_empty_answer_is_an_error() {
    let error = answer(&address("empty.example:80"), Ok(Vec::new())).expect_err("no address");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("empty.example:80"), "{error}");
}

#[test]
fn a_closed_pool_refuses_the_look_up_and_names_the_host() {
    let pool = BlockingPool::for_own_calls();
    pool.close();
    let error = block_on(resolve(&pool, &address("localhost:80"))).expect_err("closed");
    assert!(error.is_closed());
    assert_eq!(error.address(), Some("localhost:80"));
}

#[test]
fn a_closing_selector_answers_a_wait_for_a_look_up_with_closed() {
    let builder = SelectorManager::builder().drain(Duration::from_secs(20), 0);
    let selector = builder.build().expect("a selector");
    let pool = selector.shared().own_calls();
    let (open, gate) = (0..16).map(|_| mpsc::channel::<()>()).unzip::<_, _, Vec<_>, Vec<_>>();
    // Every thread is in a look-up whose name server is silent.
    let silent = gate.into_iter().map(|gate| run_blocking(pool, "test", move || gate.recv()));
    let silent: Vec<_> = silent.collect();
    selector.block_on(async {
        let begun = Arc::new(AtomicUsize::new(0));
        let waiting = [true, false].map(|connects| {
            let (selector, begun) = (selector.clone(), Arc::clone(&begun));
            selector.clone().spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                if connects {
                    selector.tcp().connect("localhost:1").await.map(drop)
                } else {
                    selector.tcp().bind("localhost:0").await.map(drop)
                }
            })
        });
        while begun.load(Ordering::SeqCst) < 2 {
            futures_lite::future::yield_now().await;
        }
        selector.close().await;
        for wait in waiting {
            let error = wait.await.expect_err("closed");
            assert!(error.is_closed(), "{error}");
        }
    });
    drop((open, silent));
}

#[test]
fn the_future_is_send() {
    fn is_send(_: &impl Send) {}
    is_send(&resolve(&BlockingPool::for_own_calls(), &address("localhost:80")));
}
