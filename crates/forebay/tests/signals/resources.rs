//! The cost of waiting for signals.

#![cfg(target_os = "linux")]

use std::fs::File;

use forebay::{ErrorKind, SelectorManager, SignalKind, race};
use forebay_testing::{
    alone, counted_alone, descriptors, report, run_on_one_worker, threads, until_that, watched,
};
use futures_lite::future::yield_now;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use crate::support::{raise, settle};

const COUNT: usize = 1000;

#[test]
fn a_thousand_waits_cost_two_descriptors_and_no_thread() {
    const NAME: &str = "a_thousand_waits_cost_two_descriptors_and_no_thread";
    counted_alone(NAME, || {
        run_on_one_worker(async |selector| {
            // A task starts the thread that watches for tasks which block.
            selector.spawn(async { Ok(()) }).await?;
            let (open, running) = (descriptors().len(), threads().len());
            for _ in 0..COUNT {
                assert!(race(yield_now(), forebay::ctrl_c()).await.is_left());
            }
            let tasks: Vec<_> = (0..COUNT).map(|_| selector.spawn(selector.ctrl_c())).collect();
            until_that("all wait", || selector.stats().tasks == COUNT).await;
            settle().await;
            let (now_open, now_running) = (descriptors().len(), threads().len());
            report(&format!(
                "{NAME}: {open} descriptors, then {now_open}; {running} threads, then {now_running}"
            ));
            assert_eq!((now_open - open, now_running - running), (2, 0));
            raise(Signal::INT);
            for task in tasks {
                task.await?;
            }
            // A kind of its own, watched from several places.
            let kinds = [(); 8].map(|()| selector.signal(SignalKind::User1));
            assert_eq!(descriptors().len() - open, 4);
            drop(kinds);
            Ok(())
        });
    });
}

/// Descriptors that the process may have.
const LIMIT: u64 = 64;

#[test]
fn no_descriptor_left_is_an_error_and_the_next_call_tries_again() {
    alone("no_descriptor_left_is_an_error_and_the_next_call_tries_again", || {
        watched(|| {
            let selector = SelectorManager::builder().workers(1).build().unwrap();
            let before = descriptors();
            let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
            setrlimit(Resource::Nofile, limit).unwrap();
            let mut others: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            // With none left, and with one left of the two.
            for _ in 0..2 {
                let error = selector.block_on(selector.ctrl_c()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
                let error = selector.signal(SignalKind::User1).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
                others.pop().unwrap();
            }
            drop(others);
            assert_eq!(descriptors(), before, "what has failed holds nothing");
            let ctrl_c = selector.ctrl_c();
            raise(Signal::INT);
            selector.block_on(ctrl_c).unwrap();
        });
    });
}
