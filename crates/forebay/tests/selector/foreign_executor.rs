//! Waits on a thread that is no worker's, in another executor: they are woken by the
//! selector's own thread, and end when the selector is closed elsewhere.

#![cfg(target_os = "linux")]

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use forebay::testing::TestClock;
use forebay::{CloseReason, Connection, Result, SelectorManager};
use forebay_testing::{
    KIB, MIB, MOMENT, Transport, await_no_worker, counted_alone, descriptors, just_before, on_each,
    pattern, wait_for, watched,
};
use futures_lite::future::{block_on, poll_once};

const HOUR: Duration = Duration::from_secs(3600);

/// A wait that runs on a thread of its own, and says when it has begun.
fn waiting<T: Send + 'static>(wait: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let (began, has_begun) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        let mut wait = Box::pin(wait);
        block_on(async {
            let first = poll_once(&mut wait).await;
            assert!(first.is_none(), "it does not wait");
            began.send(()).unwrap();
            wait.await
        })
    });
    has_begun.recv().unwrap();
    thread
}

fn pair(transport: Transport, selector: &SelectorManager) -> (Connection, Connection) {
    block_on(transport.pair(selector)).unwrap()
}

/// Fills the connection with more than any system takes for a peer that does not read: the next write
/// waits for room.
fn fill(it: &mut Connection) {
    block_on(it.output.write_bytes(vec![0; 64 * MIB].into())).unwrap();
}

#[track_caller]
fn assert_closed<T: std::fmt::Debug>(what: &str, outcome: Result<T>) {
    let error = outcome.expect_err(what);
    assert!(error.is_closed(), "{what}: {error}");
}

#[test]
fn everything_works_there() {
    on_each(|transport| {
        let selector = SelectorManager::new();
        let (mut near, mut far) = pair(transport, &selector);
        let reading = waiting(async move {
            let line = far.input.read_line().await;
            far.output.write_all(&pattern(500 * KIB)).await.unwrap();
            far.output.finish().await.unwrap();
            (line, far.socket.close().await)
        });
        let closed = waiting({
            let socket = near.socket.clone();
            async move { socket.closed().await }
        });
        block_on(async {
            near.output.write_str("hello\n").await?;
            let bytes = near.input.read_remaining(1 << 20).await?;
            assert!(bytes.as_slice() == pattern(500 * KIB));
            match near.output.finish().await {
                // The peer has gone by then, as it may.
                Err(error) if error.is_reset() && transport.ends_with_data() => Ok(()),
                finished => finished,
            }
        })
        .unwrap();
        let (line, closing) = reading.join().unwrap();
        assert_eq!(line.unwrap().as_deref(), Some("hello"), "over {transport}");
        closing.unwrap();
        let reason = closed.join().unwrap();
        let may_be_reset = transport.ends_with_data() && reason == CloseReason::Reset;
        assert!(reason == CloseReason::Ended || may_be_reset, "over {transport}: {reason:?}");
    });
}

#[test]
fn a_closing_selector_ends_a_read_and_the_waits_for_the_end() {
    on_each(|transport| {
        // Often, because the three waits must be in each other's way.
        for _ in 0..20 {
            let selector = SelectorManager::new();
            let (near, far) = pair(transport, &selector);
            let Connection { mut input, socket, .. } = near;
            let reading = waiting(async move { input.read_u8().await });
            let other = socket.clone();
            let closed = waiting(async move { socket.closed().await });
            let finished = waiting(async move { other.peer_finished().await });
            block_on(selector.close());
            // The far side is closed too. If it had not read everything, it resets, and this side may meet
            // that before its own close.
            let may_be_reset = transport.ends_with_data();
            let read = reading.join().unwrap().expect_err("read");
            let finished = finished.join().unwrap().expect_err("peer_finished");
            for error in [read, finished] {
                let is_reset = may_be_reset && error.is_reset();
                assert!(error.is_closed() || is_reset, "over {transport}: {error}");
            }
            let reason = closed.join().unwrap();
            let is_reset = may_be_reset && reason == CloseReason::Reset;
            assert!(reason == CloseReason::Local || is_reset, "over {transport}: {reason:?}");
            drop(far);
        }
    });
}

