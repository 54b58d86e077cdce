//! The worker of the current thread, if there is one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::Waker;

use forebay_io::seam::{Outbox, ThreadTurns, end_poll};

use super::activity::Traffic;
use super::flush::{BATCH_COUNT, flush_all, flush_one};
use super::{Owner, Worker};
use crate::task::Scheduled;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

/// The number of tasks for which an empty queue keeps memory; above that, the memory of a peak is freed. At
/// least half as many tasks have passed through the queue as it has room for.
pub(super) const QUEUE_KEPT: usize = 4096;

/// The state that only one thread uses: a thread that runs a worker's tasks, or a `block_on` beside it.
///
/// Nothing here is shared, so nothing is locked; and no borrow is held while a task, a waker or a drop
/// runs.
pub(super) struct Context {
    pub(super) worker: Arc<Worker>,
    /// Kept for as long as the thread may ask for it.
    owner: Option<Arc<Owner>>,
    /// The address of the owner; null without one. Of a value without a known type it would be computed each time.
    owner_address: *const (),
    /// `true` if this thread drives the worker; `false` if it only runs a `block_on` beside it.
    drives: bool,
    queue: RefCell<VecDeque<Scheduled>>,
    deferred: RefCell<Vec<Arc<Outbox>>>,
    /// The deferred outboxes that hold large blocks; flushed when the task's poll ends.
    hurried: RefCell<Vec<Arc<Outbox>>>,
}

impl Context {
    pub(super) fn new(worker: Arc<Worker>, drives: bool) -> Rc<Self> {
        let owner = worker.owner.get().and_then(Weak::upgrade);
        Rc::new(Self {
            owner_address: owner.as_ref().map_or(ptr::null(), |owner| Arc::as_ptr(owner).cast()),
            owner,
            worker,
            drives,
            queue: RefCell::default(),
            deferred: RefCell::default(),
            hurried: RefCell::default(),
        })
    }

    pub(super) fn pop(&self) -> Option<Scheduled> {
        let mut queue = self.queue.borrow_mut();
        let next = queue.pop_front();
        if next.is_none() && queue.capacity() > QUEUE_KEPT {
            *queue = VecDeque::new();
        }
        next
    }

    pub(super) fn extend(&self, runnables: &mut Vec<Scheduled>) {
        self.queue.borrow_mut().extend(runnables.drain(..));
    }

    /// Returns `true` if the next turn has something to do already.
    pub(super) fn has_work(&self) -> bool {
        !self.queue.borrow().is_empty()
            || !self.deferred.borrow().is_empty()
            || ThreadTurns::is_next_due()
    }

    /// Ends the poll of a task: what it staged joins its queue, a large queue is sent, and so are many queues.
    pub(super) fn end_poll(&self) {
        end_poll();
        loop {
            let next = self.hurried.borrow_mut().pop();
            match next {
                Some(outbox) => flush_one(outbox),
                None => break,
            }
        }
        if self.deferred.borrow().len() >= BATCH_COUNT {
            self.flush();
        }
    }

    /// Flushes what was written during this turn, including what flushing itself causes.
    pub(super) fn flush(&self) {
        // The lists are swapped an even number of times, so the memory stays for the next turn.
        let mut batch = Vec::new();
        loop {
            std::mem::swap(&mut batch, &mut *self.deferred.borrow_mut());
            if batch.is_empty() {
                break;
            }
            flush_all(&mut batch);
        }
    }

    /// Ends the turn after its tasks were polled. Calls that gave way continue in the next turn, which
    /// begins before this turn's flush, so that no outbox sends more than its share between two polls of a
    /// task, or two shares if a batch was flushed in the middle of the turn.
    pub(super) fn end_turn(&self) {
        ThreadTurns::end_turn().into_iter().for_each(Waker::wake);
        self.flush();
    }

    /// Empties the queues. Their contents are dropped with no borrow held.
    pub(super) fn clear(&self) {
        drop((self.queue.take(), self.deferred.take(), self.hurried.take()));
    }
}

