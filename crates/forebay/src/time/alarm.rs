//! A timer for the library's own bookkeeping.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::Timers;
use super::queue::TimerKey;

/// Wakes once, at a given time, from the worker and never from the call that sets it. So it can be set
/// under a lock, where the waker must not be woken. Dropping it removes the timer.
pub(crate) struct Alarm {
    timers: Arc<Timers>,
    key: TimerKey,
}

impl Alarm {
    /// Wakes `waker`, which must be one of the library's own, at `deadline`; soon, if that has passed.
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
