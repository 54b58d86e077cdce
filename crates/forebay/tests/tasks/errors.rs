//! Errors of tasks that are not awaited: the receivers, how often they are told, and the output.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use forebay::testing::TestClock;
use forebay::{Error, ErrorKind, JoinHandle, Result, SelectorManager, TlsFault};
use forebay_testing::{
    await_that, child, in_host, lock, refusing, report, settle, until_that, watched,
};
use futures_lite::future::{self, pending, yield_now};

/// A selector's builder and the errors it was told of.
fn with_errors() -> (forebay::SelectorBuilder, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let builder =
        SelectorManager::builder().on_task_error(move |error| lock(&notes).push(error.to_string()));
    (builder, told)
}

#[test]
fn the_error_of_a_detached_task_is_reported_once() {
    watched(|| {
        let (builder, told) = with_errors();
        builder
            .run(async |selector: SelectorManager| {
                let fails = || async { Err(Error::other("detached")) };
                selector.spawn(fails()).detach();
                until_that("the first", || lock(&told).len() == 1).await;

                // The handle goes only after the task has failed.
                let handle = selector.spawn(fails());
                until_that("the task ends", || handle.is_finished()).await;
                assert_eq!(lock(&told).len(), 1, "its handle may still be awaited");
                drop(handle);
                assert_eq!(lock(&told).len(), 2);

                // A panic is an error as well, and so is an abort.
                selector.spawn(async { panic!("expected by a test") }).detach();
                until_that("the panic", || lock(&told).len() == 3).await;
                assert!(lock(&told)[2].contains("expected by a test"));
                settle().await;
                assert_eq!(selector.stats().task_errors, 3);
                assert_eq!(lock(&told).len(), 3);
                Result::Ok(())
            })
            .unwrap();
    });
}

#[test]
fn the_error_of_an_awaited_task_is_not_reported() {
    watched(|| {
        let (builder, told) = with_errors();
        builder
            .run(async |selector: SelectorManager| {
                for _ in 0..100 {
                    let mut handle = selector.spawn(async {
                        yield_now().await;
                        Err(Error::other("awaited"))
                    });
                    assert!(future::poll_once(&mut handle).await.is_none());
                    assert!(handle.await.is_err());
                }
                // Awaited long after it failed.
                let late = selector.spawn(async { Err(Error::other("late")) });
                until_that("the task ends", || late.is_finished()).await;
                assert!(late.await.is_err());
                Result::Ok(())
            })
            .unwrap();
        assert!(lock(&told).is_empty(), "{:?}", lock(&told));
    });
}

#[test]
fn nothing_is_reported_for_values() {
    watched(|| {
        let (builder, told) = with_errors();
        builder
            .run(async |selector: SelectorManager| {
                selector.spawn_value(async { Result::<()>::Err(Error::other("a value")) }).detach();
                selector.spawn_value(async { panic!("expected by a test") }).detach();
                selector.spawn_blocking(|| panic!("expected by a test")).detach();
                let aborted = selector.spawn_value(pending::<()>());
                aborted.abort();
                drop(aborted);
                until_that("all have ended", || selector.stats().tasks == 0).await;
                settle().await;
                assert_eq!(selector.stats().task_errors, 0);
                Result::Ok(())
            })
            .unwrap();
        assert!(lock(&told).is_empty(), "{:?}", lock(&told));
    });
}

