//! The timers of one worker, in the order in which they fire.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::{Duration, Instant};

/// The moment `duration` after `now`; `None` is never.
///
/// A duration that an [`Instant`] cannot hold lies beyond the life of the machine, so such a timer
/// needs no place in the queue: its future is pending for ever.
pub(crate) fn deadline_after(now: Instant, duration: Duration) -> Option<Instant> {
    now.checked_add(duration)
}

/// Names one timer for as long as it waits.
///
/// A key whose timer fired, or was removed, is simply absent from the queue, and never comes back:
/// the sequence number is used once. So a late `remove` harms nobody, and needs no flag that says
/// whether the timer still waits.
///
/// The order is that of firing: by deadline, and by insertion where deadlines are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    deadline: Instant,
    sequence: u64,
}

/// Deadlines and the wakers of those who wait for them.
///
/// A tree rather than a wheel: it has no granularity, so nothing fires early or late by a tick, it
/// is as good for one timer as for a million, and the next deadline is its first key.
///
/// It stands inside a lock or a `RefCell`, so no call here clones, wakes or drops a waker: each is
/// handed in cloned and handed back to be woken or dropped after unlocking. That holds for the
/// queue itself too: `mem::take` it and drop it outside.
#[derive(Debug, Default)]
pub(crate) struct TimerQueue {
    timers: BTreeMap<TimerKey, Waker>,
    next_sequence: u64,
}

impl TimerQueue {
    /// Adds a timer; deadlines in the past are due at once.
    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerKey {
        let key = TimerKey { deadline, sequence: self.next_sequence };
        self.next_sequence += 1;
        let replaced = self.timers.insert(key.clone(), waker);
        debug_assert!(replaced.is_none(), "a sequence number is used once");
        key
    }

    /// Gives a waiting timer a new waker.
    ///
    /// `Ok` holds the old one. `Err` holds the new one: the timer has fired or was removed.
    pub(crate) fn replace(&mut self, key: &TimerKey, waker: Waker) -> Result<Waker, Waker> {
        match self.timers.get_mut(key) {
            Some(kept) => Ok(std::mem::replace(kept, waker)),
            None => Err(waker),
        }
    }

    /// Takes a timer out; `None` when it has fired or was removed.
    pub(crate) fn remove(&mut self, key: &TimerKey) -> Option<Waker> {
        self.timers.remove(key)
    }

    /// Moves the wakers of all timers due at `now` behind those in `due`, in the order of firing.
    pub(crate) fn take_due(&mut self, now: Instant, due: &mut Vec<Waker>) {
        while let Some(first) = self.timers.first_entry() {
            if first.key().deadline > now {
                break;
            }
            due.push(first.remove());
        }
    }

    /// The earliest deadline, due or not.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|(key, _)| key.deadline)
    }

    /// How many timers were ever added.
    #[cfg(test)]
    pub(crate) fn added(&self) -> u64 {
        self.next_sequence
    }

    /// How many timers wait.
    pub(crate) fn len(&self) -> usize {
        self.timers.len()
    }
}
