//! One task, seen from outside: it can be aborted, and its error is reported once.

use std::task::Waker;

use forebay_io::Error;

use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};

// Whose the error is in which a task may end: the states of its `fate`.

/// The handle is there, and gives the error if the task ends in one.
const HELD: u8 = 0;
/// The task ended in an error while its handle was there.
const FAILED: u8 = 1;
/// The handle is gone; the error is to be reported.
const DETACHED: u8 = 2;
/// The handle has given the result, or the error has been reported.
const SETTLED: u8 = 3;

/// Shared by a task, its handle and the worker's list.
#[derive(Debug)]
pub(crate) struct Control {
    aborted: AtomicBool,
    waker: OnceLock<Waker>,
    fate: AtomicU8,
    error: OnceLock<Error>,
}

impl Control {
    pub(super) fn new() -> Self {
        Self {
            aborted: AtomicBool::new(false),
            waker: OnceLock::default(),
            fate: AtomicU8::new(HELD),
            error: OnceLock::default(),
        }
    }

    /// Gives the waker of a task that is about to be polled for the first time.
    pub(super) fn started(&self, waker: Waker) {
        self.waker.get_or_init(|| waker);
        // One of two read-modify-writes of the same flag is the second, and has seen what was done
        // before the first: an abort before this one is seen by the task's first poll, one behind it
        // finds the waker. A plain store and a load behind it would not do: a processor may take the
        // load first.
        self.aborted.fetch_or(false, Ordering::AcqRel);
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Makes the task drop its future at its next poll, and wakes it.
    pub(crate) fn abort(&self) {
        // The other one: see `started`.
        self.aborted.fetch_or(true, Ordering::AcqRel);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Notes that the task ended in this error. Returns the error if it is to be reported, because the
    /// handle is gone.
    pub(super) fn failed(&self, error: &Error) -> Option<Error> {
        self.error.get_or_init(|| error.clone());
        // Pairs with the swap in `detached`: the second of the two reports.
        match self.fate.swap(FAILED, Ordering::AcqRel) {
            DETACHED => self.report_once(),
            _ => None,
        }
    }

    /// Notes that the handle is gone. Returns the error if it is to be reported.
    pub(super) fn detached(&self) -> Option<Error> {
        match self.fate.swap(DETACHED, Ordering::AcqRel) {
            FAILED => self.report_once(),
            _ => None,
        }
    }

    /// Notes that the handle has given the result away.
    pub(super) fn delivered(&self) {
        self.fate.store(SETTLED, Ordering::Release);
    }

    fn report_once(&self) -> Option<Error> {
        self.fate.store(SETTLED, Ordering::Release);
        self.error.get().cloned()
    }
}