#[test]
fn a_task_that_fails_while_its_handle_is_dropped_is_reported_exactly_once() {
    const ROUNDS: usize = 10_000;
    watched(|| {
        let reported = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reported);
        let selector = SelectorManager::builder()
            .on_task_error(move |_| {
                counted.fetch_add(1, SeqCst);
            })
            .build()
            .unwrap();
        let (sender, handles) = std::sync::mpsc::channel::<JoinHandle<()>>();
        let ended = Arc::new(AtomicUsize::new(0));
        let dropper = thread::spawn(move || {
            let mut awaited = 0;
            for (round, handle) in handles.into_iter().enumerate() {
                match round % 4 {
                    0 => {
                        assert!(future::block_on(handle).is_err());
                        awaited += 1;
                    }
                    // A poll that may see the result or may not, and then the drop.
                    1 => {
                        let mut handle = handle;
                        let seen = future::block_on(future::poll_once(&mut handle));
                        awaited += usize::from(seen.is_some());
                    }
                    _ => drop(handle),
                }
            }
            awaited
        });
        // The tasks run on the selector's own thread, the handles are dropped on another one.
        for _ in 0..ROUNDS {
            let ended = Arc::clone(&ended);
            let handle = selector.spawn(async move {
                ended.fetch_add(1, SeqCst);
                Err(Error::other("somebody's"))
            });
            sender.send(handle).unwrap();
        }
        drop(sender);
        let awaited: usize = dropper.join().unwrap();
        await_that("all tasks end", || ended.load(SeqCst) == ROUNDS);
        await_that("all tasks are gone", || selector.stats().tasks == 0);
        // A task leaves the list just before it reports, so the last report may still be under way.
        await_that("all errors are reported", || reported.load(SeqCst) + awaited >= ROUNDS);
        future::block_on(selector.close());
        assert_eq!(reported.load(SeqCst) + awaited, ROUNDS);
        assert!(awaited < ROUNDS, "no task was detached");
        report(&format!("{awaited} of {ROUNDS} errors were awaited, the others reported"));
    });
}

#[test]
fn the_handler_runs_with_no_lock_held() {
    watched(|| {
        let inside = Arc::new(Mutex::new(None::<SelectorManager>));
        let used = Arc::clone(&inside);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let selector = SelectorManager::builder()
            .on_task_error(move |_| {
                let selector = lock(&used).clone().unwrap();
                assert!(selector.stats().task_errors > 0);
                selector.spawn(async { Ok(()) }).detach();
                counted.fetch_add(1, SeqCst);
            })
            .build()
            .unwrap();
        *lock(&inside) = Some(selector.clone());
        selector.block_on(async {
            selector.spawn(async { Err(Error::other("no")) }).detach();
            until_that("the handler has run", || calls.load(SeqCst) == 1).await;
            selector.close().await;
        });
        // The cycle was the test's own.
        lock(&inside).take();
    });
}

/// Detaches tasks that fail with these kinds, each this often, and ends when all are counted.
fn detach_failing(kinds: &'static [ErrorKind], times: usize) {
    in_host(async |selector: SelectorManager| {
        for _ in 0..times {
            for kind in kinds {
                let error = Error::new(*kind, "a test's call");
                selector.spawn(async move { Err(error) }).detach();
            }
        }
        let all = (kinds.len() * times) as u64;
        until_that("all are counted", || selector.stats().task_errors == all).await;
        Result::Ok(())
    })
    .unwrap();
}

fn printed(child: &forebay_testing::Ended) -> Vec<&str> {
    assert!(child.status.success(), "{child:?}");
    child.stderr.lines().filter(|line| line.starts_with("forebay:")).collect()
}

/// Returns the number in "(and 12 more)", which ends a line, or zero.
fn more(end_of_line: &str) -> usize {
    if end_of_line.is_empty() {
        return 0;
    }
    let number = end_of_line.strip_prefix(" (and ").and_then(|it| it.strip_suffix(" more)"));
    number.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{end_of_line:?}"))
}

/// One kind of each fault that is printed, and two of the system's.
const KINDS: &[ErrorKind] = &[
    ErrorKind::Other,
    ErrorKind::LineTooLong { limit: 64 },
    ErrorKind::Exhausted,
    ErrorKind::AddressInUse,
];

