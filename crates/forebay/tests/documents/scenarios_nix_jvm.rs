//! The behaviour that Ktor's own tests of its sockets pin (ktor-network, nix and JVM), restated.
//!
//! Each test is named after its row, and its comment holds the row's id. Rows that are elsewhere, or
//! wait:
//!
//! - `ClientSocketTest#testSelfConnect`: `connecting/self_connect.rs`, because the kernel connects a socket to
//!   itself reliably only in a network namespace of its own.
//! - `UdpSocketTestNix#testDescriptorClose`: waits for UDP sockets.

use std::future::pending;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

use forebay::testing::TestClock;
use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{
    Signal, await_that, connected, counted_alone, descriptors, settle, socket_descriptors,
    until_that, watched, worker_threads,
};
use futures_lite::future::{self, poll_once, yield_now, zip};

const STEP: Duration = Duration::from_millis(50);

/// A selector whose time the test owns.
fn with_clock() -> (SelectorManager, TestClock) {
    let clock = TestClock::new();
    (SelectorManager::builder().clock(clock.clone()).build().unwrap(), clock)
}

// ---- descriptors ---------------------------------------------------------------------------------------

/// True while this number is open; `fcntl(F_GETFL)` would say `EBADF` else.
fn is_open(number: &str) -> bool {
    descriptors().iter().any(|(open, _)| open == number)
}

/// `TcpSocketTestNix#testDescriptorClose`
#[test]
fn tcp_socket_test_nix_descriptor_close() {
    counted_alone("tcp_socket_test_nix_descriptor_close", || {
        let selector = SelectorManager::new();
        let server = selector.block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        let sockets = socket_descriptors();
        assert_eq!(sockets.len(), 1);
        server.close();
        selector.block_on(async {
            selector.close().await;
            server.closed().await;
        });
        assert!(!is_open(&sockets[0].0), "{sockets:?}");
    });
}

/// `TcpSocketTestNix#testDescriptorCloseWithClientAndReadChannel`
#[test]
fn tcp_socket_test_nix_descriptor_close_with_client_and_read_channel() {
    let name = "tcp_socket_test_nix_descriptor_close_with_client_and_read_channel";
    counted_alone(name, || {
        let selector = SelectorManager::new();
        selector.block_on(async {
            let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
            let connecting = selector.tcp().connect(server.local_address());
            let (accepted, client) = zip(server.accept(), connecting).await;
            let (accepted, client) = (accepted.unwrap(), client.unwrap());
            let _client_input = client.open_read_channel().unwrap();
            let _accepted_input = accepted.open_read_channel().unwrap();
            let sockets = socket_descriptors();
            assert_eq!(sockets.len(), 3);

            let (ended, ended_too) = zip(client.close(), accepted.close()).await;
            ended.unwrap();
            ended_too.unwrap();
            server.close();
            selector.close().await;
            for (number, target) in sockets {
                assert!(!is_open(&number), "{number}: {target}");
            }
        });
    });
}

/// `TcpSocketTestNix#testDescriptorErrorDoesNotFailOtherSockets`
#[test]
fn tcp_socket_test_nix_descriptor_error_does_not_fail_other_sockets() {
    const PATIENCE: Duration = Duration::from_millis(500);
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let first = selector.tcp().bind("127.0.0.1:0").await.unwrap();
            let second = selector.tcp().bind("127.0.0.1:0").await.unwrap();
            let accepting = first.clone();
            let failed = selector.spawn_value(async move { accepting.accept().await });
            let (waiting, accepting) = (selector.clone(), second.clone());
            let other = selector
                .spawn_value(async move { waiting.timeout(PATIENCE, accepting.accept()).await });
            until_that("both wait", || selector.stats().timers == 1).await;
            yield_now().await;

            first.close();
            assert!(failed.await.unwrap().is_err_and(|error| error.is_closed()));
            settle().await;
            assert!(!other.is_finished(), "the other socket failed too");
            clock.advance(PATIENCE);
            assert!(other.await.unwrap().is_err_and(|error| error.is_timeout()));
            // It not only waited, it works.
            let connecting = selector.tcp().connect(second.local_address());
            let (accepted, client) = zip(second.accept(), connecting).await;
            assert_eq!(accepted.unwrap().remote_address(), client.unwrap().local_address());
        });
    });
}

