//! Connecting to a Unix socket and accepting there: full backlogs, absent servers, closing.

#![cfg(target_os = "linux")]

use std::io::{ErrorKind as IoKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{CloseReason, ErrorKind, Result, SelectorManager, Socket};
use forebay_testing::{
    unix::{Directory, leave_stale, pair_with_std},
    until_that, watched,
};
use futures_lite::future::{or, yield_now, zip};

const LIMIT: Duration = Duration::from_secs(3);

/// Runs a test on a selector whose clock it owns.
fn run(test: impl AsyncFnOnce(SelectorManager, TestClock) -> Result<()> + Send + 'static) {
    watched(|| {
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone());
        selector.run(async |selector| test(selector, clock).await)
    })
    .unwrap();
}

#[test]
fn closing_a_listener_wakes_everybody_who_accepts() {
    run(async |selector, _| {
        let directory = Directory::new();
        let server = selector.unix().bind(directory.join("server")).await?;
        let accepting = [(); 3].map(|()| {
            let server = server.clone();
            selector.spawn_value(async move { server.accept().await })
        });
        yield_now().await;
        // From another thread, when they wait.
        let closing = server.clone();
        thread::spawn(move || closing.close()).join().unwrap();
        for accepted in accepting {
            let error = accepted.await?.unwrap_err();
            assert!(error.is_closed(), "{error}");
            assert!(error.to_string().contains("unix:/"), "{error}");
        }
        let refused = selector.unix().connect(server.local_address()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
        Ok(())
    });
}

/// A server whose backlog holds one connection, and that one.
async fn full_server(
    selector: &SelectorManager,
    directory: &Directory,
) -> Result<(forebay::ServerSocket, Socket)> {
    let server = selector.unix().backlog(0).bind(directory.join("busy")).await?;
    let first = selector.unix().connect(server.local_address()).await?;
    Ok((server, first))
}

#[test]
fn connecting_waits_while_the_backlog_is_full() {
    run(async |selector, clock| {
        let directory = Directory::new();
        let (server, _first) = full_server(&selector, &directory).await?;
        let connecting = selector.unix().connect_timeout(LIMIT).connect(server.local_address());
        let serving = async {
            until_that("it waits", || selector.stats().timers == 2).await;
            let first = server.accept().await?;
            // There is room again, which the next look finds.
            clock.advance(Duration::from_millis(50));
            Result::Ok(first)
        };
        let (connected, first) = zip(connecting, serving).await;
        let (connected, _first) = (connected?, first?);
        let accepted = server.accept().await?;
        connected.open_write_channel()?.write_str("at last\n").await?;
        let line = accepted.open_read_channel()?.read_line().await?;
        assert_eq!(line.as_deref(), Some("at last"));
        assert_eq!(selector.stats().timers, 0);
        Ok(())
    });
}

#[test]
fn connecting_times_out_when_the_backlog_stays_full() {
    run(async |selector, clock| {
        let directory = Directory::new();
        let (server, _first) = full_server(&selector, &directory).await?;
        let connecting = selector.unix().connect_timeout(LIMIT).connect(server.local_address());
        let waiting = async {
            until_that("it waits", || selector.stats().timers == 2).await;
            clock.advance(LIMIT);
        };
        let error = zip(connecting, waiting).await.0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let text = error.to_string();
        assert!(text.contains("backlog was full for 3s (connect_timeout sets this)"), "{text}");
        assert!(text.contains("unix:/"), "{text}");
        Ok(())
    });
}

#[test]
fn connecting_ends_when_its_selector_closes() {
    run(async |selector, _| {
        let directory = Directory::new();
        let (server, _first) = full_server(&selector, &directory).await?;
        let other = SelectorManager::new();
        let (theirs, address) = (other.clone(), server.local_address());
        let connecting = other.unix().connect(address);
        let closing = async {
            until_that("it waits", || theirs.stats().timers == 2).await;
            theirs.close().await;
        };
        let error = zip(connecting, closing).await.0.unwrap_err();
        assert!(error.is_closed(), "{error}");
        Ok(())
    });
}

#[test]
fn a_dropped_connect_leaves_nothing() {
    run(async |selector, clock| {
        let directory = Directory::new();
        let (server, first) = full_server(&selector, &directory).await?;
        let waiting = async {
            until_that("it waits", || selector.stats().timers == 2).await;
            None
        };
        let connecting = async { Some(selector.unix().connect(server.local_address()).await) };
        assert!(or(connecting, waiting).await.is_none());
        until_that("its timers are gone", || selector.stats().timers == 0).await;
        drop((server.accept().await?, first));
        clock.advance(LIMIT);
        until_that("no socket but the listener is left", || selector.stats().sockets == 1).await;
        Ok(())
    });
}

#[test]
fn where_nobody_listens_it_says_which_way() {
    run(async |selector, _| {
        let directory = Directory::new();
        let missing = selector.unix().connect(directory.join("missing")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
        assert!(missing.to_string().contains("missing"), "{missing}");
        let below = selector.unix().bind(directory.join("no/such/folder")).await.unwrap_err();
        assert_eq!(below.kind(), ErrorKind::NotFound, "{below}");
        leave_stale(&directory.join("dead"));
        let dead = selector.unix().connect(directory.join("dead")).await.unwrap_err();
        assert_eq!(dead.kind(), ErrorKind::Refused, "{dead}");
        std::fs::write(directory.join("file"), "").unwrap();
        let file = selector.unix().connect(directory.join("file")).await.unwrap_err();
        assert_eq!(file.kind(), ErrorKind::Refused, "{file}");
        Ok(())
    });
}

/// The bytes that it sent before are read, as from any other.
#[test]
fn a_client_that_is_gone_before_it_is_accepted_is_accepted() {
    run(async |selector, _| {
        let directory = Directory::new();
        let server = selector.unix().bind(directory.join("server")).await?;
        let mut client = UnixStream::connect(directory.join("server")).unwrap();
        client.write_all(b"last words\n").unwrap();
        drop(client);
        let mut accepted = server.accept().await?.connection()?;
        assert_eq!(accepted.input.read_line().await?.as_deref(), Some("last words"));
        assert_eq!(accepted.input.read_line().await?, None);
        accepted.output.write_str("to nobody\n").await?;
        assert!(accepted.output.flush().await.unwrap_err().is_reset());
        assert_eq!(accepted.socket.closed().await, CloseReason::Reset);
        Ok(())
    });
}

/// Unix sockets know no reset: an abort looks like the end to a peer, unless this side has not read
/// everything, which is the kernel's only way to say that something was lost.
#[test]
fn an_abort_is_an_end_unless_input_was_unread() {
    run(async |selector, _| {
        for unread in [false, true] {
            let (mut connection, mut peer) = pair_with_std(&selector).await?;
            peer.write_all(b"one line\n").unwrap();
            if !unread {
                assert_eq!(connection.input.read_line().await?.as_deref(), Some("one line"));
            }
            connection.output.write_str("sent\n").await?;
            connection.output.flush().await?;
            connection.output.write_str("queued, and dropped\n").await?;
            connection.socket.abort();
            let mut received = Vec::new();
            let error = peer.read_to_end(&mut received).err().map(|error| error.kind());
            assert_eq!(received, b"sent\n");
            assert_eq!(error, unread.then_some(IoKind::ConnectionReset), "unread: {unread}");
            assert!(connection.output.write_u8(0).await.unwrap_err().is_closed());
            assert_eq!(connection.socket.closed().await, CloseReason::Local);
        }
        Ok(())
    });
}
