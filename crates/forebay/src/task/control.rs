//! What outsiders may do to a task: abort it, and learn that it ended.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;

use forebay_io::Error;
use slab::Slab;

use crate::lock::lock;
use forebay_io::seam::{Afterwards, Waiters};

/// The error of this task, if it ends in one, is still its handle's to give.
const HELD: u8 = 0;
/// The task ended in an error while its handle was there.
const FAILED: u8 = 1;
/// The handle is gone; the error is to be reported.
const DETACHED: u8 = 2;
/// Somebody has the result, or it has been reported.
const SETTLED: u8 = 3;

/// Shared by a task, its handle and the worker's list.
#[derive(Debug)]
pub(crate) struct Control {
    aborted: AtomicBool,
    waker: OnceLock<Waker>,
    fate: AtomicU8,
    error: OnceLock<Error>,
    tasks: Arc<Tasks>,
    key: OnceLock<usize>,
}

impl Control {
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Has the task drop its future the next time it is polled, which is soon.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// The task ended in this error. Returns it if nobody holds a handle to get it from.
    pub(super) fn failed(&self, error: &Error) -> Option<Error> {
        self.error.get_or_init(|| error.clone());
        // Pairs with the swap in `detached`: whoever comes second reports.
        match self.fate.swap(FAILED, Ordering::AcqRel) {
            DETACHED => self.report_once(),
            _ => None,
        }
    }

    /// The handle is gone. Returns an error that nobody has been given.
    pub(super) fn detached(&self) -> Option<Error> {
        match self.fate.swap(DETACHED, Ordering::AcqRel) {
            FAILED => self.report_once(),
            _ => None,
        }
    }

    /// The handle has given the result away.
    pub(super) fn delivered(&self) {
        self.fate.store(SETTLED, Ordering::Release);
    }

    fn report_once(&self) -> Option<Error> {
        self.fate.store(SETTLED, Ordering::Release);
        self.error.get().cloned()
    }

    /// The future is gone: the task leaves the list.
    pub(super) fn ended(&self) {
        if let Some(&key) = self.key.get() {
            self.tasks.remove(key);
        }
    }
}

/// The live tasks of a worker.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: Slab<Arc<Control>>,
    /// Those who wait until at most so many are left.
    waiters: Waiters<usize>,
}

impl Tasks {
    pub(super) fn control(self: &Arc<Self>) -> Arc<Control> {
        let control = Arc::new(Control {
            aborted: AtomicBool::new(false),
            waker: OnceLock::new(),
            fate: AtomicU8::new(HELD),
            error: OnceLock::new(),
            tasks: Arc::clone(self),
            key: OnceLock::new(),
        });
        let key = lock(&self.state).live.insert(Arc::clone(&control));
        control.key.get_or_init(|| key);
        control
    }

    /// The task can be woken from now on.
    pub(super) fn started(control: &Control, waker: Waker) {
        control.waker.get_or_init(|| waker);
    }

    /// Live tasks.
    pub(crate) fn len(&self) -> usize {
        lock(&self.state).live.len()
    }

    /// Aborts every live task.
    pub(crate) fn abort_all(&self) {
        let live: Vec<_> =
            lock(&self.state).live.iter().map(|(_, control)| Arc::clone(control)).collect();
        for control in live {
            control.abort();
        }
    }

    /// Waits until at most `most` tasks are left.
    pub(crate) async fn at_most(&self, most: usize) {
        super::wait::wait_in(
            &self.state,
            |state| &mut state.waiters,
            most,
            |state| (state.live.len() <= most).then_some(()),
        )
        .await;
    }

    fn remove(&self, key: usize) {
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        let control = state.live.try_remove(key);
        let left = state.live.len();
        state.waiters.release(&mut after, |most| left <= *most);
        drop(state);
        // The last reference may drop the task's waker, and with it the task's memory.
        drop(control);
        after.run();
    }
}
