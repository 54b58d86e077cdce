//! A task that blocks its worker is reported while it blocks, with the place at which it was spawned.

#![cfg(target_os = "linux")]

use std::fs;
use std::panic::Location;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use forebay::{Error, ErrorKind, Fault, Result, SelectorManager, yield_now};
use forebay_testing::{
    Child, PATIENCE, await_that, child, counted_alone, role, say, threads, until, watched,
};

/// Short, for these tests, and long enough for a busy machine.
const LIMIT: Duration = Duration::from_millis(200);
const WATCH: &str = "forebay-watch";

/// A selector and what is reported to it.
fn selector() -> (SelectorManager, Receiver<Error>) {
    let (report, reports) = channel();
    let builder = SelectorManager::builder().blocked_after(Some(LIMIT));
    let handler = move |error: &Error| report.send(error.clone()).unwrap();
    (builder.on_task_error(handler).build().unwrap(), reports)
}

/// Something that blocks a thread until it is released.
fn blocker() -> (Sender<()>, impl FnOnce() + Send) {
    let (release, released) = channel::<()>();
    (release, move || {
        released.recv().ok();
    })
}

fn watch_threads() -> usize {
    threads().iter().filter(|name| *name == WATCH).count()
}

#[track_caller]
fn assert_names(error: &Error, place: &Location<'_>) {
    let text = error.to_string();
    let here = format!("{}:{}:", place.file(), place.line());
    assert!(text.contains(&here), "{here} in: {text}");
    assert!(text.contains("spawn_blocking") && text.contains("200ms"), "{text}");
    assert_eq!((error.kind(), error.kind().fault()), (ErrorKind::Other, Fault::Caller));
}

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

#[test]
fn a_task_is_reported_while_it_blocks_and_once() {
    watched(|| {
        let (selector, reports) = selector();
        let (release, block) = blocker();
        let (again, block_again) = blocker();
        let blocking = async {
            block();
            yield_now().await;
            block_again();
            Ok(())
        };
        let (place, task) = (here(), selector.spawn(blocking));
        // It has not returned, and would not.
        assert_names(&reports.recv_timeout(PATIENCE).unwrap(), place);
        assert!(reports.recv_timeout(2 * LIMIT).is_err(), "reported once for a poll");
        drop(release);
        assert!(reports.recv_timeout(2 * LIMIT).is_err(), "and for a task, which blocks again");
        let (other, block) = blocker();
        let second = here().line() + 1;
        let next = selector.spawn_value(async { block() });
        drop(again);
        let error = reports.recv_timeout(PATIENCE).unwrap();
        assert!(error.to_string().contains(&format!(":{second}:")), "{error}");
        drop(other);
        selector.block_on(async {
            task.await.unwrap();
            next.await.unwrap();
        });
        selector.block_on(selector.close());
        assert!(reports.try_recv().is_err(), "reported once each");
    });
}

#[test]
fn a_task_that_blocks_in_a_destructor_is_reported() {
    struct Blocks<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Blocks<F> {
        fn drop(&mut self) {
            self.0.take().unwrap()();
        }
    }
    watched(|| {
        let (selector, reports) = selector();
        let (release, block) = blocker();
        let held = Blocks(Some(block));
        let (place, task) = (here(), selector.spawn_value(async { drop(held) }));
        assert_names(&reports.recv_timeout(PATIENCE).unwrap(), place);
        drop(release);
        selector.block_on(task).unwrap();
    });
}

/// Starts a task that blocks, and returns the place that the report is to name.
type Start = fn(&SelectorManager, Box<dyn FnOnce() + Send>) -> &'static Location<'static>;

#[test]
fn every_call_that_starts_a_task_is_named_by_its_place() {
    async fn run(block: Box<dyn FnOnce() + Send>) -> Result<()> {
        yield_now().await;
        block();
        Ok(())
    }
    let starts: [Start; 6] = [
        |selector, block| (here(), selector.spawn(run(block)).detach()).0,
        |selector, block| (here(), selector.spawn_value(run(block)).detach()).0,
        |selector, block| {
            let within = async { (here(), forebay::spawn(run(block)).detach()).0 };
            selector.block_on(selector.spawn_value(within)).unwrap()
        },
        |selector, block| {
            let within = async { (here(), forebay::spawn_value(run(block)).detach()).0 };
            selector.block_on(selector.spawn_value(within)).unwrap()
        },
        |selector, block| (here(), selector.writer(|_| run(block))).0,
        |selector, block| (here(), selector.reader(|_| run(block))).0,
    ];
    watched(move || {
        for start in starts {
            let (selector, reports) = selector();
            let (release, block) = blocker();
            // So that a thread of the worker's own drives it, and not this one.
            let place = thread::scope(|scope| {
                let started = scope.spawn(|| start(&selector, Box::new(block)));
                let place = started.join().unwrap();
                assert_names(&reports.recv_timeout(PATIENCE).unwrap(), place);
                drop(release);
                place
            });
            assert_eq!(place.file(), file!());
        }
    });
}