// ---- the selector --------------------------------------------------------------------------------------

/// `ActorSelectorManagerTest#selectable is closed`
#[test]
fn actor_selector_manager_test_selectable_is_closed() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let (client, server, listener) = connected(&selector).await?;
            let Connection { mut input, mut output, socket } = client;
            drop(server);
            socket.close().await?;
            assert!(input.read_u8().await.is_err_and(|error| error.is_closed()));
            assert!(output.write_u8(1).await.is_err_and(|error| error.is_closed()));
            assert!(socket.open_read_channel().is_err_and(|error| error.is_closed()));
            listener.close();
            assert!(listener.accept().await.is_err_and(|error| error.is_closed()));
            Result::Ok(())
        })
        .unwrap();
    });
}

/// `ActorSelectorManagerTest#parent job cancellation closes selection manager`: the parent of
/// everything here is the last clone of the selector.
#[test]
fn actor_selector_manager_test_parent_job_cancellation_closes_selection_manager() {
    let name = "actor_selector_manager_test_parent_job_cancellation_closes_selection_manager";
    counted_alone(name, || {
        let selector = SelectorManager::new();
        let listener = future::block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        let accepting = selector.spawn(async move { listener.accept().await.map(drop) });
        await_that("the worker runs", || worker_threads() == 1);
        let began = Instant::now();
        drop(selector);
        assert!(future::block_on(accepting).is_err_and(|error| error.is_closed()));
        await_that("the worker ends", || worker_threads() == 0);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    });
}

// ---- the client's side, against a plain server -----------------------------------------------------------

/// Runs `client` against a server of std's, which serves one connection.
fn against_std(
    serve: impl FnOnce(TcpStream) + Send + 'static,
    client: impl AsyncFnOnce(Connection) -> Result<()> + Send + 'static,
) {
    watched(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || serve(listener.accept().unwrap().0));
        forebay::run(async |selector: SelectorManager| {
            let socket = selector.tcp().connect(address).await?;
            client(socket.connection()?).await
        })
        .unwrap();
        server.join().unwrap();
    });
}

/// `ClientSocketTest#testConnect`
#[test]
fn client_socket_test_connect() {
    against_std(drop, async |connection| {
        assert_eq!(connection.socket.remote_address().ip().unwrap().to_string(), "127.0.0.1");
        Ok(())
    });
}

/// `ClientSocketTest#testRead`
#[test]
fn client_socket_test_read() {
    against_std(
        |mut stream| stream.write_all(b"123").unwrap(),
        async |mut connection| {
            let mut bytes = [0; 3];
            connection.input.read_exact(&mut bytes).await?;
            assert_eq!(&bytes, b"123");
            assert_eq!(connection.input.read(&mut bytes).await?, 0);
            Ok(())
        },
    );
}

/// `ClientSocketTest#testReadParts`
#[test]
fn client_socket_test_read_parts() {
    against_std(
        |mut stream| stream.write_all(b"0123456789").unwrap(),
        async |mut connection| {
            let line = connection.input.read_line().await?;
            assert_eq!(line.as_deref(), Some("0123456789"));
            assert_eq!(connection.input.read_line().await?, None);
            Ok(())
        },
    );
    // In parts indeed: each byte is received counted_alone, the line is whole.
    against_std(
        |mut stream| {
            for byte in b"0123456789" {
                stream.write_all(&[*byte]).unwrap();
                stream.read_exact(&mut [0]).unwrap();
            }
        },
        async |mut connection| {
            let Connection { input, output, .. } = &mut connection;
            for count in 1..=10 {
                // A line that is not complete yet takes nothing away.
                while input.buffered() < count {
                    assert!(poll_once(input.read_line()).await.is_none());
                    yield_now().await;
                }
                output.write_u8(b'.').await?;
            }
            assert_eq!(input.read_line().await?.as_deref(), Some("0123456789"));
            assert_eq!(input.read_line().await?, None);
            Ok(())
        },
    );
}

// ---- the server's side, against a plain client -----------------------------------------------------------

