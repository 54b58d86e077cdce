//! Tasks: how they start and end, and where they may run.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{Error, Fault, Result, SelectorManager};
use forebay_testing::{OnDrop, Signal, await_that, lock, panic_text, until_that, watched};
use futures_lite::future::{self, pending, yield_now};

// ---- starting and awaiting ---------------------------------------------------------------------------

#[test]
fn a_task_gives_its_result() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            assert!(selector.spawn(async { Ok(()) }).await.is_ok());
            let error = selector.spawn(async { Err(Error::other("no")) }).await;
            assert_eq!(error.unwrap_err().to_string(), "no");
            assert_eq!(selector.spawn_value(async { 42 }).await?, 42);
            assert_eq!(selector.spawn_blocking(|| "blocking").await?, "blocking");
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn a_task_runs_without_being_awaited_and_runs_on_when_its_handle_is_dropped() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let (go, done) = (Signal::new(), Signal::new());
            let (gone, told) = (go.clone(), done.clone());
            drop(selector.spawn(async move {
                gone.await;
                told.set();
                Ok(())
            }));
            yield_now().await;
            assert!(!done.is_set());
            go.set();
            done.await;

            let done = Signal::new();
            let told = done.clone();
            selector.spawn_value(async move { told.set() }).detach();
            done.await;
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn a_handle_can_be_awaited_again_after_a_dropped_wait() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let go = Signal::new();
            let gone = go.clone();
            let mut task = selector.spawn_value(async move {
                gone.await;
                "once"
            });
            for _ in 0..3 {
                assert!(future::poll_once(&mut task).await.is_none());
            }
            go.set();
            assert_eq!((&mut task).await?, "once");
            // The value has been given away; a second wait says so instead of panicking.
            assert!((&mut task).await.is_err_and(|error| error.is_cancelled()));
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn a_handle_knows_whether_its_task_has_ended() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let go = Signal::new();
            let task = selector.spawn_value(go.clone());
            yield_now().await;
            assert!(!task.is_finished());
            assert!(format!("{task:?}").contains("is_finished: false"));
            go.set();
            until_that("the task ends", || task.is_finished()).await;
            task.await?;

            let panicked = selector.spawn_value(async { panic!("expected by a test") });
            until_that("the panicked task ends", || panicked.is_finished()).await;
            assert!(panicked.await.is_err_and(|error| error.is_panicked()));
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn a_task_starts_others_by_the_functions_at_the_root() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let sum = selector.spawn_value(async {
                let left = forebay::spawn_value(async { 20 });
                let right = forebay::spawn_value(async { 22 });
                forebay::spawn(async { Ok(()) }).await?;
                forebay::spawn_blocking(|| ()).await?;
                Result::Ok(left.await? + right.await?)
            });
            assert_eq!(sum.await??, 42);
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn a_hundred_thousand_tasks_leave_nothing_behind() {
    const TASKS: usize = 100_000;
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let ran = Arc::new(AtomicUsize::new(0));
            for task in 0..TASKS {
                let ran = Arc::clone(&ran);
                let handle = selector.spawn(async move {
                    ran.fetch_add(1, SeqCst);
                    Ok(())
                });
                if task % 1000 == 0 {
                    handle.await?;
                }
            }
            until_that("all have run", || ran.load(SeqCst) == TASKS).await;
            until_that("all have ended", || selector.stats().tasks == 0).await;
            // The tasks held nothing else either.
            assert_eq!(Arc::strong_count(&ran), 1);
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn tasks_take_turns() {
    watched(|| {
        SelectorManager::builder().workers(1).run(async |selector: SelectorManager| {
            // A task that always has something to do does not keep others from running.
            let busy = selector.spawn_value(async {
                loop {
                    yield_now().await;
                }
            });
            for _ in 0..100 {
                selector.spawn(async { Ok(()) }).await?;
            }
            busy.abort();
            assert!(busy.await.is_err_and(|error: Error| error.is_cancelled()));

            // Several of them share the worker evenly.
            let counts: [Arc<AtomicUsize>; 3] = Default::default();
            let tasks = counts.clone().map(|count| {
                selector.spawn_value(async move {
                    loop {
                        count.fetch_add(1, SeqCst);
                        yield_now().await;
                    }
                })
            });
            let polls = || counts.each_ref().map(|count| count.load(SeqCst));
            until_that("each has had its turns", || polls().iter().all(|polls| *polls > 1000))
                .await;
            let [fewest, _, most] = {
                let mut polls = polls();
                polls.sort_unstable();
                polls
            };
            assert!(most - fewest <= 1, "{fewest} to {most} polls");
            for task in tasks {
                task.abort();
                assert!(task.await.is_err_and(|error: Error| error.is_cancelled()));
            }
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn wakes_come_from_other_threads() {
    const ROUNDS: usize = 2000;
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let mut threads = Vec::new();
            let mut tasks = Vec::new();
            for _ in 0..4 {
                let (wanted, wants) = std::sync::mpsc::channel::<Signal>();
                threads.push(thread::spawn(move || {
                    for signal in wants {
                        signal.set();
                    }
                }));
                tasks.push(selector.spawn_value(async move {
                    for _ in 0..ROUNDS {
                        let signal = Signal::new();
                        wanted.send(signal.clone()).unwrap();
                        signal.await;
                    }
                }));
            }
            for task in tasks {
                task.await?;
            }
            for thread in threads {
                thread.join().unwrap();
            }
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn tasks_are_started_from_other_threads() {
    const TASKS: usize = 2000;
    watched(|| {
        let selector = SelectorManager::new();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let selector = selector.clone();
                thread::spawn(move || {
                    for number in 0..TASKS {
                        let task = selector.spawn_value(async move { number });
                        assert_eq!(future::block_on(task).unwrap(), number);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        await_that("all have ended", || selector.stats().tasks == 0);
    });
}

#[test]
fn a_blocking_call_that_panics_is_an_error_and_its_thread_goes_on() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            for _ in 0..40 {
                let error = selector
                    .spawn_blocking(|| panic!("expected by a test"))
                    .await
                    .map(|(): ()| ())
                    .unwrap_err();
                assert!(error.is_panicked());
                assert!(error.to_string().contains("expected by a test"), "{error}");
            }
            assert_eq!(selector.spawn_blocking(|| 1).await?, 1);
            Result::Ok(())
        })
    })
    .unwrap();
}

// ---- abort -------------------------------------------------------------------------------------------

#[test]
fn an_aborted_task_drops_its_future_on_its_worker() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let here = thread::current().id();
            let dropped_on = Arc::new(Mutex::new(None));
            let noted = Arc::clone(&dropped_on);
            let task = selector.spawn(async move {
                let _note = OnDrop(|| *lock(&noted) = Some(thread::current().id()));
                pending().await
            });
            yield_now().await;
            // From another thread, where the future must not be dropped.
            let task = thread::spawn(move || {
                task.abort();
                task
            })
            .join()
            .unwrap();
            let error = task.await.unwrap_err();
            assert!(error.is_cancelled(), "{error}");
            assert_eq!(error.kind().fault(), Fault::Closed);
            assert_eq!(*lock(&dropped_on), Some(here));
            assert_eq!(selector.stats().tasks, 0);
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn aborting_is_idempotent_and_too_late_for_a_finished_task() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let task = selector.spawn_value(async { "done" });
            until_that("the task ends", || task.is_finished()).await;
            task.abort();
            task.abort();
            assert_eq!(task.await?, "done");

            let never_polled = Arc::new(AtomicBool::new(true));
            let noted = Arc::clone(&never_polled);
            let task = selector.spawn_value(async move { noted.store(false, SeqCst) });
            task.abort();
            task.abort();
            assert!(task.await.is_err_and(|error| error.is_cancelled()));
            assert!(never_polled.load(SeqCst), "it was aborted before its first poll");
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn a_task_that_is_aborted_while_it_runs_ends_at_its_next_await() {
    watched(|| {
        let selector = SelectorManager::new();
        let (inside, aborted) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let past_await = Arc::new(AtomicBool::new(false));
        let task = selector.spawn({
            let (inside, aborted) = (Arc::clone(&inside), Arc::clone(&aborted));
            let past_await = Arc::clone(&past_await);
            async move {
                inside.wait();
                aborted.wait();
                yield_now().await;
                past_await.store(true, SeqCst);
                Ok(())
            }
        });
        inside.wait();
        task.abort();
        aborted.wait();
        let ended = future::block_on(task);
        assert!(ended.is_err_and(|error| error.is_cancelled()));
        assert!(!past_await.load(SeqCst));
    });
}

// ---- where tasks may not block, and where the root's functions do not work -----------------------------

#[test]
fn block_on_inside_a_task_panics_and_says_why() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let inner = selector.clone();
            let error = selector
                .spawn(async move {
                    inner.block_on(async {});
                    Ok(())
                })
                .await
                .unwrap_err();
            assert!(error.is_panicked());
            assert!(error.to_string().contains("the thread would wait for itself"), "{error}");

            let error = selector
                .spawn(async move { forebay::run(async |_| Result::Ok(())) })
                .await
                .unwrap_err();
            assert!(error.to_string().contains("the thread would wait for itself"), "{error}");
            // It was contained, and everything works on.
            selector.spawn(async { Ok(()) }).await
        })
    })
    .unwrap();
}

