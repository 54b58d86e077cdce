//! The seam holds: sockets on a host that is nothing like a worker.

#![cfg(any(target_os = "linux", target_os = "android"))]

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, or, zip};
use futures_lite::{FutureExt, future};

use super::plain::Plain;
use super::{Host, Ready, enter};
use crate::{CloseReason, Connection, Result, SelectorManager, ServerSocket};

/// How long anything here may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on a thread of its own and fails if it hangs.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let watched = thread::spawn(move || {
        test();
        done.send(()).ok();
    });
    match is_done.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("still not done after {PATIENCE:?}"),
        _ => watched.join().expect("the watched test failed"),
    }
}

/// Runs a test on a thread that is no worker, with a plain host entered.
fn on_a_plain_host(
    test: impl AsyncFnOnce(&SelectorManager, &Plain) -> Result<()> + Send + 'static,
) {
    watched(|| {
        let plain = Arc::new(Plain::start().expect("a thread and its descriptors"));
        let entered = enter(Arc::clone(&plain) as Arc<dyn Host>);
        let selector = SelectorManager::new();
        block_on(async {
            test(&selector, &plain).await.expect("the test's own calls");
            selector.close().await;
        });
        drop((selector, entered));
        assert_eq!(plain.watched(), 0, "descriptors left on the host");
    });
}

async fn connected(selector: &SelectorManager) -> Result<(Connection, Connection, ServerSocket)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let (accepted, client) =
        zip(server.accept(), selector.tcp().connect(server.local_address())).await;
    Ok((client?.connection()?, accepted?.connection()?, server))
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(bytes).collect()
}

/// Sends back what comes until the peer ends, then ends too.
async fn echo(mut connection: Connection) -> Result<()> {
    while let Some(chunk) = connection.input.read_chunk().await? {
        connection.output.write_bytes(chunk).await?;
    }
    connection.output.finish().await
}

#[test]
fn an_echo_over_tcp_runs_on_a_plain_thread_that_polls() {
    on_a_plain_host(async |selector, plain| {
        let (mut client, server, listener) = connected(selector).await?;
        let sent = pattern(700 * 1024);
        let all = sent.len();

        let echoing = echo(server);
        let talking = async {
            let Connection { input, output, .. } = &mut client;
            let (written, received) = zip(
                async {
                    for item in sent.chunks(10_007) {
                        output.write_all(item).await?;
                    }
                    output.finish().await
                },
                input.read_remaining(all),
            )
            .await;
            written?;
            received
        };
        let (echoed, received) = zip(echoing, talking).await;
        echoed?;
        assert!(received?.as_slice() == sent, "the echo differs");
        assert_eq!(client.socket.closed().await, CloseReason::Ended);
        client.socket.close().await?;

        assert!(plain.wakes() > 0, "another host did the waiting");
        assert_eq!(selector.stats().blocks, 0);
        listener.close();
        Ok(())
    });
}

#[test]
fn a_half_closed_connection_still_answers_on_a_plain_host() {
    on_a_plain_host(async |selector, _| {
        let (mut client, mut server, _listener) = connected(selector).await?;
        client.output.write_str("Ada\n").await?;
        client.output.finish().await?;
        let (asked, answered) = zip(
            async {
                let name = server.input.read_line().await?;
                assert_eq!(server.input.read_line().await?, None);
                server.output.write_str("Hello, Ada!\n").await?;
                server.output.finish().await?;
                Result::Ok(name)
            },
            client.input.read_line(),
        )
        .await;
        assert_eq!(asked?.as_deref(), Some("Ada"));
        assert_eq!(answered?.as_deref(), Some("Hello, Ada!"));
        assert_eq!(client.input.read_line().await?, None);
        assert_eq!(server.socket.closed().await, CloseReason::Ended);
        Ok(())
    });
}

#[test]
fn a_reset_reaches_both_halves_on_a_plain_host() {
    on_a_plain_host(async |selector, _| {
        let (client, mut server, _listener) = connected(selector).await?;
        let (received, ()) = zip(server.input.read_line(), async {
            // By now the other side waits for its host.
            client.socket.abort();
        })
        .await;
        let received = received.expect_err("a reset is no end");
        assert!(received.is_reset(), "{received}");
        let written = server.output.write_str("too late").await;
        let written = match written {
            Ok(()) => server.output.flush().await,
            refused => refused,
        };
        assert!(written.is_err_and(|error| error.is_reset()));
        assert_eq!(server.socket.closed().await, CloseReason::Reset);
        Ok(())
    });
}

#[test]
fn closing_from_another_thread_ends_waits_on_a_plain_host() {
    on_a_plain_host(async |selector, _| {
        for _ in 0..100 {
            let listener = selector.tcp().bind("127.0.0.1:0").await?;
            let (closing, start) = (listener.clone(), Arc::new(Barrier::new(2)));
            let started = Arc::clone(&start);
            let other = thread::spawn(move || {
                started.wait();
                closing.close();
            });
            start.wait();
            let accepted = listener.accept().await;
            assert!(accepted.is_err_and(|error| error.is_closed()));
            other.join().expect("closing does not panic");
        }
        Ok(())
    });
}

#[test]
fn a_dropped_wait_costs_no_byte_on_a_plain_host() {
    on_a_plain_host(async |selector, _| {
        let (mut client, mut server, _listener) = connected(selector).await?;
        for byte in b"one line\n" {
            // A read that has just begun to wait is dropped before every byte.
            let line = or(async { Some(server.input.read_line().await) }, async { None }).await;
            assert!(line.is_none(), "the line was not complete");
            client.output.write_u8(*byte).await?;
            future::yield_now().await;
        }
        let line = server.input.read_line().boxed().await?;
        assert_eq!(line.as_deref(), Some("one line"));
        Ok(())
    });
}

/// A host on which the selector is closed in the moment between a wait's first try and its
/// registration.
struct Overtaken(SelectorManager);

impl Host for Overtaken {
    fn register(&self, fd: BorrowedFd<'_>) -> io::Result<Arc<dyn Ready>> {
        let begun = block_on(future::poll_once(self.0.close()));
        assert!(begun.is_some(), "nothing holds this selector up");
        self.0.shared().register(fd)
    }
}

#[test]
fn a_wait_that_begins_while_its_selector_closes_is_told() {
    watched(|| {
        let selector = SelectorManager::new();
        let listener = block_on(selector.tcp().bind("127.0.0.1:0")).expect("loopback");
        let entered = enter(Arc::new(Overtaken(selector.clone())));
        let accepted = block_on(listener.accept());
        assert!(accepted.is_err_and(|error| error.is_closed()));
        drop(entered);
    });
}
