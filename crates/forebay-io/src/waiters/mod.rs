//! A list of waiting tasks, from which a dropped waiter removes itself.
//!
//! `event-listener` is not used, because it wakes tasks while it holds its own lock
//! (`docs/decisions/011-own-wait-list.md`). This list has no lock at all. It is part of its owner's locked
//! state, takes wakers that were cloned before locking, and returns wakers to be dropped or woken after
//! unlocking.

#[cfg(test)]
mod tests;
mod wait;

use std::task::Waker;

pub(crate) use self::wait::poll_look;
pub use self::wait::wait_in;
use crate::seam::WakeList;

/// Identifies a waiter in the list it was added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaiterKey(u64);

/// The waiters, each with the condition it waits for.
#[derive(Debug)]
pub struct Waiters<T> {
    list: Vec<(WaiterKey, T, Waker)>,
    next: u64,
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Self { list: Vec::new(), next: 0 }
    }
}

impl<T> Waiters<T> {
    /// Adds a waiter, or replaces the waker of the one that `key` identifies. Returns the replaced waker,
    /// to be dropped after unlocking.
    pub fn put(&mut self, key: &mut Option<WaiterKey>, until: T, waker: Waker) -> Option<Waker> {
        if let Some(known) = *key
            && let Some(entry) = self.list.iter_mut().find(|entry| entry.0 == known)
        {
            entry.1 = until;
            return Some(std::mem::replace(&mut entry.2, waker));
        }
        let new = WaiterKey(self.next);
        self.next += 1;
        *key = Some(new);
        self.list.push((new, until, waker));
        None
    }

    /// Removes a waiter that was dropped, and returns its waker, to be dropped after unlocking.
    pub fn remove(&mut self, key: WaiterKey) -> Option<Waker> {
        let at = self.list.iter().position(|entry| entry.0 == key)?;
        Some(self.list.remove(at).2)
    }

    /// Moves every waiter whose condition holds into `after`, oldest first.
    pub fn release(&mut self, after: &mut WakeList, mut holds: impl FnMut(&T) -> bool) {
        if self.list.is_empty() {
            return;
        }
        for (_, _, waker) in self.list.extract_if(.., |entry| holds(&entry.1)) {
            after.wake(waker);
        }
        if self.list.is_empty() {
            // Frees the memory, so that an idle connection does not keep what a crowd of waiters once
            // needed.
            self.list = Vec::new();
        }
    }

    /// Returns `true` if the list is empty.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
