//! A process that stands still for seconds, very many timers, and durations of nothing and
//! of forever. Timers fire in order, none too early, and nothing overflows.

#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::future::pending;
use std::io::{Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use forebay::testing::TestClock;
use forebay::{Interval, KeepAlive, Result, SelectorManager};
use forebay_testing::{
    Child, PATIENCE, Random, dial, listener, report, role, run, say, seed, size, until,
    until_at_rest, watched, watched_for,
};
use futures_lite::future::poll_once;

// ---- a process that stands still ----------------------------------------------------------------

const STOPPED: &str = "timers_of_a_process_that_was_stopped_fire_in_order";
const TIMERS: u32 = 200;
const BEAT: Duration = Duration::from_millis(10);

#[test]
fn timers_of_a_process_that_was_stopped_fire_in_order() {
    if let Some(workers) = role() {
        return beat_and_serve(workers.parse().unwrap());
    }
    for workers in [1, 2, 4] {
        stop(workers);
    }
}

fn stop(workers: u16) {
    let stop = Duration::from_secs(size("FOREBAY_C2_SECONDS", 2, 5));
    watched_for(2 * PATIENCE, move || {
        let mut child = Child::start(STOPPED, &workers.to_string());
        let mut peer = dial(child.hear_number());
        assert_eq!(child.hear().as_deref(), Some("in the middle"));
        child.stop();
        // What is tested is how long it stands still; what comes meanwhile waits in the kernel.
        thread::sleep(stop);
        peer.write_all(b"still there?\n").unwrap();
        child.go_on();
        let mut answer = [0; 13];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"still there?\n");
        drop(peer);
        let said = child.hear().expect("the child has failed");
        report(&format!("{STOPPED}: stopped for {stop:?} on {workers} workers: {said}"));
        child.end();
    });
}

/// The child. Each worker has timers of its own.
fn beat_and_serve(workers: u16) {
    let serve = async |selector: SelectorManager| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let socket = server.accept().await?;
        let serving = selector.spawn(async move {
            let (mut input, mut output) =
                (socket.open_read_channel()?, socket.open_write_channel()?);
            input.copy_to(&mut output).await?;
            socket.close().await
        });

        let began = Instant::now();
        let fired = Arc::new(Mutex::new(Vec::new()));
        for number in 0..TIMERS {
            // Scattered, so that the order of the deadlines is not that of the waits.
            let after = BEAT * (number * 77 % TIMERS + 1);
            let (fired, inner) = (Arc::clone(&fired), selector.clone());
            let waiting = async move {
                // Counted from one moment, however long it takes to come to each of them.
                inner.sleep(after.saturating_sub(began.elapsed())).await;
                assert!(began.elapsed() >= after, "too early");
                fired.lock().unwrap().push((thread::current().id(), after));
            };
            selector.spawn_value(waiting).detach();
        }
        let ticking = selector.clone();
        let ticks = selector.spawn_value(async move { tick(ticking.interval(BEAT), began).await });
        until_fired(&selector, &fired, TIMERS as usize / 10).await;
        say("in the middle");
        until_fired(&selector, &fired, TIMERS as usize).await;
        let fired = fired.lock().unwrap().clone();
        let homes: HashSet<_> = fired.iter().map(|(home, _)| *home).collect();
        // One whose turn lasts, because the machine is busy, is given no task.
        assert!(homes.len() >= 2.min(usize::from(workers)), "{} workers fired", homes.len());
        for home in homes {
            let here = fired.iter().filter(|(thread, _)| *thread == home);
            assert!(here.map(|it| it.1).is_sorted(), "not in the order of the deadlines");
        }
        let (ticks, longest) = ticks.await?;
        serving.await?;
        say(&format!(
            "{} timers in order; {ticks} ticks, {longest:?} between two of them, and no burst",
            fired.len()
        ));
        Result::Ok(())
    };
    SelectorManager::builder().workers(workers).run(serve).unwrap();
}

async fn until_fired(
    selector: &SelectorManager,
    fired: &Mutex<Vec<(ThreadId, Duration)>>,
    count: usize,
) {
    while fired.lock().unwrap().len() < count {
        selector.sleep(BEAT / 2).await;
    }
}

/// Ticks until it has seen the stop and twenty ticks behind it. Says how long the stop was, and how
/// many ticks there were in all: one for the stop, where a burst would make up for hundreds.
async fn tick(mut interval: Interval, began: Instant) -> (usize, Duration) {
    let (mut dues, mut last, mut stop) = (Vec::new(), began, None);
    while stop.is_none_or(|(_, _, at)| dues.len() < at + 20) {
        dues.push(interval.tick().await);
        let now = Instant::now();
        if stop.is_none() && now.duration_since(last) > 50 * BEAT {
            stop = Some((last, now, dues.len()));
        }
        last = now;
    }
    let (from, to, _) = stop.unwrap();
    let stop = to.duration_since(from);
    let made_up_for = dues.iter().filter(|&&due| due > from + BEAT && due < from + stop / 2);
    assert_eq!(made_up_for.count(), 0, "a burst of ticks");
    (dues.len(), stop)
}