#[test]
fn a_closing_selector_ends_an_accept() {
    watched(|| {
        let selector = SelectorManager::new();
        let server = block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        let accepting: Vec<_> = (0..3)
            .map(|_| {
                let server = server.clone();
                waiting(async move { server.accept().await })
            })
            .collect();
        block_on(selector.close());
        for accepting in accepting {
            assert_closed("accept", accepting.join().unwrap());
        }
    });
}

#[test]
fn a_closing_selector_ends_a_write_that_waits_for_room() {
    on_each(|transport| {
        // Nothing that is queued ever leaves, so it ends because the close begins, and not
        // because it is over.
        let clock = TestClock::new();
        let builder = SelectorManager::builder().clock(clock.clone());
        let selector = builder.drain(HOUR, 64 * KIB as u64).build().unwrap();
        let (mut near, far) = pair(transport, &selector);
        fill(&mut near);
        let writing = waiting(async move {
            let outcome = near.output.write_str("more").await;
            (near, outcome)
        });
        let busy = selector.spawn(std::future::pending());
        let closing = thread::spawn({
            let selector = selector.clone();
            move || block_on(selector.close())
        });
        let (near, outcome) = writing.join().unwrap();
        assert_closed("write", outcome);
        assert!(!closing.is_finished(), "over {transport}");
        wait_for(|| {
            clock.advance(HOUR);
            closing.is_finished()
        });
        closing.join().unwrap();
        drop((near, far, busy));
    });
}

#[test]
fn a_selector_that_stops_ends_a_flush() {
    on_each(|transport| {
        let selector = SelectorManager::builder().drain(Duration::ZERO, 0).build().unwrap();
        let (mut near, far) = pair(transport, &selector);
        fill(&mut near);
        let flushing = waiting(async move { near.output.flush().await });
        block_on(selector.close());
        // The close of its connection gave the peer up before the selector stopped; in memory that
        // peer was closed first, with what it had not read.
        let error = flushing.join().unwrap().unwrap_err();
        assert!(error.is_timeout() || error.is_reset(), "over {transport}: {error}");
        drop(far);
    });
}

#[test]
fn a_sleep_ends_at_its_time_also_after_the_selector_was_closed() {
    watched(|| {
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
        let sleeping = waiting(selector.sleep(HOUR));
        block_on(selector.close());
        clock.advance(just_before(HOUR));
        assert!(!sleeping.is_finished());
        let late = waiting(selector.sleep(HOUR));
        clock.advance(MOMENT);
        sleeping.join().unwrap();
        clock.advance(HOUR);
        late.join().unwrap();
    });
    // And by the system's clock, without another handle of the selector.
    watched(|| {
        let selector = SelectorManager::new();
        let began = Instant::now();
        let pause = Duration::from_millis(20);
        let sleeping = waiting(selector.sleep(pause));
        block_on(selector.close());
        drop(selector);
        sleeping.join().unwrap();
        assert!(began.elapsed() >= pause);
    });
}

#[test]
fn a_sleep_that_is_dropped_after_the_close_keeps_no_thread() {
    const NAME: &str = "a_sleep_that_is_dropped_after_the_close_keeps_no_thread";
    counted_alone(NAME, || {
        let before = descriptors().len();
        let selector = SelectorManager::new();
        let mut sleep = Box::pin(selector.sleep(HOUR));
        assert!(block_on(poll_once(&mut sleep)).is_none());
        block_on(selector.close());
        // The thread has seen the close, and waits for the hour.
        let sleeps = || selector.worker_stats()[0].sleeps;
        let seen = sleeps();
        block_on(selector.sleep(Duration::from_millis(20)));
        wait_for(|| sleeps() > seen + 1);
        drop(selector);
        drop(sleep);
        await_no_worker(before);
    });
}
