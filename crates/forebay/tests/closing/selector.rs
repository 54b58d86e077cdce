//! Selectors that close, and what is still alive then: what was accepted is sent, calls are told, and
//! no task outlives the close.

#![cfg(target_os = "linux")]

use std::io::Read;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{Error, JoinHandle, SelectorManager};
use forebay_testing::{in_host, on_every_transport_with_clock, pair, run, size, until, watched};
use futures_lite::future::block_on;

/// A pair that ended in both directions inside `run`, and is dropped outside.
#[test]
fn what_outlives_its_selector_can_be_dropped_and_closed() {
    for way in ["drop", "close", "close_within", "finish"] {
        watched(move || {
            let (mut near, mut far) = in_host(async |selector| {
                let (mut near, mut far) = selector.duplex(4096);
                if way != "finish" {
                    near.output.finish().await?;
                    far.output.write_str("never read").await?;
                }
                forebay::Result::Ok((near, far))
            })
            .unwrap();
            match way {
                "drop" => {}
                "close" => drop(block_on(near.socket.close())),
                "close_within" => {
                    drop(block_on(near.socket.close_within(Duration::from_millis(1))));
                }
                _ => {
                    for output in [&mut near.output, &mut far.output] {
                        let error = block_on(output.write_u8(1)).unwrap_err();
                        assert!(error.is_closed(), "{error}");
                    }
                }
            }
            drop(near);
            drop(far);
        });
    }
}

/// The bytes that `main` wrote in its last turn are sent, whatever becomes of the connection.
#[test]
fn a_closing_selector_sends_what_was_accepted_in_the_same_turn() {
    for way in ["alive", "returned", "staged", "flushed before"] {
        let (peer, outcome) = watched(move || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let (closed, kept) = in_host(async |selector| {
                let mut it = selector.tcp().connect(address).await?.connection()?;
                it.output.write_str("bye").await?;
                if way == "staged" {
                    it.output.write_str(", by").await?;
                    it.output.write_str("e\n").await?;
                }
                if way == "flushed before" {
                    it.output.flush().await?;
                }
                if way == "returned" {
                    return Ok((None, it));
                }
                selector.close().await;
                forebay::Result::Ok((Some(it.output.write_str("more").await), it))
            })
            .unwrap();
            let mut it = kept;
            let after = closed.unwrap_or_else(|| block_on(it.output.write_str("more")));
            let (mut peer, _) = listener.accept().unwrap();
            let mut text = String::new();
            let read = peer.read_to_string(&mut text).map(|_| text);
            (read, after)
        });
        let expected = if way == "staged" { "bye, bye\n" } else { "bye" };
        assert!(peer.as_ref().is_ok_and(|it| it == expected), "{way}: {peer:?}");
        assert!(outcome.is_err_and(|error| error.is_closed()), "{way}: a write behind the close");
    }
}

#[test]
fn over_every_transport_as_well() {
    on_every_transport_with_clock(async |selector, _clock, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        near.output.write_str("goodbye\n").await?;
        // In memory, and where both ends are this selector's, its close ends both; the far reader is
        // told `Closed` and keeps what had arrived.
        selector.close().await;
        let error: Error = near.output.write_str("more\n").await.unwrap_err();
        assert!(error.is_closed(), "over {transport}: {error}");
        let error = far.input.read_u8().await.unwrap_err();
        assert!(error.is_closed(), "over {transport}: {error}");
        assert_eq!(near.output.queued(), 0, "over {transport}");
        Ok(())
    });
}

/// A channel that feeds a file is flushed as well.
#[test]
fn a_closing_selector_sends_what_a_blocking_writer_accepted() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let kept = run(async move |selector| {
        let mut output = selector.blocking_writer(writer);
        output.write_str("the last line\n").await?;
        Ok(output)
    });
    drop(kept);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "the last line\n");
}

/// A task that is spawned beside `close` is refused, or has ended when `close` returns.
#[test]
fn a_task_spawned_beside_a_close_does_not_outlive_it() {
    let rounds: usize = size("FOREBAY_SPAWN_ROUNDS", 80, 300);
    watched(move || {
        for round in 0..rounds {
            let selector = SelectorManager::builder().drain(Duration::ZERO, 0).build().unwrap();
            let start = Barrier::new(2);
            thread::scope(|scope| {
                // It spawns until it is refused, so that the close comes in the middle of a spawn.
                let spawning = scope.spawn(|| {
                    start.wait();
                    let mut tasks = Vec::new();
                    loop {
                        tasks.push(selector.spawn_value(std::future::pending::<()>()));
                        if tasks.last().is_some_and(JoinHandle::is_finished) {
                            return tasks;
                        }
                    }
                });
                start.wait();
                for _ in 0..round % 64 * 8 {
                    std::hint::spin_loop();
                }
                block_on(selector.close());
                assert_eq!(selector.stats().tasks, 0, "round {round}");
                // A task that was neither refused nor ended never ends: then this hangs.
                for task in spawning.join().unwrap() {
                    let error = block_on(task).unwrap_err();
                    assert!(error.is_closed() || error.is_cancelled(), "{error}");
                }
                assert_eq!(selector.stats().tasks, 0, "round {round}");
            });
        }
    });
}

/// So does what a connection does by itself: its background close is a task as well.
#[test]
fn nor_does_a_connection_that_is_dropped_beside_a_close() {
    let rounds: usize = size("FOREBAY_SPAWN_ROUNDS", 80, 300);
    watched(move || {
        for _ in 0..rounds.min(300) {
            let clock = TestClock::new();
            let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
            let (socket, peer) = block_on(pair(&selector)).unwrap();
            let mut output = socket.open_write_channel().unwrap();
            block_on(output.write_str("bye\n")).unwrap();
            let start = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    drop((socket, output));
                });
                start.wait();
                drop(peer);
                block_on(selector.close());
            });
            block_on(async {
                until(|| (selector.stats().tasks, selector.stats().sockets) == (0, 0)).await;
            });
        }
    });
}
