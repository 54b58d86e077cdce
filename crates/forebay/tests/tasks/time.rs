//! Time: sleeps and timeouts, by a clock that the test owns and by the system's.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use forebay::testing::TestClock;
use forebay::{Clock, Error, ErrorKind, Fault, Result, SelectorManager, Sleep};
use forebay_testing::{await_that, lock, settle, until_that, watched};
use futures_lite::future::{self, block_on, pending, poll_once, ready};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A selector whose time the test owns.
fn with_clock() -> (SelectorManager, TestClock) {
    let clock = TestClock::new();
    let selector = SelectorManager::builder().workers(1).clock(clock.clone()).build().unwrap();
    (selector, clock)
}

/// Waits until this many timers wait.
async fn timers(selector: &SelectorManager, count: usize) {
    until_that("the timers wait", || selector.stats().timers == count).await;
}

// ---- a clock that the test owns ------------------------------------------------------------------------

#[test]
fn a_timeout_of_an_hour_is_tested_in_milliseconds() {
    watched(|| {
        let began = Instant::now();
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let waiting = selector.clone();
            let late = selector
                .spawn_value(async move { waiting.timeout(HOUR, pending::<Result<()>>()).await });
            timers(&selector, 1).await;
            clock.advance(HOUR.saturating_sub(Duration::from_nanos(1)));
            settle().await;
            assert!(!late.is_finished(), "a nanosecond too early");
            clock.advance(Duration::from_nanos(1));
            let error = late.await.unwrap().unwrap_err();
            assert!(error.is_timeout());
            assert_eq!(
                error.to_string(),
                "timeout: timed out: elapsed after 3600s, the duration given"
            );
            assert_eq!(error.kind().fault(), Fault::Peer);
            assert_eq!(selector.stats().timers, 0);
        });
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    });
}

#[test]
fn advancing_wakes_a_worker_that_sleeps_on_another_thread() {
    watched(|| {
        for _ in 0..500 {
            let (selector, clock) = with_clock();
            let waiting = selector.clone();
            let task = selector.spawn(async move {
                waiting.sleep(HOUR).await;
                Ok(())
            });
            await_that("the timer waits", || selector.stats().timers == 1);
            // From here on the worker goes to sleep at any moment, or sleeps already.
            clock.advance(HOUR);
            block_on(task).unwrap();
            block_on(selector.close());
        }
    });
}

#[test]
fn one_advance_wakes_the_workers_of_all_selectors_that_share_the_clock() {
    watched(|| {
        let clock = TestClock::new();
        let selectors: Vec<SelectorManager> = (0..4)
            .map(|_| SelectorManager::builder().clock(clock.clone()).build().unwrap())
            .collect();
        let tasks: Vec<_> =
            selectors.iter().map(|selector| selector.spawn_value(selector.sleep(HOUR))).collect();
        await_that("all wait", || selectors.iter().all(|selector| selector.stats().timers == 1));
        clock.advance(HOUR);
        for task in tasks {
            block_on(task).unwrap();
        }
    });
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    watched(|| {
        let (selector, clock) = with_clock();
        let fired = Arc::new(Mutex::new(Vec::new()));
        selector.block_on(async {
            // Equal deadlines fire in the order in which the waits began.
            let delays = [5_u32, 3, 9, 3, 1, 7, 5, 0, 2];
            for (number, delay) in delays.into_iter().enumerate() {
                let (fired, waiting) = (Arc::clone(&fired), selector.clone());
                selector
                    .spawn_value(async move {
                        waiting.sleep(SECOND * delay).await;
                        lock(&fired).push((delay, number));
                    })
                    .detach();
            }
            timers(&selector, 8).await;
            assert_eq!(*lock(&fired), [(0, 7)]);
            clock.advance(HOUR);
            until_that("all have fired", || lock(&fired).len() == delays.len()).await;
        });
        let mut sorted = lock(&fired).clone();
        sorted.sort_unstable();
        assert_eq!(*lock(&fired), sorted);
    });
}

#[test]
fn the_time_stands_until_it_is_advanced() {
    watched(|| {
        let (selector, clock) = with_clock();
        let start = clock.now();
        assert_eq!(selector.now(), start);
        clock.advance(HOUR);
        assert_eq!(selector.now(), start + HOUR);
        assert_eq!(Clock::from(clock.clone()).now(), start + HOUR);
        selector.block_on(async { assert_eq!(forebay::now(), start + HOUR) });
    });
}

