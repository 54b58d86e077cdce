//! The number of workers of a selector whose program sets none.

#![cfg(target_os = "linux")]

use std::future::pending;
use std::thread;

use forebay::{JoinHandle, Result, SelectorBuilder, SelectorManager};
use forebay_testing::{
    Child, Signal, await_that, counted_alone, descriptors, role, say, worker_threads,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The most workers by default.
const MOST: usize = 64;

/// Returns the number of workers of a selector: with more tasks than that, each of them has one.
fn workers_of(builder: SelectorBuilder) -> usize {
    let selector = builder.build().unwrap();
    let tasks: Vec<_> = (0..=MOST).map(|_| selector.spawn(pending())).collect();
    tasks.into_iter().for_each(JoinHandle::detach);
    selector.worker_stats().len()
}

/// Starts the test of this name in a child, with this variable for the number of workers or without one.
fn child(test: &str, variable: Option<&str>) -> Child {
    match variable {
        Some(number) => {
            Child::start_under(&["env", &format!("FOREBAY_WORKERS={number}")], test, "count")
        }
        None => Child::start_under(&["env", "-u", "FOREBAY_WORKERS"], test, "count"),
    }
}

fn default_of_this_machine() -> usize {
    thread::available_parallelism().unwrap().get().min(MOST)
}

#[test]
fn the_environment_overrides_the_default_and_the_builder_overrides_both() {
    const NAME: &str = "the_environment_overrides_the_default_and_the_builder_overrides_both";
    if role().is_some() {
        let builder = SelectorManager::builder;
        let counts = [builder(), builder().workers(0), builder().workers(2)].map(workers_of);
        return say(&format!("{counts:?}"));
    }
    let default = default_of_this_machine();
    let set = [("1", 1), (" 3 ", 3), ("5", 5)].map(|(text, number)| (Some(text), number));
    let is_no_number = ["", "0", "-1", "2.5", "many", "65536"].map(|text| (Some(text), default));
    for (variable, number) in set.into_iter().chain(is_no_number).chain([(None, default)]) {
        let mut child = child(NAME, variable);
        assert_eq!(child.hear(), Some(format!("[{number}, 1, 2]")), "with {variable:?}");
        child.end();
    }
}

/// The processors on which the process may run count, not those of the machine.
#[test]
fn a_process_that_is_pinned_to_one_processor_has_one_worker() {
    const NAME: &str = "a_process_that_is_pinned_to_one_processor_has_one_worker";
    if role().is_some() {
        let before = workers_of(SelectorManager::builder());
        let allowed = sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|number| allowed.is_set(*number)).unwrap();
        let mut one = CpuSet::new();
        one.set(first);
        sched_setaffinity(None, &one).unwrap();
        return say(&format!("{before}, then {}", workers_of(SelectorManager::builder())));
    }
    let mut child = child(NAME, None);
    assert_eq!(child.hear(), Some(format!("{}, then 1", default_of_this_machine())));
    child.end();
}

/// However many workers a selector may have, what it holds for one task is what it holds with one worker.
#[test]
fn a_selector_with_one_task_has_one_worker_and_one_thread() {
    counted_alone("a_selector_with_one_task_has_one_worker_and_one_thread", || {
        let held_by = |builder: SelectorBuilder| {
            let before = descriptors().len();
            let selector = builder.build().unwrap();
            for _ in 0..3 {
                let (begun, told) = (Signal::new(), Signal::new());
                let (tell, go_on) = (begun.clone(), told.clone());
                let task = selector.spawn(async move {
                    tell.set();
                    go_on.await;
                    Ok(())
                });
                await_that("it has begun", || begun.is_set());
                // The thread of the task before may still be ending.
                await_that("there is one thread", || worker_threads() == 1);
                assert_eq!(selector.worker_stats().len(), 1);
                told.set();
                futures_lite::future::block_on(task).unwrap();
            }
            descriptors().len() - before
        };
        let of_one = held_by(SelectorManager::builder().workers(1));
        await_that("its thread is gone", || worker_threads() == 0);
        assert_eq!(held_by(SelectorManager::builder()), of_one);
    });
}

/// The thread inside `run` drives the worker that gets the task. A first worker from which the machine takes the
/// processor for a while counts as held up: then the task goes to the second one.
#[test]
fn one_task_beside_the_future_of_run_needs_no_thread() {
    counted_alone("one_task_beside_the_future_of_run_needs_no_thread", || {
        let is_alone = |_| {
            forebay::run(async |selector: SelectorManager| {
                let here = thread::current().id();
                let there = selector.spawn_value(async { thread::current().id() }).await?;
                Result::Ok(there == here && worker_threads() == 0)
            })
            .unwrap()
        };
        assert!((0..20).any(is_alone), "never on the thread of `run`");
    });
}
