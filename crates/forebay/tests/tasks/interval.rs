//! Intervals: a regular beat, without drift and without bursts.

use std::pin::pin;
use std::time::{Duration, Instant};

use forebay::testing::TestClock;
use forebay::{Error, Result, SelectorManager};
use forebay_testing::{in_host, watched};
use futures_lite::future::poll_once;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A selector whose time the test owns.
fn with_clock() -> (SelectorManager, TestClock) {
    let clock = TestClock::new();
    let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
    (selector, clock)
}

#[test]
fn an_interval_ticks_first_after_one_period_and_then_regularly() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let start = clock.now();
            let mut beat = selector.interval(SECOND);
            for tick in 1..=5 {
                {
                    let mut early = pin!(beat.tick());
                    assert!(poll_once(early.as_mut()).await.is_none(), "tick {tick} is early");
                }
                clock.advance(SECOND);
                assert_eq!(beat.tick().await, start + SECOND * tick);
            }
            drop(beat);
            assert_eq!(selector.stats().timers, 0);
        });
    });
}

#[test]
fn an_interval_that_is_late_by_less_than_a_period_does_not_drift() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let start = clock.now();
            let mut beat = selector.interval(SECOND);
            for tick in 1..=20 {
                clock.advance(SECOND);
                if tick == 1 {
                    clock.advance(MILLISECOND);
                }
                assert_eq!(beat.tick().await, start + SECOND * tick);
            }
        });
    });
}

#[test]
fn a_missed_tick_is_delayed_and_never_made_up_for_by_a_burst() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let start = clock.now();
            let mut beat = selector.interval(SECOND);
            clock.advance(10 * SECOND + MILLISECOND);
            // One tick for the ten that were missed, saying for when it was due.
            assert_eq!(beat.tick().await, start + SECOND);
            let mut next = pin!(beat.tick());
            assert!(poll_once(next.as_mut()).await.is_none(), "a burst");
            clock.advance(SECOND.saturating_sub(MILLISECOND));
            assert!(poll_once(next.as_mut()).await.is_none(), "less than a period later");
            clock.advance(MILLISECOND);
            assert_eq!(next.await, start + 11 * SECOND + MILLISECOND);
        });
    });
}

#[test]
fn a_tick_that_was_dropped_comes_again() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let start = clock.now();
            let mut beat = selector.interval(SECOND);
            for _ in 0..3 {
                assert!(poll_once(beat.tick()).await.is_none());
            }
            assert!(selector.stats().timers <= 1, "a dropped tick left its timer");
            clock.advance(SECOND);
            drop(beat.tick());
            assert_eq!(beat.tick().await, start + SECOND);
        });
    });
}

#[test]
fn an_interval_whose_ticks_are_always_due_lets_others_run() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            for period in [Duration::ZERO, Duration::from_nanos(1), Duration::from_nanos(500)] {
                let mut beat = selector.interval(period);
                let beating = selector.spawn_value(async move {
                    loop {
                        beat.tick().await;
                        let busy = Instant::now();
                        while busy.elapsed() <= period {}
                    }
                });
                for _ in 0..10 {
                    selector.spawn(async { Ok(()) }).await?;
                }
                beating.abort();
                assert!(beating.await.is_err_and(|error: Error| error.is_cancelled()));
            }
            // And one of nearly forever never ticks, nor overflows.
            let mut never = selector.interval(Duration::MAX);
            assert!(poll_once(never.tick()).await.is_none());
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn a_tick_that_is_due_is_there_at_the_first_poll() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let start = clock.now();
            let mut beat = selector.interval(SECOND);
            clock.advance(SECOND);
            let tick = selector.within(Duration::ZERO, beat.tick()).await;
            assert_eq!(tick, Some(start + SECOND));
        });
    });
}
