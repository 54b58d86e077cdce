//! A hundred thousand tasks at once leave no memory of their number.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;
#[path = "support/witness.rs"]
mod witness;

use std::future::pending;
use std::thread;

use forebay::{JoinHandle, SelectorManager};
use futures_lite::future::yield_now;
use support::{report, until, watched};
use witness::live_bytes;

const TASKS: usize = 100_000;
/// Less than a byte for each of them.
const ALLOWED_BYTES: i64 = 96 * 1024;

/// So many tasks wait at once, and end together.
async fn peak(selector: &SelectorManager, tasks: usize, from_another_thread: bool) {
    let waiting: Vec<_> = (0..tasks).map(|_| selector.spawn_value(pending::<()>())).collect();
    assert_eq!(selector.stats().tasks, tasks);
    let abort_all = move || waiting.iter().for_each(JoinHandle::abort);
    if from_another_thread {
        thread::spawn(abort_all).join().unwrap();
    } else {
        abort_all();
    }
    until(|| selector.stats().tasks == 0).await;
    yield_now().await;
}

#[test]
fn the_tasks_of_a_peak_leave_no_memory() {
    watched(|| {
        let selector = SelectorManager::new();
        selector.block_on(async {
            for from_another_thread in [false, true] {
                peak(&selector, 100, from_another_thread).await;
                let before = live_bytes();
                peak(&selector, TASKS, from_another_thread).await;
                let left = live_bytes() - before;
                report(&format!("{left} bytes are left of {TASKS} tasks"));
                assert!(left < ALLOWED_BYTES, "{left} bytes are left");
            }
        });
    });
}
