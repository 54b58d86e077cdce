//! Selectors come and go: no thread, descriptor or byte is left.

#![cfg(target_os = "linux")]

use std::thread;
use std::time::Duration;

use forebay::{Result, SelectorManager};
use forebay_testing::{
    PATIENCE, alone, size, watched_for,
    witness::{Witness, on_a_thread},
    worker_threads,
};
use futures_lite::future::block_on;

/// Uses each worker, a connection in memory, and a timer.
async fn use_it(selector: &SelectorManager, workers: u16) -> Result<()> {
    let tasks: Vec<_> = (0..2 * workers)
        .map(|_| {
            let inner = selector.clone();
            selector.spawn(async move {
                let (mut near, mut far) = inner.duplex(64);
                near.output.write_str("hello\n").await?;
                near.output.finish().await?;
                assert_eq!(far.input.read_line().await?.as_deref(), Some("hello"));
                inner.sleep(Duration::from_micros(50)).await;
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    Ok(())
}

fn in_a_row(workers: u16, count: usize) {
    for round in 0..count {
        let selector = SelectorManager::builder().workers(workers).build().unwrap();
        match round % 3 {
            0 => selector.block_on(use_it(&selector, workers)).unwrap(),
            1 => block_on(use_it(&selector, workers)).unwrap(),
            // Dropped without having been used.
            _ => {}
        }
        if round % 2 == 0 {
            block_on(selector.close());
        }
    }
    forebay_testing::wait_for(|| worker_threads() == 0);
}

fn at_once(workers: u16, count: usize) {
    let selectors: Vec<_> =
        (0..count).map(|_| SelectorManager::builder().workers(workers).build().unwrap()).collect();
    thread::scope(|scope| {
        for half in selectors.chunks(count / 2) {
            scope.spawn(move || {
                for selector in half {
                    block_on(use_it(selector, workers)).unwrap();
                }
            });
        }
    });
    drop(selectors);
    forebay_testing::wait_for(|| worker_threads() == 0);
}

#[test]
fn a_thousand_selectors_in_a_row_leave_nothing() {
    alone("a_thousand_selectors_in_a_row_leave_nothing", || {
        let count = size("FOREBAY_MANY_SELECTORS", 250, 1000);
        for workers in [1, 2, 4] {
            watched_for(2 * PATIENCE, move || {
                let witness = Witness::look();
                on_a_thread(|| in_a_row(workers, 20));
                let witness = witness.again();
                on_a_thread(|| in_a_row(workers, count));
                witness.all_as_before();
            });
        }
    });
}

#[test]
fn a_hundred_selectors_of_several_workers_leave_no_byte() {
    alone("a_hundred_selectors_of_several_workers_leave_no_byte", || {
        for workers in [2, 4] {
            watched_for(2 * PATIENCE, move || {
                let witness = Witness::look();
                on_a_thread(|| at_once(workers, 100));
                let witness = witness.again();
                on_a_thread(|| at_once(workers, 100));
                witness.all_as_before();
            });
        }
    });
}
