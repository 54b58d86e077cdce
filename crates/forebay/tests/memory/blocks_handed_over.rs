//! A selector's account of its blocks, when one thread takes its loop over from another: what the
//! first leaves is not written over what the second has counted.

use std::thread;
use std::time::{Duration, Instant};

use forebay::SelectorManager;
use forebay_testing::{KIB, report, size, wait_for, watched};
use futures_lite::future::yield_now;

/// More than there are processors, so that one or the other has to stand still.
const AT_A_TIME: usize = 8;
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_loop_that_changes_its_thread_holds_no_blocks_afterwards() {
    let rounds = size("FOREBAY_ROUNDS", 250, 1000);
    watched(move || {
        thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| (0..rounds).for_each(hand_over));
            }
        });
        report(&format!(
            "blocks_handed_over: {AT_A_TIME} times {rounds} loops changed their thread: 0 blocks left"
        ));
    });
}

fn hand_over(round: usize) {
    let selector = SelectorManager::new();
    let (mut near, mut far) = selector.duplex(4 * KIB);
    let mut reading = None;
    selector.block_on(async {
        // It goes on with the thread that is started when this returns.
        reading = Some(selector.spawn_value(async move {
            yield_now().await;
            near.output.write_str("hello\n").await?;
            far.input.read_line().await
        }));
    });
    let reading = reading.unwrap();
    wait_for(|| {
        let stats = selector.stats();
        reading.is_finished() && (stats.tasks, stats.background_closes) == (0, 0)
    });
    drop(reading);
    // The thread that drops the last block counts it right after the task has ended, not later.
    let since = Instant::now();
    while selector.stats().blocks != 0 {
        let stats = selector.stats();
        assert!(since.elapsed() < SETTLES_WITHIN, "round {round}: for good: {stats:?}");
        thread::yield_now();
    }
}
