//! The actions that must wait until a lock is released.

use std::task::Waker;

use bytes::Bytes;

use crate::kernel::KernelSegment;

/// Wakers to wake and values to drop once no lock is held.
///
/// Waking runs the code of another runtime, and dropping a [`Bytes`] may run its owner's code. Either could
/// call back and take the lock that is held. Code that runs under a lock therefore collects both here, and
/// the caller that took the lock calls [`run`](Self::run) after releasing it.
#[derive(Debug, Default)]
#[must_use = "wakers in here are lost wake-ups until `run` is called"]
pub struct WakeList {
    // Nearly always there is at most one task to wake, and no value; that takes no allocation.
    waker: Option<Waker>,
    more: Vec<Later>,
}

/// An action that waits.
#[derive(Debug)]
enum Later {
    Wake(Waker),
    Drop(#[expect(dead_code, reason = "it is dropped")] Bytes),
    Close(#[expect(dead_code, reason = "it is dropped")] KernelSegment),
}

impl WakeList {
    /// Makes an empty list; allocates nothing.
    pub const fn new() -> Self {
        Self { waker: None, more: Vec::new() }
    }

    /// Adds a waker to wake.
    pub fn wake(&mut self, waker: Waker) {
        match &self.waker {
            None => self.waker = Some(waker),
            Some(_) => self.more.push(Later::Wake(waker)),
        }
    }

    /// Adds a value to drop.
    pub fn drop_later(&mut self, bytes: Bytes) {
        self.more.push(Later::Drop(bytes));
    }

    /// Adds bytes of the kernel, whose descriptors are closed.
    pub(crate) fn close_later(&mut self, segment: KernelSegment) {
        self.more.push(Later::Close(segment));
    }

    /// Wakes the wakers and drops the values. No lock may be held.
    #[inline]
    pub fn run(self) {
        if let Some(waker) = self.waker {
            waker.wake();
        }
        if !self.more.is_empty() {
            run_all(self.more);
        }
    }
}

/// Wakes first and drops last: an owner's `drop` may panic, and no task may lose its wake-up for that.
fn run_all(actions: Vec<Later>) {
    let woken_or_spent = actions.into_iter().filter_map(|action| match action {
        Later::Wake(waker) => {
            waker.wake();
            None
        }
        spent => Some(spent),
    });
    let spent: Vec<_> = woken_or_spent.collect();
    drop(spent);
}
