//! The timers of one worker, in the order in which they fire.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Returns the time `duration` after `now`; `None` is never.
///
/// A time that an [`Instant`] cannot represent is beyond the life of the machine. Such a timer needs no
/// entry in the queue: its future is pending forever.
pub(crate) fn deadline_after(now: Instant, duration: Duration) -> Option<Instant> {
    now.checked_add(duration)
}

/// Identifies one timer while it waits.
///
/// The key of a timer that has fired, or was removed, is simply absent from the queue. It never comes back,
/// because a sequence number is used once. So a late `remove` has no effect, and no flag is needed for
/// whether the timer still waits.
///
/// The order is that of firing: by deadline, and by insertion if deadlines are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    deadline: Instant,
    sequence: u64,
}

/// Deadlines, and the wakers to wake then.
///
/// This is a tree rather than a wheel: it has no granularity, so no timer fires a tick early or late, it
/// suits one timer as well as a million, and its first key is the next deadline.
///
/// It is part of a locked state or in a `RefCell`, so no call here clones, wakes or drops a waker: wakers
/// are passed in cloned, and returned to be woken or dropped after unlocking. This holds for the queue
/// itself too: `mem::take` it, and drop it outside.
#[derive(Debug, Default)]
pub(crate) struct TimerQueue {
    timers: BTreeMap<TimerKey, Waker>,
    next_sequence: u64,
}

impl TimerQueue {
    /// Adds a timer. A deadline in the past is due at once.
    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerKey {
        let key = TimerKey { deadline, sequence: self.next_sequence };
        self.next_sequence += 1;
        let replaced = self.timers.insert(key.clone(), waker);
        debug_assert!(replaced.is_none(), "a sequence number is used once");
        key
    }

    /// Replaces the waker of a timer that waits.
    ///
    /// `Ok` contains the old waker. `Err` contains the new one: the timer has fired or was removed.
    pub(crate) fn replace(&mut self, key: &TimerKey, waker: Waker) -> Result<Waker, Waker> {
        match self.timers.get_mut(key) {
            Some(kept) => Ok(std::mem::replace(kept, waker)),
            None => Err(waker),
        }
    }

    /// Removes a timer; `None` if it has fired or was removed before.
    pub(crate) fn remove(&mut self, key: &TimerKey) -> Option<Waker> {
        self.timers.remove(key)
    }

    /// Appends the wakers of all timers due at `now` to `due`, in the order of firing.
    pub(crate) fn take_due(&mut self, now: Instant, due: &mut Vec<Waker>) {
        while let Some(first) = self.timers.first_entry() {
            if first.key().deadline > now {
                break;
            }
            due.push(first.remove());
        }
    }

    /// Returns the earliest deadline, due or not.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|(key, _)| key.deadline)
    }

    /// Returns how many timers were ever added.
    #[cfg(test)]
    pub(crate) fn added(&self) -> u64 {
        self.next_sequence
    }

    /// Returns how many timers wait.
    pub(crate) fn len(&self) -> usize {
        self.timers.len()
    }
}
