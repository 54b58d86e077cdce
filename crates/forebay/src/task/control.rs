//! What outsiders may do to a task: abort it, and learn that it ended.

use std::cell::Cell;
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

thread_local! {
    /// The task that is being polled on this thread: its list, by address, and its key there.
    static CURRENT: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

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
    /// Polls this task's future: meanwhile it is the current one.
    pub(super) fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        let here = self.key.get().map(|key| (self.tasks.address(), *key));
        let before = CURRENT.replace(here);
        let polled = poll();
        CURRENT.set(before);
        polled
    }

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
    live: Slab<Live>,
    /// How many of them are closing the selector.
    closers: usize,
    waiters: Waiters<Left>,
}

#[derive(Debug)]
struct Live {
    control: Arc<Control>,
    /// Calls of `close` that this task is in.
    closes: usize,
}

/// What a close waits for.
#[derive(Debug, Clone, Copy)]
enum Left {
    Nobody,
    /// From a task: only tasks that wait for the same are left.
    Closers,
}

impl State {
    fn holds(&self, left: Left) -> bool {
        match left {
            Left::Nobody => self.live.is_empty(),
            Left::Closers => self.live.len() <= self.closers,
        }
    }

    fn release_waiters(&mut self, after: &mut Afterwards) {
        let (nobody, closers) = (self.holds(Left::Nobody), self.holds(Left::Closers));
        self.waiters.release(after, |left| match left {
            Left::Nobody => nobody,
            Left::Closers => closers,
        });
    }
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
        let key = lock(&self.state).live.insert(Live { control: Arc::clone(&control), closes: 0 });
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

    /// Notes that the current task, if it is one of these, waits for the others to end.
    pub(crate) fn closer(&self) -> Closer<'_> {
        let current = CURRENT.get().filter(|(tasks, _)| *tasks == self.address());
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        let task = current.and_then(|(_, key)| {
            let live = state.live.get_mut(key)?;
            live.closes += 1;
            let task = (key, Arc::clone(&live.control));
            if live.closes == 1 {
                state.closers += 1;
            }
            Some(task)
        });
        // Others may have waited for nobody but this one.
        state.release_waiters(&mut after);
        drop(state);
        after.run();
        Closer { tasks: self, task }
    }

    fn remove(&self, key: usize) {
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        let live = state.live.try_remove(key);
        if live.as_ref().is_some_and(|live| live.closes > 0) {
            state.closers -= 1;
        }
        state.release_waiters(&mut after);
        drop(state);
        // The last reference may drop the task's waker, and with it the task's memory.
        drop(live);
        after.run();
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// A call of `close`: it waits for all tasks to end, or, from one of them, for all the others.
pub(crate) struct Closer<'a> {
    tasks: &'a Tasks,
    task: Option<(usize, Arc<Control>)>,
}

impl Closer<'_> {
    /// Waits until the others have ended.
    pub(crate) async fn others_ended(&self) {
        let left = match self.task {
            Some(_) => Left::Closers,
            None => Left::Nobody,
        };
        super::wait::wait_in(
            &self.tasks.state,
            |state| &mut state.waiters,
            left,
            |state| state.holds(left).then_some(()),
        )
        .await;
    }

    /// Aborts them. Those that close as well are spared by one another, not by an outsider: they
    /// may have more to do than to close.
    pub(crate) fn abort_others(&self) {
        let spares_closers = self.task.is_some();
        let others: Vec<_> = lock(&self.tasks.state)
            .live
            .iter()
            .filter(|(_, live)| !(spares_closers && live.closes > 0))
            .map(|(_, live)| Arc::clone(&live.control))
            .collect();
        for control in others {
            control.abort();
        }
    }
}

impl Drop for Closer<'_> {
    fn drop(&mut self) {
        let Some((key, control)) = self.task.take() else {
            return;
        };
        let mut state = lock(&self.tasks.state);
        // The task may have ended, and its key be another's: a close can be carried elsewhere.
        if let Some(live) = state.live.get_mut(key)
            && Arc::ptr_eq(&live.control, &control)
        {
            live.closes -= 1;
            if live.closes == 0 {
                state.closers -= 1;
            }
        }
        drop(state);
        drop(control);
    }
}