#[test]
fn the_future_of_run_is_reported_as_such() {
    watched(|| {
        let (report, reports) = channel();
        let handler = move |error: &Error| report.send(error.to_string()).unwrap();
        let builder = SelectorManager::builder().blocked_after(Some(LIMIT)).on_task_error(handler);
        builder
            .run(async |selector| {
                let other = selector.spawn(std::future::pending());
                yield_now().await;
                let text = reports.recv_timeout(PATIENCE).unwrap();
                assert!(text.contains("the future of run or block_on"), "{text}");
                other.abort();
                Result::Ok(())
            })
            .unwrap();
    });
}

#[test]
fn the_thread_lives_as_long_as_the_selector_has_tasks_to_poll() {
    counted_alone("the_thread_lives_as_long_as_the_selector_has_tasks_to_poll", || {
        let before = threads().len();
        let idle = SelectorManager::new();
        idle.block_on(async { yield_now().await });
        assert_eq!(watch_threads(), 0, "without tasks");
        let off = SelectorManager::builder().blocked_after(None).build().unwrap();
        off.block_on(off.spawn(async { Ok(()) })).unwrap();
        assert_eq!(watch_threads(), 0, "turned off");

        let dropped = SelectorManager::new();
        dropped.block_on(dropped.spawn(async { Ok(()) })).unwrap();
        dropped.block_on(dropped.spawn(async { Ok(()) })).unwrap();
        await_that("one thread", || watch_threads() == 1);
        drop(dropped);
        await_that("no thread is left", || watch_threads() == 0);
        let closed = SelectorManager::new();
        closed.block_on(closed.spawn(async { Ok(()) })).unwrap();
        await_that("one thread", || watch_threads() == 1);
        closed.block_on(closed.close());
        await_that("no thread is left", || watch_threads() == 0);
        forebay::run(async |selector| selector.spawn(async { Ok(()) }).await).unwrap();
        drop((idle, off));
        await_that("no thread is left", || threads().len() == before);
    });
}

