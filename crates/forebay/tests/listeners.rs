//! What becomes of a listener that is shut down through another handle of it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

mod vocabulary;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use forebay::{Error, ErrorKind, Result, SelectorManager, ServerSocket};
use futures_lite::future::yield_now;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use vocabulary::unix::Directory;
use vocabulary::{alone, descriptors, watched};

fn run(test: impl AsyncFnOnce(SelectorManager) -> Result<()> + Send + 'static) {
    watched(|| forebay::run(test)).unwrap();
}

// ---- shut down ----------------------------------------------------------------------------------

/// Other handles of the sockets that came to be since.
fn other_handles(before: &[(String, String)]) -> Vec<OwnedFd> {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let is_new = |it: &(String, String)| it.1.starts_with("socket:") && !before.contains(it);
    let new = descriptors().into_iter().filter(is_new);
    new.map(|(number, _)| {
        pidfd_getfd(&this, number.parse().unwrap(), PidfdGetfdFlags::empty()).unwrap()
    })
    .collect()
}

/// What a call of `accept` says that waits when its listener is shut down, and what the next one says.
async fn shut_down_under_accept(
    selector: &SelectorManager,
    server: &ServerSocket,
    also: &OwnedFd,
    how: Shutdown,
) -> Result<[Error; 2]> {
    let waiting = server.clone();
    let waiting = selector.spawn_value(async move { waiting.accept().await.map(drop) });
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!waiting.is_finished());
    shutdown(also, how).unwrap();
    Ok([waiting.await?.unwrap_err(), server.accept().await.map(drop).unwrap_err()])
}

fn assert_says_it(errors: [Error; 2]) {
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("shut down"), "{error}");
    }
}

#[test]
fn a_tcp_listener_that_was_shut_down_says_so() {
    alone("a_tcp_listener_that_was_shut_down_says_so", || {
        run(async |selector| {
            let before = descriptors();
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let also = other_handles(&before);
            let errors = shut_down_under_accept(&selector, &server, &also[0], Shutdown::Read);
            assert_says_it(errors.await?);
            assert!(!server.is_closed());
            Ok(())
        });
    });
}

#[test]
fn a_unix_listener_that_was_shut_down_says_so() {
    alone("a_unix_listener_that_was_shut_down_says_so", || {
        run(async |selector| {
            for how in [Shutdown::Read, Shutdown::Both] {
                let directory = Directory::new();
                let before = descriptors();
                let server = selector.unix().bind(directory.join("server")).await?;
                let also = other_handles(&before);
                let errors = shut_down_under_accept(&selector, &server, &also[0], how);
                assert_says_it(errors.await?);
                assert!(!server.is_closed());
            }
            Ok(())
        });
    });
}

/// What was in the backlog is accepted first.
#[test]
fn connections_from_before_the_shutdown_are_accepted() {
    const CLIENTS: usize = 3;
    alone("connections_from_before_the_shutdown_are_accepted", || {
        run(async |selector| {
            let directory = Directory::new();
            let path: &Path = &directory.join("server");
            let before = descriptors();
            let server = selector.unix().bind(path).await?;
            let also = other_handles(&before);
            let waiting = server.clone();
            let accepting = selector.spawn_value(async move {
                let mut accepted = 0;
                loop {
                    match waiting.accept().await {
                        Ok(_) => accepted += 1,
                        Err(error) => return (accepted, error),
                    }
                }
            });
            for _ in 0..100 {
                yield_now().await;
            }
            // All of it in one look of the worker's.
            let _clients = [(); CLIENTS].map(|()| UnixStream::connect(path).unwrap());
            shutdown(&also[0], Shutdown::Read).unwrap();
            let (accepted, error) = accepting.await?;
            assert_eq!(accepted, CLIENTS);
            assert_says_it([error.clone(), error]);
            Ok(())
        });
    });
}
