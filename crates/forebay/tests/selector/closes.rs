//! Closing a selector: every task and call is told, and the wait for them has a limit.

use std::io::Read;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{Result, SelectorManager};
use forebay_testing::{
    OnDrop, Signal, await_that, connect_to_std, connected, settle, until_that, watched,
};
use futures_lite::future::{self, pending, poll_once, yield_now};

const DRAIN: Duration = Duration::from_secs(3600);

/// A selector that waits for nothing by itself: its drain timeout passes when the test says so.
fn with_clock() -> (SelectorManager, TestClock) {
    let clock = TestClock::new();
    let selector =
        SelectorManager::builder().clock(clock.clone()).drain(DRAIN, 64 * 1024).build().unwrap();
    (selector, clock)
}

#[test]
fn close_answers_every_wait_on_a_socket_with_closed() {
    watched(|| {
        let (selector, _clock) = with_clock();
        selector.block_on(async {
            let (client, server, listener) = connected(&selector).await.unwrap();
            let waiting = Arc::new(AtomicUsize::new(0));
            let notes = || Arc::clone(&waiting);
            let mut tasks = Vec::new();
            let (note, mut input) = (notes(), client.input);
            tasks.push(selector.spawn(async move {
                note.fetch_add(1, SeqCst);
                input.read_line().await.map(drop)
            }));
            let (note, mut input) = (notes(), server.input);
            tasks.push(selector.spawn(async move {
                note.fetch_add(1, SeqCst);
                let mut large = vec![0; 64 * 1024];
                input.read_exact(&mut large).await.map(drop)
            }));
            for _ in 0..2 {
                let (note, listener) = (notes(), listener.clone());
                tasks.push(selector.spawn(async move {
                    note.fetch_add(1, SeqCst);
                    listener.accept().await.map(drop)
                }));
            }
            until_that("all of them wait", || waiting.load(SeqCst) == 4).await;
            selector.close().await;
            for task in tasks {
                let error = task.await.unwrap_err();
                assert!(error.is_closed(), "{error}");
            }
        });
    });
}

#[test]
fn close_answers_a_pending_connect_with_closed() {
    watched(|| {
        let (selector, _clock) = with_clock();
        selector.block_on(async {
            // No call of `accept`, and the backlog is as short as it gets: later handshakes hang.
            let full = selector.tcp().backlog(0).bind("127.0.0.1:0").await.unwrap();
            let begun = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let (selector, begun) = (selector.clone(), Arc::clone(&begun));
                    let address = full.local_address();
                    selector.clone().spawn_value(async move {
                        begun.fetch_add(1, SeqCst);
                        // Half of the handshakes that succeed are known to this side only (the other's
                        // queue is full), so that a graceful end would take its whole time.
                        selector.tcp().connect(address).await.map(|socket| socket.abort())
                    })
                })
                .collect();
            until_that("all have begun", || begun.load(SeqCst) == 8).await;
            settle().await;
            selector.close().await;
            let mut closed = 0;
            for task in tasks {
                if let Err(error) = task.await.unwrap() {
                    assert!(error.is_closed(), "{error}");
                    closed += 1;
                }
            }
            assert!(closed > 0, "every handshake went through");
        });
    });
}

#[test]
fn close_ends_waits_in_another_executor() {
    watched(|| {
        for _ in 0..200 {
            let (selector, _clock) = with_clock();
            let listener = future::block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
            let start = Arc::new(Barrier::new(2));
            let started = Arc::clone(&start);
            let foreign = thread::spawn(move || {
                started.wait();
                future::block_on(listener.accept()).map(drop)
            });
            start.wait();
            // Before, while or after the wait begins.
            future::block_on(selector.close());
            assert!(foreign.join().unwrap().is_err_and(|error| error.is_closed()));
        }
    });
}

fn assert_closed<T>(result: Result<T>) {
    let error = result.map(drop).unwrap_err();
    assert!(error.is_closed(), "{error}");
}

#[test]
fn a_closed_selector_refuses_new_work() {
    watched(|| {
        let (selector, _clock) = with_clock();
        selector.block_on(async {
            let (client, server, listener) = connected(&selector).await.unwrap();
            let address = listener.local_address();
            selector.close().await;
            assert_closed(selector.spawn(async { Ok(()) }).await);
            assert_closed(selector.spawn_value(async { 1 }).await);
            assert_closed(selector.spawn_blocking(|| 1).await);
            assert_closed(forebay::spawn(async { Ok(()) }).await);
            assert_closed(forebay::spawn_blocking(|| 1).await);
            assert_closed(selector.tcp().bind("127.0.0.1:0").await);
            assert_closed(selector.tcp().connect(address).await);
            assert_closed(listener.accept().await);
            let mut input = server.input;
            assert_closed(input.read_line().await);
            assert_closed(selector.blocking_reader(&b"x"[..]).read_u8().await);
            assert!(selector.spawn(async { Ok(()) }).is_finished());
            drop(client);
        });
        assert_eq!(selector.block_on(async { "still an executor" }), "still an executor");
    });
}

#[test]
fn a_refused_task_drops_its_future_and_is_not_reported() {
    watched(|| {
        let selector = SelectorManager::builder()
            .on_task_error(|error| panic!("reported: {error}"))
            .build()
            .unwrap();
        future::block_on(selector.close());
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        drop(selector.spawn(async move {
            drop(inside);
            Ok(())
        }));
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(selector.stats().task_errors, 0);
    });
}