#[test]
fn by_default_faults_of_caller_limit_and_system_are_printed_once_a_second() {
    let name = "by_default_faults_of_caller_limit_and_system_are_printed_once_a_second";
    let body = || {
        let began = Instant::now();
        detach_failing(KINDS, 50);
        println!("took {} ms", began.elapsed().as_millis());
    };
    let Some(child) = child(name, body) else {
        return;
    };
    let lines = printed(&child);
    let took: u128 = child
        .stdout
        .split("took ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap();
    for kind in KINDS {
        let text = format!("a test's call: {kind}");
        let of_kind: Vec<_> = lines.iter().filter_map(|line| line.split_once(&text)).collect();
        let count = of_kind.len() as u128;
        // One at once, one for each second, and at the close what was held back.
        assert!(
            (2..=2 + took / 1000).contains(&count),
            "{count} lines of {kind:?} within {took} ms:\n{}",
            lines.join("\n")
        );
        let all: usize = of_kind.iter().map(|(_, rest)| 1 + more(rest)).sum();
        assert_eq!(all, 50, "{of_kind:?}");
    }
    assert!(
        lines[0].starts_with("forebay: a task ended in an error (spawned at ")
            && lines[0].contains("tasks/errors.rs:")
            && lines[0].contains("): a test's call: "),
        "{}",
        lines[0]
    );
}

#[test]
fn by_default_the_ends_and_the_silence_of_peers_and_our_own_close_are_only_counted() {
    let name = "by_default_the_ends_and_the_silence_of_peers_and_our_own_close_are_only_counted";
    let body = || {
        detach_failing(
            &[
                ErrorKind::Reset,
                ErrorKind::TimedOut,
                ErrorKind::UnexpectedEnd { needed: 2, available: 1 },
                ErrorKind::EndedWithoutNotify,
                ErrorKind::Tls(TlsFault::EndedInHandshake),
                ErrorKind::Closed,
                ErrorKind::Cancelled,
            ],
            10,
        );
    };
    let Some(child) = child(name, body) else {
        return;
    };
    assert_eq!(printed(&child), Vec::<&str>::new());
}

/// Lets a task fail with `error`, and waits until that is reported.
async fn fail(selector: &SelectorManager, error: Error) {
    let before = selector.stats();
    selector.spawn(async move { Err(error) }).detach();
    until_that("it is reported", || {
        // It is counted before it is printed, and listed until it is.
        let now = selector.stats();
        now.task_errors == before.task_errors + 1 && now.tasks == before.tasks
    })
    .await;
}

#[test]
fn by_default_a_refused_connection_and_a_bad_line_are_printed() {
    let name = "by_default_a_refused_connection_and_a_bad_line_are_printed";
    let body = || {
        in_host(async |selector: SelectorManager| {
            let (_socket, refusing) = refusing();
            let connecting = selector.clone();
            selector
                .spawn(async move { connecting.tcp().connect(refusing).await.map(drop) })
                .detach();

            let (mut peer, mut end) = selector.duplex(1024);
            peer.output.write_all(b"\xff\n").await?;
            peer.output.finish().await?;
            selector.spawn(async move { end.input.read_line().await.map(drop) }).detach();
            until_that("both are counted", || selector.stats().task_errors == 2).await;
            Result::Ok(())
        })
        .unwrap();
    };
    let Some(child) = child(name, body) else {
        return;
    };
    let lines = printed(&child);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for part in ["connect 127.0.0.1:", "the line is not UTF-8"] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:?}");
    }
}

#[test]
fn each_fault_of_tls_has_a_line_of_its_own() {
    let name = "each_fault_of_tls_has_a_line_of_its_own";
    let body = || {
        let faults = [TlsFault::NotTls, TlsFault::Expired, TlsFault::NotTls, TlsFault::Expired];
        in_host(async |selector: SelectorManager| {
            for fault in faults {
                fail(&selector, Error::new(ErrorKind::Tls(fault), "tls handshake")).await;
            }
            Result::Ok(())
        })
        .unwrap();
    };
    let Some(child) = child(name, body) else {
        return;
    };
    let lines = printed(&child);
    let not_tls = lines.iter().filter(|line| line.contains("does not speak TLS")).count();
    let expired = lines.iter().filter(|line| line.contains("has expired")).count();
    // The second of each is printed at the close.
    assert_eq!((not_tls, expired), (2, 2), "{lines:?}");
}