/// `ServerSocketTest#testBindAndAccept`
#[test]
fn server_socket_test_bind_and_accept() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            // Any free port, as Ktor's `bind(null)`; of any address, but this test stays at home.
            let server = selector.tcp().bind(("127.0.0.1", 0)).await?;
            assert_ne!(server.port(), 0);
            assert_eq!(server.local_address().port(), Some(server.port()));
            let address = server.local_address().as_inet().unwrap();
            let client = thread::spawn(move || TcpStream::connect(address).unwrap());
            let accepted = server.accept().await?;
            let client = client.join().unwrap();
            assert_eq!(accepted.remote_address().as_inet(), client.local_addr().ok());
            assert_eq!(accepted.local_address().as_inet(), client.peer_addr().ok());
            Result::Ok(())
        })
        .unwrap();
    });
}

/// `ServerSocketTest#testWrite`
#[test]
fn server_socket_test_write() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let address = server.local_address().as_inet().unwrap();
            let client = thread::spawn(move || {
                let mut text = String::new();
                TcpStream::connect(address).unwrap().read_to_string(&mut text).unwrap();
                text
            });
            let socket = server.accept().await?;
            let mut output = socket.open_write_channel()?;
            output.write_str("123").await?;
            socket.close().await?;
            assert_eq!(client.join().unwrap(), "123");
            Result::Ok(())
        })
        .unwrap();
    });
}

// ---- timeouts ------------------------------------------------------------------------------------------

/// `StartTimeoutTest#testTimeoutInvocation`
#[test]
fn start_timeout_test_timeout_invocation() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let mut timeout = pin!(selector.timeout(2 * STEP, pending::<Result<()>>()));
            assert!(poll_once(timeout.as_mut()).await.is_none());
            clock.advance(2 * STEP);
            assert!(timeout.await.is_err_and(|error| error.is_timeout()));
        });
    });
}

/// `StartTimeoutTest#testTimeoutCancellation`
#[test]
fn start_timeout_test_timeout_cancellation() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let finish = Signal::new();
            let finished = finish.clone();
            let mut timeout = pin!(selector.timeout(2 * STEP, async {
                finished.await;
                Ok("finished")
            }));
            assert!(poll_once(timeout.as_mut()).await.is_none());
            clock.advance(STEP);
            finish.set();
            assert_eq!(timeout.await.unwrap(), "finished");
            assert_eq!(selector.stats().timers, 0, "it may fire yet");
            clock.advance(STEP);
        });
    });
}

/// `StartTimeoutTest#testTimeoutDoesNotTriggerWhenStopped`: a timeout is stopped by dropping it and
/// started by making it.
#[test]
fn start_timeout_test_timeout_does_not_trigger_when_stopped() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let start = || Box::pin(selector.timeout(2 * STEP, pending::<Result<()>>()));
            let mut timeout = start();
            assert!(poll_once(timeout.as_mut()).await.is_none());
            // Refresh, and stop.
            timeout = start();
            assert!(poll_once(timeout.as_mut()).await.is_none());
            drop(timeout);
            clock.advance(2 * STEP);
            assert_eq!(selector.stats().timers, 0);

            let mut timeout = start();
            assert!(poll_once(timeout.as_mut()).await.is_none());
            clock.advance(STEP);
            assert!(poll_once(timeout.as_mut()).await.is_none(), "only half of the time is over");
            clock.advance(STEP);
            assert!(timeout.await.is_err_and(|error| error.is_timeout()));
        });
    });
}

/// `StartTimeoutTest#testTimeoutCancelsWhenParentScopeCancels`
#[test]
fn start_timeout_test_timeout_cancels_when_parent_scope_cancels() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let waiting = selector.clone();
            let parent = selector.spawn_value(async move {
                waiting.timeout(2 * STEP, pending::<Result<()>>()).await
            });
            until_that("it waits", || selector.stats().timers == 1).await;
            parent.abort();
            let cancelled = parent.await.map(drop).unwrap_err();
            assert!(cancelled.is_cancelled(), "{cancelled}");
            assert_eq!(selector.stats().timers, 0);
            clock.advance(2 * STEP);
        });
    });
}