#[test]
fn a_timer_set_within_a_task_counts_from_then() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let waiting = selector.clone();
            let chain = selector.spawn_value(async move {
                for _ in 0..3 {
                    waiting.sleep(SECOND).await;
                }
                waiting.now()
            });
            let start = clock.now();
            // One leap over three sleeps fires the first; each of the others begins after it.
            for steps in 1..=3 {
                timers(&selector, 1).await;
                assert!(!chain.is_finished(), "after {steps} leaps");
                clock.advance(10 * SECOND);
                if steps < 3 {
                    until_that("the next begins", || selector.stats().timers == 0).await;
                }
            }
            assert_eq!(chain.await.unwrap(), start + 30 * SECOND);
        });
    });
}

// ---- timeouts ------------------------------------------------------------------------------------------

#[test]
fn a_timeout_passes_on_what_comes_in_time() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            assert_eq!(selector.timeout(HOUR, ready(Ok(1))).await.unwrap(), 1);
            let own = selector.timeout(HOUR, ready(Result::<()>::Err(Error::other("no")))).await;
            assert_eq!(own.unwrap_err().to_string(), "no");
            assert_eq!(selector.within(HOUR, ready("value")).await, Some("value"));
            assert_eq!(selector.stats().timers, 0);

            // Ready in the same moment in which the time is up: it counts.
            let sleep = selector.sleep(HOUR);
            let mut both = pin!(selector.within(HOUR, sleep));
            assert!(poll_once(both.as_mut()).await.is_none());
            clock.advance(HOUR);
            assert_eq!(both.await, Some(()));
            // Even with no time at all.
            assert_eq!(selector.within(Duration::ZERO, ready(7)).await, Some(7));
            assert_eq!(selector.within(Duration::ZERO, pending::<()>()).await, None);
            assert_eq!(selector.stats().timers, 0);
        });
    });
}

#[test]
fn timeouts_nest_and_the_shorter_one_fires() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let inner = selector.timeout(SECOND, pending::<Result<()>>());
            let mut outer = pin!(selector.timeout(HOUR, inner));
            assert!(poll_once(outer.as_mut()).await.is_none());
            clock.advance(SECOND);
            let error = outer.await.unwrap_err();
            assert!(error.to_string().contains("elapsed after 1s"), "{error}");

            let inner = selector.timeout(HOUR, pending::<Result<()>>());
            let mut outer = pin!(selector.timeout(SECOND, inner));
            assert!(poll_once(outer.as_mut()).await.is_none());
            clock.advance(SECOND);
            let error = outer.await.unwrap_err();
            assert!(error.to_string().contains("elapsed after 1s"), "{error}");
            assert_eq!(selector.stats().timers, 0);
        });
    });
}

#[test]
fn what_a_timeout_cut_off_is_dropped_before_it_returns() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let held = Arc::new(());
            let cut = {
                let held = Arc::clone(&held);
                async move {
                    pending::<()>().await;
                    drop(held);
                    Ok(())
                }
            };
            let mut late = Box::pin(selector.timeout(SECOND, cut));
            assert!(poll_once(late.as_mut()).await.is_none());
            assert_eq!(Arc::strong_count(&held), 2);
            clock.advance(SECOND);
            assert!(late.as_mut().await.is_err());
            assert_eq!(Arc::strong_count(&held), 1);
        });
    });
}

#[test]
fn a_read_that_timed_out_has_lost_nothing() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let (mut input, mut output) = forebay::pipe(64);
            output.write_str("half a li").await.unwrap();
            let mut late = Box::pin(selector.timeout(SECOND, input.read_line()));
            assert!(poll_once(late.as_mut()).await.is_none());
            clock.advance(SECOND);
            assert!(late.await.is_err_and(|error| error.is_timeout()));
            output.write_str("ne\n").await.unwrap();
            assert_eq!(input.read_line().await.unwrap().as_deref(), Some("half a line"));
        });
    });
}

// ---- sleeps at their ends ------------------------------------------------------------------------------

