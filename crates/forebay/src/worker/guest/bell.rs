//! Waking a task of a foreign runtime, which is what drives a guest.

use std::sync::Mutex;
use std::task::Waker;

use crate::lock::lock;

/// The waker of one task, until it is rung.
///
/// The task keeps its waker here at the beginning of each poll, before it looks at its queues. So a ring that
/// comes after that look finds the waker, and one that finds none is seen by the look.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<Option<Waker>>);

impl Bell {
    /// Keeps the waker. It is cloned before the lock is taken, and the replaced one dropped after it is
    /// released.
    pub(super) fn keep(&self, waker: &Waker) {
        let clone = waker.clone();
        let replaced = lock(&self.0).replace(clone);
        drop(replaced);
    }

    /// Wakes the task, unless it has been woken since it last began to look.
    pub(super) fn ring(&self) {
        let taken = lock(&self.0).take();
        if let Some(waker) = taken {
            waker.wake();
        }
    }
}
