//! Control of one task from outside: aborting it, and reporting its error once.

use std::panic::Location;
use std::task::Waker;

use forebay_io::Error;

use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};

// The states of `fate`, which decide what becomes of the error with which a task ends.

/// The handle exists, and returns the error if the task fails.
const HELD: u8 = 0;
/// The task failed while its handle existed.
const FAILED: u8 = 1;
/// The handle is gone, so an error must be reported.
const DETACHED: u8 = 2;
/// The handle has returned the result, or the error has been reported.
const SETTLED: u8 = 3;

/// Shared by a task, its handle and the worker's list.
#[derive(Debug)]
pub(crate) struct Control {
    aborted: AtomicBool,
    waker: OnceLock<Waker>,
    fate: AtomicU8,
    error: OnceLock<Error>,
    /// The index of the task's worker.
    worker: u16,
    /// The place in the source at which the task was started.
    place: &'static Location<'static>,
    /// The task was reported because it blocked its worker.
    blocked: AtomicBool,
}

impl Control {
    #[track_caller]
    pub(super) fn new(worker: u16) -> Self {
        Self {
            worker,
            place: Location::caller(),
            blocked: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            waker: OnceLock::default(),
            fate: AtomicU8::new(HELD),
            error: OnceLock::default(),
        }
    }

    /// Sets the waker of a task that is about to be polled for the first time.
    pub(super) fn started(&self, waker: Waker) {
        self.waker.get_or_init(|| waker);
        // Pairs with the `fetch_or` in `abort`. One of the two read-modify-writes of the same flag is the
        // second, and sees what happened before the first. So an abort before this is seen by the task's
        // first poll, and an abort after it finds the waker. A plain store followed by a load would not be
        // enough: a processor may execute the load first.
        self.aborted.fetch_or(false, Ordering::AcqRel);
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Returns the index of the task's worker.
    pub(super) fn worker(&self) -> u16 {
        self.worker
    }

    /// Returns the place at which the task was started.
    pub(super) fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// Returns `true` the first time, so that a task that blocks is reported once.
    pub(super) fn blocks(&self) -> bool {
        !self.blocked.swap(true, Ordering::Relaxed)
    }

    /// Makes the task drop its future at its next poll, and wakes it.
    pub(crate) fn abort(&self) {
        self.wake_after(true);
    }

    /// Wakes the task, which sees everything that happened before.
    pub(super) fn wake(&self) {
        self.wake_after(false);
    }

    fn wake_after(&self, aborts: bool) {
        // Pairs with the `fetch_or` in `started`.
        self.aborted.fetch_or(aborts, Ordering::AcqRel);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Returns `true` if `waker` is this task's own.
    pub(super) fn wakes_by(&self, waker: &Waker) -> bool {
        self.waker.get().is_some_and(|own| own.will_wake(waker))
    }

    /// Records that the task ended with this error. Returns the error if it must be reported, because the
    /// handle is gone.
    pub(super) fn failed(&self, error: &Error) -> Option<Error> {
        self.error.get_or_init(|| error.clone());
        // Pairs with the swap in `detached`: the second of the two reports the error.
        match self.fate.swap(FAILED, Ordering::AcqRel) {
            DETACHED => self.report_once(),
            _ => None,
        }
    }

    /// Records that the handle is gone. Returns the error if it must be reported.
    pub(super) fn detached(&self) -> Option<Error> {
        match self.fate.swap(DETACHED, Ordering::AcqRel) {
            FAILED => self.report_once(),
            _ => None,
        }
    }

    /// Records that the handle has returned the result.
    pub(super) fn delivered(&self) {
        self.fate.store(SETTLED, Ordering::Release);
    }

    fn report_once(&self) -> Option<Error> {
        self.fate.store(SETTLED, Ordering::Release);
        self.error.get().cloned()
    }
}
