//! Timers: fired by the runtime's clock, or by the clock that the selector was given.

use std::time::{Duration, Instant};

use forebay::SelectorManager;
use forebay::testing::TestClock;
use forebay_testing::{alone, watched, worker_threads};

use crate::support::{Kind, in_each, pair};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn sleeps_and_ticks_need_no_thread_of_a_worker() {
    in_each("sleeps_and_ticks_need_no_thread_of_a_worker", async |selector| {
        let began = Instant::now();
        selector.sleep(Duration::from_millis(20)).await;
        assert!(began.elapsed() >= Duration::from_millis(20));
        let mut beat = selector.interval(Duration::from_millis(2));
        for _ in 0..5 {
            beat.tick().await;
        }
        let sleeping = (0..200)
            .map(|number| tokio::spawn(selector.sleep(Duration::from_micros(number * 100))));
        for sleep in sleeping.collect::<Vec<_>>() {
            sleep.await.unwrap();
        }
        drop(selector.sleep(HOUR));
        assert_eq!(selector.stats().timers, 0);
        Ok(())
    });
}

#[test]
fn a_silent_peer_is_given_up() {
    in_each("a_silent_peer_is_given_up", async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let connecting = selector.tcp().read_timeout(Duration::from_millis(20));
        let (near, _far) =
            tokio::join!(connecting.connect(server.local_address()), server.accept());
        let mut near = near?.connection()?;
        let read = near.input.read_line().await;
        assert!(read.is_err_and(|error| error.is_timeout()));
        Ok(())
    });
}

/// A test of tokio's that has paused the time pays no hour for an hour of ours.
#[test]
fn a_paused_clock_is_ours_too() {
    alone("a_paused_clock_is_ours_too", || {
        watched(|| {
            let runtime = Kind::CurrentThread.runtime();
            let selector = SelectorManager::new();
            runtime.block_on(async {
                tokio::time::pause();
                let (began, ours) = (Instant::now(), selector.now());
                selector.sleep(HOUR).await;
                assert!(selector.now() - ours >= HOUR);
                assert!(began.elapsed() < HOUR / 60);
            });
            assert_eq!(worker_threads(), 0);
        });
    });
}

/// A clock that a test owns wins over the runtime's.
#[test]
fn a_test_clock_fires_timers_in_the_runtime() {
    alone("a_test_clock_fires_timers_in_the_runtime", || {
        for kind in Kind::ALL {
            watched(move || {
                let clock = TestClock::new();
                let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
                kind.runtime().block_on(async {
                    let (near, mut far) = pair(&selector).await.unwrap();
                    let reading = {
                        let selector = selector.clone();
                        tokio::spawn(
                            async move { selector.timeout(HOUR, far.input.read_line()).await },
                        )
                    };
                    forebay_testing::until(|| selector.stats().timers > 0).await;
                    clock.advance(HOUR);
                    let read = reading.await.unwrap();
                    assert!(read.is_err_and(|error| error.is_timeout()));
                    assert_eq!(worker_threads(), 0);
                    // Otherwise the runtime would end before the connection, and leave it to a thread.
                    near.socket.abort();
                    selector.close().await;
                });
            });
        }
    });
}

/// tokio counts no further than two years; a sleep of three is no shorter, and disturbs no other.
#[test]
fn sleeps_of_nothing_of_years_and_of_forever() {
    alone("sleeps_of_nothing_of_years_and_of_forever", || {
        watched(|| {
            let year = 24 * 365 * HOUR;
            let runtime = Kind::CurrentThread.runtime();
            let selector = SelectorManager::new();
            runtime.block_on(async {
                tokio::time::pause();
                let mut forever = Box::pin(selector.sleep(Duration::MAX));
                let mut long = Box::pin(selector.sleep(50 * year));
                assert!(futures_lite::future::poll_once(&mut forever).await.is_none());
                assert!(futures_lite::future::poll_once(&mut long).await.is_none());
                selector.sleep(Duration::ZERO).await;
                for time in [HOUR, 3 * year, Duration::from_nanos(1)] {
                    let began = selector.now();
                    selector.sleep(time).await;
                    let slept = selector.now().duration_since(began);
                    assert!(slept >= time && slept < time + HOUR, "{slept:?} for {time:?}");
                }
                let began = selector.now();
                long.await;
                assert!(selector.now().duration_since(began) > 46 * year);
                assert!(futures_lite::future::poll_once(&mut forever).await.is_none());
            });
            assert_eq!((selector.stats().timers, worker_threads()), (0, 0));
        });
    });
}