#[test]
fn sleeping_for_nothing_is_ready_at_once() {
    watched(|| {
        let (selector, _clock) = with_clock();
        selector.block_on(async {
            for _ in 0..2 {
                assert_eq!(poll_once(selector.sleep(Duration::ZERO)).await, Some(()));
            }
            // The third in a row gives way first.
            assert_eq!(poll_once(selector.sleep(Duration::ZERO)).await, None);
            assert_eq!(selector.stats().timers, 0);
        });
        // Also without a driving thread, and without starting one.
        assert_eq!(block_on(poll_once(selector.sleep(Duration::ZERO))), Some(()));
    });
}

#[test]
fn sleeping_for_longer_than_time_goes_is_pending_for_ever() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let mut never = pin!(selector.sleep(Duration::MAX));
            let mut late = pin!(selector.timeout(Duration::MAX, pending::<Result<()>>()));
            for _ in 0..3 {
                assert!(poll_once(never.as_mut()).await.is_none());
                assert!(poll_once(late.as_mut()).await.is_none());
                clock.advance(HOUR * 24 * 365 * 10);
            }
            // An hour among eternities still fires.
            let mut hour = pin!(selector.sleep(HOUR));
            assert!(poll_once(hour.as_mut()).await.is_none());
            clock.advance(HOUR);
            hour.await;
        });
    });
}

#[test]
fn a_hundred_thousand_timers_fire_and_leave_nothing() {
    const TIMERS: u32 = 100_000;
    watched(|| {
        let (selector, clock) = with_clock();
        let fired = Arc::new(AtomicUsize::new(0));
        selector.block_on(async {
            for number in 0..TIMERS {
                let fired = Arc::clone(&fired);
                // Scattered, so that the order of the deadlines is not that of the waits.
                let sleep = selector.sleep(MILLISECOND * (number.wrapping_mul(7919) % TIMERS + 1));
                selector
                    .spawn_value(async move {
                        sleep.await;
                        fired.fetch_add(1, SeqCst);
                    })
                    .detach();
            }
            timers(&selector, TIMERS as usize).await;
            clock.advance(MILLISECOND * (TIMERS / 2));
            until_that("half have fired", || fired.load(SeqCst) == TIMERS as usize / 2).await;
            assert_eq!(selector.stats().timers, TIMERS as usize / 2);
            clock.advance(HOUR);
            until_that("all have fired", || fired.load(SeqCst) == TIMERS as usize).await;
            assert_eq!(selector.stats().timers, 0);
            until_that("all have ended", || selector.stats().tasks == 0).await;
        });
    });
}

#[test]
fn a_dropped_sleep_takes_its_timer_with_it() {
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let mut sleeps: Vec<Sleep> = (1..=1000).map(|n| selector.sleep(SECOND * n)).collect();
            assert_eq!(selector.stats().timers, 0, "no task waits yet");
            for sleep in &mut sleeps {
                assert!(poll_once(sleep).await.is_none());
            }
            assert_eq!(selector.stats().timers, 1000);
            sleeps.truncate(10);
            assert_eq!(selector.stats().timers, 10);
            // One that has fired has no timer to take.
            clock.advance(SECOND * 5);
            timers(&selector, 5).await;
            drop(sleeps);
            assert_eq!(selector.stats().timers, 0);

            let mut beat = selector.interval(SECOND);
            assert!(poll_once(beat.tick()).await.is_none());
            drop(beat);
            drop(Box::pin(selector.timeout(HOUR, pending::<Result<()>>())));
            let mut timeout = Box::pin(selector.timeout(HOUR, pending::<Result<()>>()));
            assert!(poll_once(timeout.as_mut()).await.is_none());
            assert_eq!(selector.stats().timers, 1);
            drop(timeout);
            let sleeper = selector.spawn_value(selector.sleep(HOUR));
            timers(&selector, 1).await;
            sleeper.abort();
            assert!(sleeper.await.is_err());
            assert_eq!(selector.stats().timers, 0);
        });
    });
}