#[test]
fn close_waits_for_what_ends_by_itself() {
    watched(|| {
        let (selector, _clock) = with_clock();
        let (go, done) = (Signal::new(), Arc::new(AtomicBool::new(false)));
        let (gone, noted) = (go.clone(), Arc::clone(&done));
        selector
            .spawn_value(async move {
                gone.await;
                yield_now().await;
                noted.store(true, SeqCst);
            })
            .detach();
        future::block_on(async {
            let mut close = pin!(selector.close());
            for _ in 0..10 {
                assert!(poll_once(close.as_mut()).await.is_none());
            }
            go.set();
            close.await;
        });
        assert!(done.load(SeqCst));
        assert_eq!(selector.stats().tasks, 0);
    });
}

#[test]
fn close_cancels_what_ignores_it_at_the_drain_timeout() {
    watched(|| {
        let (selector, clock) = with_clock();
        let dropped = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let dropped = Arc::clone(&dropped);
                // Made before the task runs: it may be cancelled before its first poll.
                let note = OnDrop(move || {
                    dropped.fetch_add(1, SeqCst);
                });
                selector.spawn(async move {
                    pending::<()>().await;
                    drop(note);
                    Ok(())
                })
            })
            .collect();
        future::block_on(async {
            let mut close = pin!(selector.close());
            assert!(poll_once(close.as_mut()).await.is_none());
            clock.advance(DRAIN.saturating_sub(Duration::from_nanos(1)));
            for _ in 0..100 {
                assert!(poll_once(close.as_mut()).await.is_none());
                thread::yield_now();
            }
            assert_eq!(dropped.load(SeqCst), 0, "cancelled too early");
            clock.advance(Duration::from_nanos(1));
            close.await;
            assert_eq!(dropped.load(SeqCst), 10);
            for task in tasks {
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            }
        });
    });
}

#[test]
fn close_cancels_what_ignores_it_by_the_real_clock_too() {
    watched(|| {
        SelectorManager::builder()
            .drain(Duration::from_millis(5), 0)
            .run(async |selector: SelectorManager| {
                selector.spawn_value(pending::<()>()).detach();
                selector.spawn_value(selector.sleep(DRAIN)).detach();
                Result::Ok(())
            })
            .unwrap();
    });
}

#[test]
fn closing_from_a_task_waits_for_all_the_others() {
    watched(|| {
        let (selector, _clock) = with_clock();
        let go = Signal::new();
        let gone = go.clone();
        let other = selector.spawn_value(gone);
        let closing = selector.clone();
        let closer = selector.spawn(async move {
            closing.close().await;
            assert_eq!(closing.stats().tasks, 1, "only the closing one is left");
            Ok(())
        });
        await_that("it is closing", || {
            selector.spawn(async { Ok(()) }).is_finished() && !closer.is_finished()
        });
        go.set();
        future::block_on(other).unwrap();
        future::block_on(closer).unwrap();
    });
}

#[test]
fn closing_from_a_task_is_not_cancelled_with_what_it_cancels() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let stubborn = selector.spawn_value(pending::<()>());
            let closing = selector.clone();
            let closer = selector.spawn_value(async move {
                closing.close().await;
                "closed"
            });
            until_that("it waits", || selector.stats().timers == 1).await;
            clock.advance(DRAIN);
            assert!(stubborn.await.is_err_and(|error| error.is_cancelled()));
            assert_eq!(closer.await.unwrap(), "closed");
        });
    });
}

#[test]
fn two_tasks_may_close_at_once() {
    watched(|| {
        let (selector, _clock) = with_clock();
        selector.block_on(async {
            let close = || {
                let selector = selector.clone();
                async move {
                    selector.close().await;
                    "closed"
                }
            };
            let (first, second) = (selector.spawn_value(close()), selector.spawn_value(close()));
            // No clock moves here: neither waits for the other to be cancelled.
            assert_eq!(first.await.unwrap(), "closed");
            assert_eq!(second.await.unwrap(), "closed");
        });
    });
}

#[test]
fn close_is_idempotent_and_may_come_from_anywhere_at_once() {
    watched(|| {
        for _ in 0..50 {
            let selector = SelectorManager::new();
            let listener = future::block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
            let handler = selector.spawn(async move { listener.accept().await.map(drop) });
            let start = Arc::new(Barrier::new(3));
            let threads: Vec<_> = (0..3)
                .map(|number| {
                    let (selector, start) = (selector.clone(), Arc::clone(&start));
                    thread::spawn(move || {
                        start.wait();
                        match number {
                            0 => selector.block_on(selector.close()),
                            _ => future::block_on(selector.close()),
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            future::block_on(selector.close());
            selector.block_on(selector.close());
            assert!(future::block_on(handler).is_err_and(|error| error.is_closed()));
            assert_eq!(selector.stats().tasks, 0);
        }
    });
}

#[test]
fn a_dropped_close_goes_on_closing_and_can_be_awaited_again() {
    watched(|| {
        let (selector, clock) = with_clock();
        let stubborn = selector.spawn_value(pending::<()>());
        future::block_on(async {
            assert!(poll_once(selector.close()).await.is_none());
            let refused = selector.spawn(async { Ok(()) }).await;
            assert!(refused.is_err_and(|error| error.is_closed()));
            let mut close = pin!(selector.close());
            assert!(poll_once(close.as_mut()).await.is_none());
            clock.advance(DRAIN);
            close.await;
            assert!(stubborn.await.is_err_and(|error| error.is_cancelled()));
        });
    });
}

#[test]
fn close_waits_for_what_was_written_to_arrive() {
    watched(|| {
        let (selector, _clock) = with_clock();
        let (socket, mut peer) = connect_to_std(&selector);
        let mut output = socket.open_write_channel().unwrap();
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all.len()
        });
        selector.block_on(async {
            output.write_all(&vec![1; 1024 * 1024]).await.unwrap();
            drop((output, socket));
            selector.close().await;
        });
        assert_eq!(reader.join().unwrap(), 1024 * 1024);
        assert_eq!(selector.stats().sockets, 0);
    });
}
