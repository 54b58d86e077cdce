//! A list of waiting tasks, from which a dropped waiter removes itself.
//!
//! Written here and not taken from `event-listener`, because that crate wakes while it holds its
//! own lock (`docs/decisions/011-own-wait-list.md`). This list has no lock at all: it lives inside
//! the state of whoever owns one, takes wakers that were cloned before locking, and gives back
//! wakers to be dropped or woken after unlocking.

#[cfg(test)]
mod tests;

use std::task::Waker;

use crate::seam::Afterwards;

/// Names a waiter in the list it was added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaiterKey(u64);

/// Waiters, each with what it waits for.
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
    /// Adds a waiter, or gives the one named by `key` a new waker. The waker given back is to be
    /// dropped after unlocking.
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

    /// Removes a waiter that was dropped. The waker given back is to be dropped after unlocking.
    pub fn remove(&mut self, key: WaiterKey) -> Option<Waker> {
        let at = self.list.iter().position(|entry| entry.0 == key)?;
        Some(self.list.remove(at).2)
    }

    /// Moves every waiter whose condition holds into `after`, oldest first.
    pub fn release(&mut self, after: &mut Afterwards, mut holds: impl FnMut(&T) -> bool) {
        if self.list.is_empty() {
            return;
        }
        for (_, _, waker) in self.list.extract_if(.., |entry| holds(&entry.1)) {
            after.wake(waker);
        }
        if self.list.is_empty() {
            // An idle connection keeps no memory for waiters it once had.
            self.list = Vec::new();
        }
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