#[test]
fn a_sleep_wakes_whoever_polled_it_last() {
    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    watched(|| {
        let (selector, clock) = with_clock();
        selector.block_on(async {
            let (first, second) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
            let mut sleep = selector.sleep(SECOND);
            for wakes in [&first, &second] {
                let waker = Waker::from(Arc::clone(wakes));
                let polled = Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker));
                assert_eq!(polled, Poll::Pending);
            }
            assert_eq!(selector.stats().timers, 1);
            clock.advance(SECOND);
            timers(&selector, 0).await;
            assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
            assert_eq!(Arc::strong_count(&first), 1, "a replaced waker is kept");
            assert_eq!(poll_once(&mut sleep).await, Some(()));
            // Polled again it is still over.
            assert_eq!(poll_once(&mut sleep).await, Some(()));
        });
    });
}

// ---- other threads and executors -----------------------------------------------------------------------

#[test]
fn timers_work_in_another_executor_on_a_thread_without_a_worker() {
    watched(|| {
        let (selector, clock) = with_clock();
        let waiting = selector.clone();
        let (pass, passed) = mpsc::channel();
        let foreign = thread::spawn(move || {
            block_on(async {
                waiting.sleep(HOUR).await;
                pass.send(()).unwrap();
                let late = waiting.timeout(HOUR, pending::<Result<()>>()).await;
                assert!(late.is_err_and(|error| error.is_timeout()));
                pass.send(()).unwrap();
                waiting.interval(HOUR).tick().await;
                pass.send(()).unwrap();
            });
        });
        for _ in 0..3 {
            await_that("it waits", || selector.stats().timers == 1);
            clock.advance(HOUR);
            passed.recv().unwrap();
        }
        foreign.join().unwrap();
    });
}

#[test]
fn timers_of_the_real_clock_work_in_another_executor() {
    watched(|| {
        let selector = SelectorManager::new();
        block_on(async {
            let began = Instant::now();
            // The second is due before the first: the worker that sleeps for the first must wake.
            let slow = selector.sleep(HOUR);
            let fast = selector.sleep(5 * MILLISECOND);
            let first = future::or(async { (slow.await, "slow") }, async { (fast.await, "fast") });
            assert_eq!(first.await.1, "fast");
            assert!(began.elapsed() >= 5 * MILLISECOND);
        });
        await_that("the dropped one is gone", || selector.stats().timers == 0);
    });
}

#[test]
fn a_sleep_is_added_and_dropped_from_many_threads() {
    watched(|| {
        let (selector, clock) = with_clock();
        let (filled, all_filled) = mpsc::channel();
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let (selector, filled) = (selector.clone(), filled.clone());
                thread::spawn(move || {
                    let mut kept = Vec::new();
                    for number in 0..1000_u32 {
                        let mut sleep = selector.sleep(MILLISECOND * (number * 4 + thread + 1));
                        assert!(block_on(poll_once(&mut sleep)).is_none());
                        if number % 2 == 0 {
                            kept.push(sleep);
                        }
                    }
                    filled.send(()).unwrap();
                    kept.into_iter().for_each(block_on);
                })
            })
            .collect();
        all_filled.iter().take(4).for_each(drop);
        assert_eq!(selector.stats().timers, 2000);
        clock.advance(HOUR);
        for thread in threads {
            thread.join().unwrap();
        }
        await_that("none is left", || selector.stats().timers == 0);
    });
}

// ---- the system's clock --------------------------------------------------------------------------------

#[test]
fn by_the_systems_clock_a_sleep_takes_at_least_its_time() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            for _ in 0..10 {
                let began = Instant::now();
                selector.sleep(5 * MILLISECOND).await;
                let took = began.elapsed();
                assert!(took >= 5 * MILLISECOND, "{took:?}");
                assert!(took < 5 * SECOND, "{took:?}");
            }
            let began = Instant::now();
            let late = forebay::timeout(5 * MILLISECOND, pending::<Result<()>>()).await;
            assert!(late.is_err_and(|error| error.kind() == ErrorKind::TimedOut));
            assert!(began.elapsed() >= 5 * MILLISECOND);

            let began = Instant::now();
            let mut beat = forebay::interval(2 * MILLISECOND);
            for _ in 0..5 {
                beat.tick().await;
            }
            assert!(began.elapsed() >= 10 * MILLISECOND);
            assert!(selector.now() >= began);
            Result::Ok(())
        })
    })
    .unwrap();
}