#[test]
fn the_functions_at_the_root_name_the_alternative_elsewhere() {
    fn polled<F: Future>(future: F) {
        let mut future = pin!(future);
        let polled = future::block_on(future::poll_once(future.as_mut()));
        assert!(polled.is_none(), "it must not be ready");
    }
    const LONG: Duration = Duration::from_secs(3600);
    let texts = [
        ("spawn", panic_text(|| drop(forebay::spawn(async { Ok(()) })))),
        ("spawn_value", panic_text(|| drop(forebay::spawn_value(async {})))),
        ("spawn_blocking", panic_text(|| drop(forebay::spawn_blocking(|| ())))),
        ("sleep", panic_text(|| drop(forebay::sleep(LONG)))),
        ("timeout", panic_text(|| polled(forebay::timeout(LONG, pending::<Result<()>>())))),
        ("within", panic_text(|| polled(forebay::within(LONG, pending::<()>())))),
        ("interval", panic_text(|| drop(forebay::interval(LONG)))),
        (
            "now",
            panic_text(|| {
                forebay::now();
            }),
        ),
    ];
    for (function, text) in texts {
        assert_eq!(
            text,
            format!(
                "forebay::{function}() works on a thread of a selector: inside forebay::run, \
                 SelectorManager::block_on or a task; elsewhere call {function}() on a \
                 SelectorManager"
            )
        );
    }
}

