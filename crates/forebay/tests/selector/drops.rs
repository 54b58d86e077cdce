//! Dropping a selector, and what is left of it: no thread, no descriptor.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{Error, ErrorKind, SelectorManager};
use forebay_testing::{
    Signal, await_that, connected, counted_alone, descriptors, panic_text, watched, worker_threads,
};
use futures_lite::future::{self, pending, yield_now, zip};

const DRAIN: Duration = Duration::from_secs(3600);

/// A selector that waits for nothing by itself: its drain timeout passes when the test says so.
fn with_clock() -> (SelectorManager, TestClock) {
    let clock = TestClock::new();
    let selector =
        SelectorManager::builder().clock(clock.clone()).drain(DRAIN, 64 * 1024).build().unwrap();
    (selector, clock)
}

#[test]
fn dropping_the_last_clone_does_not_wait_for_a_busy_worker() {
    watched(|| {
        let selector = SelectorManager::new();
        let (inside, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (entered, left) = (Arc::clone(&inside), Arc::clone(&leave));
        let task = selector.spawn_value(async move {
            // The worker's thread stands still here.
            entered.wait();
            left.wait();
        });
        inside.wait();
        drop(selector.clone());
        drop(selector);
        leave.wait();
        future::block_on(task).unwrap();
    });
}

#[test]
fn dropping_the_last_clone_closes() {
    watched(|| {
        let (selector, clock) = with_clock();
        let listener = future::block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        let listening = listener.clone();
        let handler = selector.spawn(async move { listening.accept().await.map(drop) });
        let stubborn = selector.spawn_value(pending::<()>());
        drop(selector);
        // Waits are answered at once, what ignores it is cancelled in time.
        assert!(future::block_on(handler).is_err_and(|error| error.is_closed()));
        assert!(future::block_on(listener.accept()).is_err_and(|error| error.is_closed()));
        await_that("the stubborn one is cancelled", || {
            clock.advance(DRAIN);
            stubborn.is_finished()
        });
        assert!(future::block_on(stubborn).is_err_and(|error| error.is_cancelled()));
    });
}

#[test]
fn the_last_clone_may_be_dropped_by_a_task() {
    counted_alone("the_last_clone_may_be_dropped_by_a_task", || {
        let before = descriptors();
        let selector = SelectorManager::new();
        let go = Signal::new();
        let gone = go.clone();
        let last = selector.clone();
        let task = selector.spawn_value(async move {
            gone.await;
            drop(last);
            yield_now().await;
            "ended"
        });
        drop(selector);
        go.set();
        assert_eq!(future::block_on(task).unwrap(), "ended");
        await_that("the worker ends", || worker_threads() == 0);
        await_that("descriptors are released", || descriptors() == before);
    });
}

#[test]
fn a_new_selector_starts_no_thread() {
    counted_alone("a_new_selector_starts_no_thread", || {
        let before = forebay_testing::threads().len();
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
        let clone = selector.clone();
        assert_eq!(clone.stats(), forebay::Stats::default());
        let builder = selector.tcp().backlog(1);
        let sleep = selector.sleep(Duration::from_secs(1));
        let listener = future::block_on(builder.bind("127.0.0.1:0")).unwrap();
        assert_eq!(selector.block_on(async { 42 }), 42);
        assert_eq!(forebay_testing::threads().len(), before);
        drop((sleep, listener, clone));
        drop(selector);
        assert_eq!(forebay_testing::threads().len(), before);

        // And the count counts: a task starts the worker, and the end of the selector ends it.
        let selector = SelectorManager::new();
        future::block_on(selector.spawn(async { Ok(()) })).unwrap();
        // The thread that watches it has the worker's name until it has set its own.
        await_that("one is a worker", || worker_threads() == 1);
        drop(selector);
        await_that("the worker ends", || forebay_testing::threads().len() == before);
    });
}

#[test]
fn a_closed_selector_leaves_no_thread_and_no_descriptor() {
    counted_alone("a_closed_selector_leaves_no_thread_and_no_descriptor", || {
        let before = descriptors();
        for _ in 0..20 {
            let selector = SelectorManager::new();
            let echoed = selector.spawn_value({
                let selector = selector.clone();
                async move {
                    let (mut client, mut server, _listener) = connected(&selector).await?;
                    client.output.write_str("ping\n").await?;
                    let (line, finished) =
                        zip(server.input.read_line(), client.output.finish()).await;
                    finished?;
                    line
                }
            });
            assert_eq!(future::block_on(echoed).unwrap().unwrap().as_deref(), Some("ping"));
            future::block_on(selector.close());
            await_that("the worker ends", || worker_threads() == 0);
        }
        await_that("descriptors are released", || descriptors() == before);

        for _ in 0..20 {
            let workers = forebay::run(async |selector: SelectorManager| {
                let (client, mut server, _listener) = connected(&selector).await?;
                let mut input = client.input;
                selector.spawn(async move { input.read_line().await.map(drop) }).detach();
                server.output.write_str("ping").await?;
                Ok::<_, Error>(selector.worker_stats().len())
            })
            .unwrap();
            if workers > 1 {
                // The others end on threads of their own.
                await_that("they end", || worker_threads() == 0 && descriptors() == before);
            }
            assert_eq!(worker_threads(), 0);
            assert_eq!(descriptors(), before);
        }
    });
}

#[test]
fn selectors_that_are_never_used_leave_no_descriptor() {
    counted_alone("selectors_that_are_never_used_leave_no_descriptor", || {
        let before = descriptors();
        for _ in 0..100 {
            drop(SelectorManager::new());
        }
        let several: Vec<_> = (0..10).map(|_| SelectorManager::new()).collect();
        assert!(descriptors().len() > before.len());
        drop(several);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_selector_that_runs_out_of_descriptors_says_so() {
    counted_alone("a_selector_that_runs_out_of_descriptors_says_so", || {
        let mut hoard = Vec::new();
        let full = loop {
            match SelectorManager::builder().build() {
                Ok(selector) => hoard.push(selector),
                Err(error) => break error,
            }
            // A limit of the machine that is out of reach proves nothing.
            if hoard.len() > 100_000 {
                return;
            }
        };
        assert_eq!(full.kind(), ErrorKind::Exhausted);
        let text = panic_text(|| drop(SelectorManager::new()));
        assert!(text.contains("SelectorManager::builder().build() returns this"), "{text}");
        hoard.clear();
        drop(SelectorManager::new());
    });
}

#[test]
fn two_selectors_know_nothing_of_each_other() {
    watched(|| {
        let (left, right) = (SelectorManager::new(), SelectorManager::new());
        let (near, far, listener) = left.block_on(async { connected(&left).await.unwrap() });
        future::block_on(right.close());
        left.block_on(async {
            let (mut near, mut far) = (near, far);
            near.output.write_str("ping\n").await.unwrap();
            assert_eq!(far.input.read_line().await.unwrap().as_deref(), Some("ping"));
            drop(listener);
        });
        assert_eq!(right.stats().connected, 0);
        // A task of one awaits a task of the other.
        let right = SelectorManager::new();
        let inner = right.spawn_value(async { 42 });
        assert_eq!(
            future::block_on(left.spawn(async move { inner.await.map(drop) })).ok(),
            Some(())
        );
    });
}