fn current() -> Option<Rc<Context>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Returns `true` on a thread that has a context, and while the thread's values are being dropped.
#[cfg(all(any(feature = "tokio", feature = "smol"), unix))]
pub(super) fn is_inside() -> bool {
    CURRENT.try_with(|current| current.borrow().is_some()).unwrap_or(true)
}

/// Returns the index of this thread's worker, if it works for this owner.
pub(crate) fn index_for<T>(owner: &T) -> Option<u16> {
    let index = |context: &Rc<Context>| {
        ptr::addr_eq(context.owner_address, owner).then(|| context.worker.index())
    };
    CURRENT.try_with(|current| current.borrow().as_ref().and_then(index)).ok().flatten()
}

/// Returns the value that this thread's worker works for; `None` on any other thread.
pub(crate) fn owner() -> Option<Arc<Owner>> {
    current()?.owner.clone()
}

/// Calls with the context of a thread that drives a worker; `None` on any other thread. The call must run no
/// code of a user's, because the context is borrowed.
#[inline]
fn with_driving<T>(call: impl FnOnce(&Context) -> T) -> Option<T> {
    let with = |current: &RefCell<Option<Rc<Context>>>| {
        current.borrow().as_ref().filter(|context| context.drives).map(|context| call(context))
    };
    CURRENT.try_with(with).ok().flatten()
}

/// Pushes a task to the current thread's queue if this thread drives the task's worker, and returns it
/// otherwise.
#[inline]
pub(super) fn push_here(task: Scheduled) -> Option<Scheduled> {
    let mut task = Some(task);
    with_driving(|context| {
        let executor = task.as_ref().map(|task| Arc::as_ptr(task.metadata()));
        if executor.is_some_and(|executor| ptr::addr_eq(executor, Arc::as_ptr(&context.worker))) {
            context.queue.borrow_mut().extend(task.take());
        }
    });
    task
}

/// Schedules flushing the outbox at the end of this turn. Returns `false` on a thread without turns.
pub(crate) fn defer(outbox: &Arc<Outbox>) -> bool {
    with_driving(|context| context.deferred.borrow_mut().push(Arc::clone(outbox))).is_some()
}

/// Schedules flushing a deferred outbox when this poll ends. Returns `false` on a thread without turns.
pub(crate) fn hurry(outbox: &Arc<Outbox>) -> bool {
    with_driving(|context| context.hurried.borrow_mut().push(Arc::clone(outbox))).is_some()
}

/// Counts traffic at this thread's worker. Returns `false` on a thread that drives no worker of this owner.
#[inline]
pub(crate) fn count_for<T>(owner: &T, count: impl FnOnce(&Traffic)) -> bool {
    let counted = with_driving(|context| {
        let is_ours = ptr::addr_eq(context.owner_address, owner);
        if is_ours {
            count(&context.worker.activity.traffic);
        }
        is_ours
    });
    counted.unwrap_or(false)
}

/// Checks that this thread has no context, before anything is taken that a panic would lose.
///
/// # Panics
///
/// Panics on a thread that has a context: a worker that blocks would wait for itself.
pub(super) fn assert_none() {
    assert!(
        current().is_none(),
        "forebay::run and SelectorManager::block_on cannot be called from inside each other or \
         from a task: the thread would wait for itself; await the future instead"
    );
}

/// Makes `context` the current thread's, which has none, until the guard drops.
pub(super) fn enter(context: Rc<Context>) -> EnteredWorker {
    let turns = context.drives.then(ThreadTurns::enter);
    let before = CURRENT.with(|current| current.borrow_mut().replace(context));
    debug_assert!(before.is_none(), "a context within a context");
    EnteredWorker { _turns: turns }
}

/// See [`enter`].
pub(super) struct EnteredWorker {
    _turns: Option<ThreadTurns>,
}

impl Drop for EnteredWorker {
    fn drop(&mut self) {
        let context = CURRENT.with(|current| current.borrow_mut().take());
        drop(context);
    }
}