#[test]
fn the_functions_at_the_root_use_the_selector_of_the_thread() {
    watched(|| {
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
        let beside = SelectorManager::new();
        selector.block_on(async {
            assert_eq!(forebay::now(), clock.now());
            let mut sleep = pin!(forebay::sleep(Duration::from_secs(3600)));
            assert!(future::poll_once(sleep.as_mut()).await.is_none());
            assert_eq!((selector.stats().timers, beside.stats().timers), (1, 0));
            // The thread of a function belongs to no selector.
            let (end, ended) = std::sync::mpsc::channel();
            let blocking = forebay::spawn_blocking(move || {
                ended.recv().unwrap();
                panic_text(|| drop(forebay::spawn_blocking(|| ())))
            });
            assert_eq!((selector.stats().tasks, beside.stats().tasks), (1, 0));
            end.send(()).unwrap();
            let text = blocking.await.unwrap();
            assert!(text.starts_with("forebay::spawn_blocking() works on a thread"), "{text}");
            clock.advance(Duration::from_secs(3600));
            sleep.await;
            forebay::spawn(async {
                let never = pending::<Result<()>>();
                let late = forebay::timeout(Duration::ZERO, never).await;
                assert!(late.is_err_and(|error| error.is_timeout()));
                assert_eq!(forebay::within(Duration::ZERO, pending::<()>()).await, None);
                Ok(())
            })
            .await
            .unwrap();
        });
        assert_eq!(beside.stats().tasks, 0);
    });
}
