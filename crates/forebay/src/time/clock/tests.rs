use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Counts its wake-ups and asks for the time in each, which a lock held around it would deadlock.
struct Sleeper {
    time: Arc<ManualTime>,
    woken: AtomicUsize,
}

impl Sleeper {
    fn new(time: &Arc<ManualTime>) -> Arc<Self> {
        Arc::new(Self { time: Arc::clone(time), woken: AtomicUsize::new(0) })
    }

    fn woken(&self) -> usize {
        self.woken.load(Ordering::SeqCst)
    }
}

impl WakeUp for Sleeper {
    fn wake_up(&self) {
        self.time.now();
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

fn manual() -> (Arc<ManualTime>, Clock) {
    let time = Arc::new(ManualTime::new());
    (Arc::clone(&time), Clock::manual(time))
}

fn weak(sleeper: &Arc<Sleeper>) -> Weak<dyn WakeUp> {
    let sleeper: Weak<Sleeper> = Arc::downgrade(sleeper);
    sleeper
}

#[test]
fn the_system_clock_sleeps_until_the_deadline() {
    let clock = Clock::default();
    assert_eq!(clock.sleep_for(clock.now()), Some(Duration::ZERO));
    let slept = clock.sleep_for(clock.now() + 3600 * SECOND).expect("a deadline was given");
    assert!(slept <= 3600 * SECOND && slept > 3000 * SECOND, "{slept:?}");
}

#[test]
fn a_manual_clock_stands_until_it_is_advanced() {
    let (time, clock) = manual();
    let start = clock.now();
    assert_eq!(clock.clone().now(), start);
    assert_eq!(time.advance(SECOND), Some(start + SECOND));
    assert_eq!(clock.clone().now(), start + SECOND);
}

#[test]
fn on_a_manual_clock_only_a_due_deadline_ends_the_sleep() {
    let (time, clock) = manual();
    let deadline = clock.now() + SECOND;
    assert_eq!(clock.sleep_for(deadline), None);
    time.advance(SECOND);
    assert_eq!(clock.sleep_for(deadline), Some(Duration::ZERO));
    time.advance(SECOND);
    assert_eq!(clock.sleep_for(deadline), Some(Duration::ZERO));
}

#[test]
fn every_advance_wakes_every_living_sleeper_without_a_lock() {
    let (time, clock) = manual();
    let (one, two) = (Sleeper::new(&time), Sleeper::new(&time));
    clock.on_advance(weak(&one));
    clock.on_advance(weak(&two));
    time.advance(SECOND);
    drop(two);
    time.advance(Duration::ZERO);
    assert_eq!(one.woken(), 2);
}

#[test]
fn dead_sleepers_leave_no_residue() {
    let (time, clock) = manual();
    for _ in 0..100 {
        clock.on_advance(weak(&Sleeper::new(&time)));
    }
    assert_eq!(lock(&time.0).sleepers.len(), 1);
    time.advance(SECOND);
    assert_eq!(lock(&time.0).sleepers.len(), 0);
}

#[test]
fn an_advance_beyond_what_an_instant_holds_changes_nothing() {
    let (time, _clock) = manual();
    let start = time.now();
    assert_eq!(time.advance(Duration::MAX), None);
    assert_eq!(time.now(), start);
}
