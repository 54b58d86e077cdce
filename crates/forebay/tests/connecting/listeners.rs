//! Listeners in trouble: shut down through another handle, and out of descriptors while
//! peers that say nothing hold them all.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::{Error, ErrorKind, Result, SelectorManager, ServerSocket};
use forebay_testing::{
    alone, descriptors, in_host, lock, other_handles_of_new_sockets, settle, tls::Configs,
    unix::Directory, until_that, watched,
};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Resource, Rlimit, setrlimit};

fn run(test: impl AsyncFnOnce(SelectorManager) -> Result<()> + Send + 'static) {
    watched(|| in_host(test)).unwrap();
}

// ---- shut down ----------------------------------------------------------------------------------

/// Returns the errors of an `accept` that waits when its listener is shut down, and of the next one.
async fn shut_down_under_accept(
    selector: &SelectorManager,
    server: &ServerSocket,
    also: &OwnedFd,
    how: Shutdown,
) -> Result<[Error; 2]> {
    let waiting = server.clone();
    let waiting = selector.spawn_value(async move { waiting.accept().await.map(drop) });
    settle().await;
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
            let also = other_handles_of_new_sockets(&before);
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
                let also = other_handles_of_new_sockets(&before);
                let errors = shut_down_under_accept(&selector, &server, &also[0], how);
                assert_says_it(errors.await?);
                assert!(!server.is_closed());
            }
            Ok(())
        });
    });
}

/// The connections in the backlog are accepted first.
#[test]
fn connections_from_before_the_shutdown_are_accepted() {
    const CLIENTS: usize = 3;
    alone("connections_from_before_the_shutdown_are_accepted", || {
        run(async |selector| {
            let directory = Directory::new();
            let path: &Path = &directory.join("server");
            let before = descriptors();
            let server = selector.unix().bind(path).await?;
            let also = other_handles_of_new_sockets(&before);
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
            settle().await;
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

// ---- out of descriptors -------------------------------------------------------------------------

/// Descriptors that the process may have.
const LIMIT: u64 = 96;
/// Peers that connect to a TLS server and say nothing.
const SILENT: usize = 24;
/// Connections that the server has descriptors for.
const ROOM: usize = 8;

/// Leaves descriptors for so many.
fn leave_descriptors(count: usize) -> Vec<File> {
    let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut others: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    others.truncate(others.len() - count);
    others
}

#[test]
fn silent_peers_with_every_descriptor_keep_nobody_out() {
    alone("silent_peers_with_every_descriptor_keep_nobody_out", || {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let reports = Arc::clone(&reported);
        let builder = SelectorManager::builder().workers(1).on_task_error(move |error| {
            lock(&reports).push((error.kind(), error.to_string()));
        });
        let test = async move |selector: SelectorManager| {
            let hour = Duration::from_secs(3600);
            let configs = Configs::with(|it| it, |it| it.handshake_timeout(hour));
            let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
            let dial = |_| TcpStream::connect(("127.0.0.1", server.port())).unwrap();
            let _silent: Vec<_> = (0..SILENT).map(dial).collect();
            // The last in the backlog, behind all the others.
            let address = server.local_address();
            let honest = selector.tcp().connect(&address).await?;
            let _others = leave_descriptors(ROOM);
            let handling = selector.clone();
            selector
                .spawn(async move {
                    let mut incoming = server.incoming();
                    while let Some(socket) = incoming.next().await {
                        let socket = socket?;
                        let echo = async move {
                            socket.handshake().await?;
                            let mut it = socket.connection()?;
                            it.input.copy_to(&mut it.output).await?;
                            socket.close().await
                        };
                        handling.spawn(echo).detach();
                    }
                    Ok(())
                })
                .detach();
            let talk = async {
                let mut it = honest.tls(&configs.client).await?.connection()?;
                it.output.write_str("hello\n").await?;
                assert_eq!(it.input.read_line().await?.as_deref(), Some("hello"));
                Ok(())
            };
            selector.timeout(Duration::from_secs(10), talk).await?;
            // As many as had to: the others are waited for still. (Accepting pauses, too, until the
            // tasks of those it has just accepted have run.)
            let ended = || {
                let reported = lock(&reported).clone();
                let is_pause = |it: &(_, String)| it.1.contains("trying again");
                reported.into_iter().filter(|it| !is_pause(it)).collect::<Vec<_>>()
            };
            until_that("they are told", || ended().len() >= SILENT + 1 - ROOM).await;
            assert_eq!(ended().len(), SILENT + 1 - ROOM);
            for (kind, text) in ended() {
                assert_eq!(kind, ErrorKind::Exhausted, "{text}");
                assert!(text.contains("no descriptor") && text.contains("oldest"), "{text}");
            }
            // Connecting finds a descriptor in the same way.
            selector.tcp().connect(&address).await?;
            Ok::<_, Error>(())
        };
        watched(move || builder.run(test)).unwrap();
    });
}