/// The number of times that the thread of this name has gone to sleep.
fn sleeps_of(name: &str) -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let is_it = |path: &std::path::PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let path = tasks.into_iter().find(is_it).unwrap();
    let status = fs::read_to_string(path.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn the_thread_sleeps_while_the_worker_does() {
    counted_alone("the_thread_sleeps_while_the_worker_does", || {
        let (selector, _reports) = selector();
        let (mut input, _output) = forebay::pipe(16);
        let waiting = selector.spawn(async move { input.read_u8().await.map(drop) });
        await_that("the thread is started", || watch_threads() == 1);
        let (mut sleeps, mut since) = (sleeps_of(WATCH), Instant::now());
        let begun = since;
        // It has parked when it stays for longer than a few steps.
        while since.elapsed() < 3 * LIMIT {
            assert!(begun.elapsed() < PATIENCE, "it never parks");
            let now = sleeps_of(WATCH);
            if now != sleeps {
                (sleeps, since) = (now, Instant::now());
            }
            thread::yield_now();
        }
        thread::sleep(5 * LIMIT);
        assert_eq!(sleeps_of(WATCH), sleeps, "it has woken up");
        waiting.abort();
    });
}

const STOPPED: &str = "a_stop_of_the_whole_process_is_no_task_that_blocks";

#[test]
fn a_stop_of_the_whole_process_is_no_task_that_blocks() {
    if role().is_some() {
        return be_stopped();
    }
    watched(|| {
        let mut child = Child::start(STOPPED, "stopped");
        assert_eq!(child.hear().as_deref(), Some("begins"));
        for _ in 0..3 {
            child.stop();
            thread::sleep(4 * LIMIT);
            child.go_on();
            assert_eq!(child.hear().as_deref(), Some("polled"));
        }
        assert_eq!(child.hear().as_deref(), Some("0 reports"));
    });
}

/// Spends nearly all the time in polls, and not long in any.
fn be_stopped() {
    let (selector, reports) = selector();
    selector
        .block_on(selector.spawn(async {
            say("begins");
            for _ in 0..3 {
                let since = Instant::now();
                while since.elapsed() < 3 * LIMIT {
                    let poll = Instant::now();
                    while poll.elapsed() < LIMIT / 10 {
                        std::hint::spin_loop();
                    }
                    yield_now().await;
                }
                say("polled");
            }
            Ok(())
        }))
        .unwrap();
    say(&format!("{} reports", reports.try_iter().count()));
}

#[test]
fn the_error_of_a_task_is_reported_with_the_place_of_its_spawn() {
    let test = "the_error_of_a_task_is_reported_with_the_place_of_its_spawn";
    let line = here().line() + 4;
    let ended = child(test, || {
        let selector = SelectorManager::new();
        selector.block_on(async {
            let task = selector.spawn(async { Err(Error::other("no")) });
            task.detach();
            selector.close().await;
        });
    });
    let Some(ended) = ended else { return };
    let expected = format!("a task ended in an error (spawned at {}:{line}:", file!());
    assert!(ended.stderr.contains(&expected), "{expected} in: {}", ended.stderr);
}

/// By whichever function, and on whichever worker.
#[test]
fn the_place_of_a_spawn_is_that_of_the_call_on_several_workers() {
    let test = "the_place_of_a_spawn_is_that_of_the_call_on_several_workers";
    let first = here().line() + 12;
    let fail = async || Err(Error::other("no"));
    let ended = child(test, || {
        for (workers, way) in (0..12).map(|number| ([2, 4][number / 6], number % 6)) {
            // A selector of its own: each prints a line, and holds more back.
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            selector.block_on(async {
                let group = selector.group();
                let place = group.place().await;
                let held = selector.spawn_here(futures_lite::future::pending());
                // One a line, which the test counts from the first of them on.
                let task = match way {
                    0 => group.spawn(fail()),
                    1 => place.spawn(fail()),
                    2 => selector.spawn_here(fail()),
                    3 => selector.spawn(fail()),
                    4 => forebay::spawn_here(fail()),
                    _ => forebay::spawn(fail()),
                };
                task.detach();
                until(|| selector.stats().task_errors == 1).await;
                held.abort();
            });
        }
    });
    let Some(ended) = ended else { return };
    for line in first..first + 6 {
        let expected = format!("a task ended in an error (spawned at {}:{line}:", file!());
        assert!(ended.stderr.contains(&expected), "{expected} in: {}", ended.stderr);
    }
}

/// With the limit that is the default, and without a handler.
#[test]
fn by_default_it_is_printed_after_a_second() {
    let test = "by_default_it_is_printed_after_a_second";
    let ended = child(test, || {
        forebay::run(async |selector| {
            selector.spawn_value(async { thread::sleep(Duration::from_millis(2500)) }).await
        })
        .unwrap();
    });
    let Some(ended) = ended else { return };
    let printed = ended.stderr.matches("has not returned for 1s").count();
    assert_eq!(printed, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("a task blocks its worker"), "{}", ended.stderr);
}

/// The report of a task that blocks is neither held back behind other errors, nor does it wait for the
/// worker's timer; and what was held back before is printed when its second is over.
#[test]
fn what_is_held_back_is_printed_while_a_task_blocks() {
    let name = "what_is_held_back_is_printed_while_a_task_blocks";
    let body = || {
        let builder = SelectorManager::builder().workers(1).blocked_after(Some(LIMIT));
        let selector = builder.build().unwrap();
        let block = async {
            // What is waited for is time: the second in which lines are held back, and another one.
            thread::sleep(Duration::from_secs(2));
            eprintln!("forebay: now it returns");
        };
        for round in 1..=2 {
            selector.spawn(async move { Err(Error::other(format!("round {round}"))) }).detach();
        }
        selector.block_on(selector.spawn_value(block)).unwrap();
        selector.block_on(selector.close());
    };
    let Some(child) = child(name, body) else { return };
    let lines: Vec<_> = child.stderr.lines().filter(|line| line.starts_with("forebay:")).collect();
    let expected = ["round 1", "has not returned", "round 2", "now it returns"];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{part} in {lines:?}");
    }
}