// ---- very many timers ---------------------------------------------------------------------------

/// Writes down when it was woken.
struct Note {
    number: u32,
    woken: Arc<Mutex<Vec<u32>>>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.number);
    }
}

#[test]
fn very_many_timers_fire_in_order() {
    const NAME: &str = "very_many_timers_fire_in_order";
    let seed = seed(NAME);
    let count = u32::try_from(size("FOREBAY_C2_TIMERS", 100_000, 1_000_000)).unwrap();
    watched_for(2 * PATIENCE, move || {
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
        let mut random = Random::new(seed, 0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let mut sleeps = Vec::new();
        let mut deadlines = Vec::new();
        for number in 0..count {
            // Up to a thousand seconds, by nanoseconds, many of them equal.
            let after = random.next() % 1_000_000_000_000;
            let after = if number % 2 == 0 { after } else { after / 1_000_000_000 * 1_000_000_000 };
            let mut sleep = Box::pin(selector.sleep(Duration::from_nanos(after + 1)));
            let waker = Waker::from(Arc::new(Note { number, woken: Arc::clone(&woken) }));
            assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker)).is_pending());
            sleeps.push(sleep);
            deadlines.push((after, number));
        }
        selector.block_on(async {
            assert_eq!(selector.stats().timers, count as usize);
            for step in 1..=10 {
                clock.advance(Duration::from_secs(100));
                // The last is due a nanosecond behind its thousand seconds.
                clock.advance(Duration::from_nanos(u64::from(step == 10)));
                let due = deadlines.iter().filter(|it| it.0 < step * 100_000_000_000).count();
                until(|| woken.lock().unwrap().len() >= due).await;
            }
        });
        deadlines.sort_unstable();
        let expected: Vec<_> = deadlines.into_iter().map(|(_, number)| number).collect();
        assert!(*woken.lock().unwrap() == expected, "not in the order of the deadlines");
        assert_eq!(selector.stats().timers, 0);
        report(&format!("{NAME}: {count} timers fired in the order of their deadlines"));
        drop(sleeps);
    });
}

// ---- nothing, and forever -----------------------------------------------------------------------

const EVER: Duration = Duration::MAX;

#[test]
fn durations_of_nothing_and_of_for_ever_overflow_nowhere() {
    watched(|| {
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
        selector.block_on(async {
            // Time that has gone on for long already.
            for _ in 0..3 {
                clock.advance(Duration::from_secs(3600 * 24 * 365 * 50));
            }
            for duration in [EVER, Duration::from_secs(u64::MAX), EVER / 2] {
                assert!(poll_once(selector.sleep(duration)).await.is_none());
                assert!(poll_once(selector.within(duration, pending::<()>())).await.is_none());
                let mut beat = selector.interval(duration);
                assert!(poll_once(beat.tick()).await.is_none());
                assert_eq!(selector.within(duration, async { 7 }).await, Some(7));
            }
            selector.sleep(Duration::ZERO).await;
            assert_eq!(selector.within(Duration::ZERO, pending::<()>()).await, None);
            let mut always = selector.interval(Duration::ZERO);
            for _ in 0..100 {
                always.tick().await;
            }
            assert_eq!(selector.stats().timers, 0);
        });
    });
}

/// A drain without end ends with its peer, and one of no time at once; so does connecting.
#[test]
fn drains_and_handshakes_of_nothing_and_of_for_ever() {
    for drain in [EVER, Duration::ZERO] {
        let builder = SelectorManager::builder().drain(drain, u64::MAX);
        watched(move || {
            builder.run(async |selector: SelectorManager| {
                let server = listener(&selector).await?;
                let address = server.local_address();
                let socket = selector.tcp().connect_timeout(EVER).connect(address.clone()).await?;
                let accepted = server.accept().await?;
                socket.open_write_channel()?.write_str("goodbye\n").await?;
                // Dropped and closed.
                drop(socket);
                accepted.close().await?;
                // No time to connect in is enough where there is nothing to wait for.
                let hurried = selector.tcp().connect_timeout(Duration::ZERO).connect(address).await;
                assert!(hurried.is_ok() || hurried.is_err_and(|error| error.is_timeout()));
                until(|| selector.stats().background_closes == 0).await;
                Result::Ok(())
            })
        })
        .unwrap();
    }
}

/// A time that the system cannot count is an error that names the option, and not some other time.
#[test]
fn a_keep_alive_of_nothing_or_for_ever_is_refused_by_name() {
    run(async |selector| {
        for (idle, interval) in [
            (Duration::MAX, Duration::from_secs(15)),
            (Duration::from_secs(60), Duration::MAX),
            (Duration::ZERO, Duration::from_secs(15)),
            (Duration::from_secs(60), Duration::ZERO),
        ] {
            let keep_alive = KeepAlive { idle, interval, count: 8 };
            let bound = selector.tcp().keep_alive(keep_alive).bind("127.0.0.1:0").await;
            let error = bound.unwrap_err().to_string();
            assert!(error.contains("keep_alive"), "{error}");
        }
        until_at_rest(&selector, 0).await;
        Result::Ok(())
    });
}
