//! Failed handshakes of a server that has set no handler: which of them are printed.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{SelectorManager, ServerSocket};
use forebay_testing::{await_that, child, dial, read_to_end, reset, tls::Configs};
use futures_lite::future::block_on;

/// Serves lines over TLS, as a first program does.
fn serve(selector: &SelectorManager, server: ServerSocket) {
    let sessions = selector.clone();
    let accepting = async move {
        loop {
            let socket = server.accept().await?;
            sessions.spawn(async move {
                let mut input = socket.open_read_channel()?;
                while input.read_line().await?.is_some() {}
                socket.close().await
            });
        }
    };
    selector.spawn(accepting).detach();
}

fn await_counted(selector: &SelectorManager, errors: u64) {
    await_that("it is counted", || selector.stats().task_errors == errors);
}

#[test]
fn by_default_a_server_prints_failed_handshakes_and_no_peer_that_only_goes_away() {
    let name = "by_default_a_server_prints_failed_handshakes_and_no_peer_that_only_goes_away";
    let body = || {
        let configs = Configs::new();
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
        let bound = selector.block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        let port = bound.port();
        serve(&selector, bound.tls(&configs.server).unwrap());

        // A health check, and scanners that go away in the middle of their first bytes.
        drop(dial(port));
        await_counted(&selector, 1);
        let mut peer = dial(port);
        peer.write_all(&[22, 3, 1, 2]).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        read_to_end(&mut peer);
        await_counted(&selector, 2);
        let mut peer = dial(port);
        peer.write_all(&[22, 3, 1, 2]).unwrap();
        await_that("it is accepted", || selector.stats().accepted == 3);
        reset(peer);
        await_counted(&selector, 3);
        eprintln!("only counted so far");

        // Plain HTTP, three times within a second.
        for round in 1..=3 {
            let mut peer = dial(port);
            peer.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
            read_to_end(&mut peer);
            await_counted(&selector, 3 + round);
        }
        // A peer that begins, and then falls silent.
        let received = selector.stats().received_bytes;
        let mut peer = dial(port);
        peer.write_all(&[22, 3, 1, 2]).unwrap();
        await_that("it has begun", || selector.stats().received_bytes == received + 4);
        clock.advance(Duration::from_secs(10));
        await_counted(&selector, 7);
        block_on(selector.close());
    };
    let Some(child) = child(name, body) else {
        return;
    };
    assert!(child.status.success(), "{child:?}");
    let (before, after) = child.stderr.split_once("only counted so far\n").unwrap();
    assert!(!before.contains("forebay:"), "{before}");
    let lines: Vec<_> = after.lines().filter(|line| line.starts_with("forebay:")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in &lines {
        assert!(line.starts_with("forebay: a task ended in an error (spawned at "), "{line}");
        assert!(line.contains("tls handshake 127.0.0.1:"), "{line}");
    }
    // Which of the last two is first depends on when the lines that are held back are printed: a second later.
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!(count("the peer does not speak TLS"), 2, "{lines:?}");
    assert_eq!(count("not complete after 10s"), 1, "{lines:?}");
    assert!(!lines[0].ends_with("(and 1 more)"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.ends_with("(and 1 more)")).count(), 1, "{lines:?}");
}