/// Lets thirteen tasks fail, by a clock that stands.
async fn thirteen_fail(selector: &SelectorManager) {
    for round in 1..=13 {
        fail(selector, Error::other(format!("round {round}"))).await;
    }
}

/// The first line, and the one that stands for the others.
const TWO_OF_THIRTEEN: [&str; 2] = [
    "forebay: a task ended in an error: round 1",
    "forebay: a task ended in an error: round 13 (and 11 more)",
];

/// The lines without the places at which the tasks were spawned, which are in this file.
fn without_places(lines: &[&str]) -> Vec<String> {
    let stripped = lines.iter().map(|line| {
        let (before, behind) = line.split_once(" (spawned at ").expect("a place");
        let (place, behind) = behind.split_once(')').expect("its end");
        assert!(place.starts_with(file!()), "{line}");
        format!("{before}{behind}")
    });
    stripped.collect()
}

#[test]
fn lines_that_were_held_back_are_told_of_a_second_later() {
    let name = "lines_that_were_held_back_are_told_of_a_second_later";
    let body = || {
        let clock = TestClock::new();
        let builder = SelectorManager::builder().clock(clock.clone());
        let run = builder.run(async |selector: SelectorManager| {
            thirteen_fail(&selector).await;
            assert_eq!(selector.stats().timers, 1);
            clock.advance(Duration::from_secs(1));
            until_that("no line is held back", || selector.stats().timers == 0).await;
            // Nothing is left for the close.
            eprintln!("now it closes");
            Result::Ok(())
        });
        run.unwrap();
    };
    let Some(child) = child(name, body) else {
        return;
    };
    assert_eq!(without_places(&printed(&child)), TWO_OF_THIRTEEN);
    assert!(child.stderr.trim_end().ends_with("now it closes"), "{}", child.stderr);
}

#[test]
fn lines_that_were_held_back_are_told_of_at_the_close() {
    let name = "lines_that_were_held_back_are_told_of_at_the_close";
    let body = || {
        let clock = TestClock::new();
        let builder = SelectorManager::builder().clock(clock.clone());
        let run = builder.run(async |selector: SelectorManager| {
            thirteen_fail(&selector).await;
            Result::Ok(())
        });
        run.unwrap();
        eprintln!("it is closed");
    };
    let Some(child) = child(name, body) else {
        return;
    };
    assert_eq!(without_places(&printed(&child)), TWO_OF_THIRTEEN);
    assert!(child.stderr.trim_end().ends_with("it is closed"), "{}", child.stderr);
}

#[test]
fn lines_held_back_keep_no_thread() {
    let name = "lines_held_back_keep_no_thread";
    let body = || {
        let clock = TestClock::new();
        let builder = SelectorManager::builder().clock(clock.clone());
        let run = builder.run(async |selector: SelectorManager| {
            thirteen_fail(&selector).await;
            Result::Ok(())
        });
        run.unwrap();
        // By a clock that stands, a timer that is left would keep the worker's thread forever.
        await_that("no worker is left", || forebay_testing::worker_threads() == 0);
    };
    let Some(child) = child(name, body) else {
        return;
    };
    assert_eq!(printed(&child).len(), 2, "{child:?}");
}

#[test]
fn by_default_a_panic_of_a_detached_task_is_printed_and_one_of_a_value_is_not() {
    let name = "by_default_a_panic_of_a_detached_task_is_printed_and_one_of_a_value_is_not";
    let body = || {
        in_host(async |selector: SelectorManager| {
            selector.spawn(async { panic!("of a task") }).detach();
            selector.spawn_value(async { panic!("of a value") }).detach();
            until_that("both have ended", || selector.stats().tasks == 0).await;
            until_that("one is counted", || selector.stats().task_errors == 1).await;
            Result::Ok(())
        })
        .unwrap();
    };
    let Some(child) = child(name, body) else {
        return;
    };
    let lines = printed(&child);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("of a task"), "{}", lines[0]);
}
