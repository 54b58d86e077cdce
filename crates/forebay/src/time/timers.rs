//! The timers of a worker: a clock and a queue, shared with the waiting tasks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::clock::{Clock, WakeUp};
use super::queue::{TimerKey, TimerQueue};
use crate::lock::lock;

/// A worker's timers. Any thread may add one; the worker fires them.
#[derive(Debug)]
pub(crate) struct Timers {
    clock: Clock,
    queue: Mutex<TimerQueue>,
    /// Woken when a timer is added that is due before all others.
    worker: OnceLock<Weak<dyn WakeUp>>,
    /// The worker ends when nothing is left, so it must see that the last timer was removed.
    is_ending: AtomicBool,
}

impl Timers {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            queue: Mutex::default(),
            worker: OnceLock::new(),
            is_ending: AtomicBool::new(false),
        }
    }

    /// Sets the worker that fires these timers. Called once.
    pub(crate) fn attach(&self, worker: Weak<dyn WakeUp>) {
        self.clock.on_advance(Weak::clone(&worker));
        self.worker.get_or_init(|| worker);
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Returns the number of timers that wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.queue).len()
    }

    /// Returns the number of timers added so far.
    #[cfg(test)]
    pub(crate) fn added(&self) -> u64 {
        lock(&self.queue).added()
    }

    /// Adds a timer.
    pub(crate) fn add(&self, deadline: Instant, waker: Waker) -> TimerKey {
        let mut queue = lock(&self.queue);
        let key = queue.insert(deadline, waker);
        let first = queue.next_deadline() == Some(deadline);
        drop(queue);
        if first {
            self.wake_worker();
        }
        key
    }

    fn wake_worker(&self) {
        if let Some(worker) = self.worker.get().and_then(Weak::upgrade) {
            worker.wake_up();
        }
    }

    /// Wakes the worker from now on also when the last timer is removed. Called before the worker looks at
    /// what is left.
    pub(crate) fn end_with_the_last(&self) {
        // Relaxed, here and below: the look takes the queue's lock. A removal that comes before it is seen by
        // it, and a later one sees this.
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Replaces a timer's waker. Returns `false` if the timer has fired. The replaced waker is dropped
    /// here, with no lock held.
    pub(super) fn renew(&self, key: &TimerKey, waker: Waker) -> bool {
        let replaced = lock(&self.queue).replace(key, waker);
        replaced.is_ok()
    }

    /// Removes a timer that is not needed any more.
    pub(super) fn remove(&self, key: &TimerKey) {
        let mut queue = lock(&self.queue);
        let removed = queue.remove(key);
        let was_last = removed.is_some() && queue.len() == 0;
        drop(queue);
        drop(removed);
        if was_last && self.is_ending.load(Ordering::Relaxed) {
            self.wake_worker();
        }
    }

    /// Returns the time, if a timer waits.
    pub(crate) fn now_if_awaited(&self) -> Option<Instant> {
        (self.len() > 0).then(|| self.clock.now())
    }

    /// Returns `true` if a timer is due at `moment`.
    pub(crate) fn is_due(&self, moment: Instant) -> bool {
        lock(&self.queue).next_deadline().is_some_and(|deadline| deadline <= moment)
    }

    /// Moves the wakers of the timers due at `moment` into `woken`, in the order of firing.
    pub(crate) fn take_due(&self, moment: Instant, woken: &mut Vec<Waker>) {
        lock(&self.queue).take_due(moment, woken);
    }

    /// Returns the next deadline, and how long the worker may sleep for it; `None` means until it is woken.
    pub(crate) fn next(&self) -> Option<(Instant, Option<Duration>)> {
        let deadline = lock(&self.queue).next_deadline()?;
        Some((deadline, self.clock.sleep_for(deadline)))
    }
}
