//! A timer for our own bookkeeping.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::Timers;
use super::queue::TimerKey;

/// Wakes once, at a moment, from the worker and never from the call that sets it: so it can be set
/// where the waker could not be woken, under a lock. Dropping it takes the timer back.
pub(crate) struct Alarm {
    timers: Arc<Timers>,
    key: TimerKey,
}

impl Alarm {
    /// Has `waker`, which is one of ours, woken at `deadline`; soon, if that is past.
    pub(crate) fn set(timers: Arc<Timers>, deadline: Instant, waker: Waker) -> Self {
        let key = timers.add(deadline, waker);
        Self { timers, key }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.timers.remove(&self.key);
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("key", &self.key).finish_non_exhaustive()
    }
}
