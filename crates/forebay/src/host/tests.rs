//! Sockets on a host that is nothing like a worker.

#![cfg(any(target_os = "linux", target_os = "android"))]

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, or, zip};
use futures_lite::{FutureExt, future};

use super::plain::Plain;
use super::{Host, Ready, Registered, SocketFd, enter};
use crate::{CloseReason, Connection, Result, SelectorManager, ServerSocket};

/// The time after which a test counts as hanging.
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

/// Runs a test on a thread that is no worker, with a plain host entered. It hangs when descriptors
/// are left on the host.
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
        // A wake-up that the polling thread is about to give holds its connection until then.
        while plain.watched() > 0 {
            thread::yield_now();
        }
    });
}

async fn connected(selector: &SelectorManager) -> Result<(Connection, Connection, ServerSocket)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let (accepted, client) =
        zip(server.accept(), selector.tcp().connect(server.local_address())).await;
    Ok((client?.connection()?, accepted?.connection()?, server))
}

/// Runs the test over a Unix socket, whose path has been removed when this returns.
async fn connected_by_path(
    selector: &SelectorManager,
    test: &str,
) -> Result<(Connection, Connection)> {
    let name = format!("forebay-{}-{test}", std::process::id());
    let listener = selector.unix().bind(std::env::temp_dir().join(name)).await?;
    let connecting = selector.unix().connect(listener.local_address());
    let (accepted, client) = zip(listener.accept(), connecting).await;
    Ok((client?.connection()?, accepted?.connection()?))
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
        let (client, server, listener) = connected(selector).await?;
        see_it_echo(client, server).await?;
        assert!(plain.wakes() > 0, "another host did the waiting");
        assert_eq!(selector.stats().blocks, 0);
        listener.close();
        Ok(())
    });
}

#[test]
fn an_echo_over_unix_sockets_runs_on_a_plain_thread_that_polls() {
    on_a_plain_host(async |selector, plain| {
        let (client, server) = connected_by_path(selector, "echo").await?;
        see_it_echo(client, server).await?;
        assert!(plain.wakes() > 0, "another host did the waiting");
        assert_eq!(selector.stats().blocks, 0);
        Ok(())
    });
}

async fn see_it_echo(mut client: Connection, server: Connection) -> Result<()> {
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
    client.socket.close().await
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

/// Without a reader, the host itself reports how the connection ends.
#[test]
fn ends_are_noticed_without_reading_on_a_plain_host() {
    on_a_plain_host(async |selector, _| {
        let (over_tcp, over_unix) =
            (connected(selector).await?, connected_by_path(selector, "ends").await?);
        for (mut client, mut server) in [(over_tcp.0, over_tcp.1), over_unix] {
            let finishing = async {
                client.output.write_str("last words\n").await?;
                client.output.finish().await
            };
            let (finished, noticed) = zip(server.socket.peer_finished(), finishing).await;
            finished.and(noticed)?;
            assert_eq!(server.input.read_line().await?.as_deref(), Some("last words"));

            // Left unread by the side that aborts, so that a Unix socket reports a reset, too.
            server.output.write_str("never read\n").await?;
            server.output.flush().await?;
            let (reason, ()) = zip(server.socket.closed(), async { client.socket.abort() }).await;
            assert_eq!(reason, CloseReason::Reset);
            assert!(server.socket.peer_finished().await.is_err_and(|error| error.is_reset()));
        }
        Ok(())
    });
}

/// The selector wakes the waits that its own poll does not watch.
#[test]
fn closing_its_selector_ends_every_wait_on_a_plain_host() {
    on_a_plain_host(async |_, _| {
        let other = SelectorManager::new();
        let (mut client, server) = connected_by_path(&other, "close").await?;
        let listener = other.tcp().bind("127.0.0.1:0").await?;
        let waits = zip(
            zip(client.input.read_line(), listener.accept()),
            zip(server.socket.closed(), client.socket.peer_finished()),
        );
        // It begins when all four wait, or earlier, and they end alike.
        let closing = thread::spawn({
            let other = other.clone();
            move || block_on(other.close())
        });
        let ((read, accepted), (reason, finished)) = waits.await;
        assert!(read.is_err_and(|error| error.is_closed()));
        assert!(accepted.is_err_and(|error| error.is_closed()));
        assert_eq!(reason, CloseReason::Local);
        assert!(finished.is_err_and(|error| error.is_closed()));
        closing.join().expect("closing does not panic");
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
    fn register(&self, fd: SocketFd) -> Registered<Arc<dyn Ready>> {
        // On another thread, because it waits for the call that registers the connection here.
        let closing = self.0.clone();
        std::thread::spawn(move || block_on(closing.close()));
        while !self.0.shared().is_closing() {
            std::thread::yield_now();
        }
        let (fd, registered) = self.0.shared().here().register(fd);
        (fd, registered.map(|watched| Arc::new(watched) as Arc<dyn Ready>))
    }
}

#[test]
fn a_wait_that_begins_while_its_selector_closes_is_told() {
    watched(|| {
        let selector = SelectorManager::new();
        // The accepted one: nothing has waited on it yet.
        let (_client, mut server, _listener) = block_on(connected(&selector)).expect("loopback");
        let entered = enter(Arc::new(Overtaken(selector.clone())));
        let received = block_on(server.input.read_line());
        assert!(received.is_err_and(|error| error.is_closed()));
        drop(entered);
    });
}
