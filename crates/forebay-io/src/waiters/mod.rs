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
    /// Made for the first waiter, and dropped with the last one: an idle connection does not keep what a crowd of
    /// waiters once needed.
    list: Option<Box<List<T>>>,
    next: u64,
}

#[derive(Debug)]
struct List<T>(Vec<(WaiterKey, T, Waker)>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Self { list: None, next: 0 }
    }
}

impl<T> Waiters<T> {
    /// Adds a waiter, or replaces the waker of the one that `key` identifies. Returns the replaced waker,
    /// to be dropped after unlocking.
    pub fn put(&mut self, key: &mut Option<WaiterKey>, until: T, waker: Waker) -> Option<Waker> {
        let List(list) = self.list.get_or_insert_default().as_mut();
        if let Some(known) = *key
            && let Some(entry) = list.iter_mut().find(|entry| entry.0 == known)
        {
            entry.1 = until;
            return Some(std::mem::replace(&mut entry.2, waker));
        }
        let new = WaiterKey(self.next);
        self.next += 1;
        *key = Some(new);
        list.push((new, until, waker));
        None
    }

    /// Removes a waiter that was dropped, and returns its waker, to be dropped after unlocking.
    pub fn remove(&mut self, key: WaiterKey) -> Option<Waker> {
        let List(list) = self.list.as_mut()?.as_mut();
        let at = list.iter().position(|entry| entry.0 == key)?;
        let (.., waker) = list.remove(at);
        self.trim();
        Some(waker)
    }

    /// Moves every waiter whose condition holds into `after`, oldest first.
    pub fn release(&mut self, after: &mut WakeList, mut holds: impl FnMut(&T) -> bool) {
        let Some(list) = &mut self.list else { return };
        for (_, _, waker) in list.0.extract_if(.., |entry| holds(&entry.1)) {
            after.wake(waker);
        }
        self.trim();
    }

    /// Returns `true` if the list is empty.
    pub fn is_empty(&self) -> bool {
        self.list.is_none()
    }

    fn trim(&mut self) {
        if self.list.as_ref().is_some_and(|list| list.0.is_empty()) {
            self.list = None;
        }
    }
}
