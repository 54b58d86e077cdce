//! The end of a turn inside a foreign runtime: a task that sends what other tasks have written.
//!
//! It is woken by the first write after its last poll. The runtime polls it after the task that wrote, and
//! after those that were ready before, so what all of them wrote to one connection leaves in one call.

use std::cell::RefCell;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use forebay_io::seam::{Outbox, raise_pool};

use super::super::flush::{BATCH_COUNT, Locks, flush_all};
use super::bell::Bell;
use crate::host::runtime::{Runtime, RuntimeId};
use crate::lock::lock;

/// A task that writes several messages to many connections each would make a call for each message, if each 32 connections were
/// flushed at once. So when the first one that was flushed early is written to again, everything is gathered until the
/// end of the turn, and in as many turns in all.
const GATHERED_TURNS: u8 = 16;

/// The flushers of a guest: as many as the runtime has threads, so that the threads need not send for each
/// other.
#[derive(Debug)]
pub(super) struct Flushers {
    each: Box<[Arc<Flusher>]>,
    /// The flusher of the next thread that writes for the first time. It orders nothing.
    next: AtomicUsize,
}

impl Flushers {
    pub(super) fn new(count: usize) -> Self {
        Self {
            each: (0..count.max(1)).map(|_| Arc::default()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    pub(super) fn start(&self, runtime: &Runtime) {
        for flusher in &self.each {
            runtime.spawn(Flushing(Arc::clone(flusher)));
        }
    }

    /// Returns the flusher for a thread that has none.
    fn of_this_thread(&self) -> &Arc<Flusher> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        &self.each[next % self.each.len()]
    }

    /// Ends the tasks. What is written from now on is sent in the call itself.
    pub(super) fn stop(&self) {
        for flusher in &self.each {
            flusher.end();
            flusher.bell.ring();
        }
    }
}

/// The outboxes that wait to be flushed by one task.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    queue: Mutex<Queue>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct Queue {
    deferred: Vec<Arc<Outbox>>,
    /// Empty memory for the next list.
    spare: Vec<Arc<Outbox>>,
    /// The address of the first outbox that was flushed before the end of this turn; 0 if none was. It is only compared.
    flushed_early: usize,
    /// The turns for which everything that is written waits until the turn ends, this one included.
    gathered_turns: u8,
    /// No task flushes this queue any more.
    has_ended: bool,
}

/// The place of an outbox in a queue. The task must be woken for the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pushed {
    First,
    BehindOthers,
    /// Behind so many that they should not wait for the task.
    BehindMany,
}

impl Flusher {
    /// Flushes the outbox soon. Returns `false` if the task has ended.
    pub(super) fn defer(&self, outbox: &Arc<Outbox>) -> bool {
        let pushed = self.push(outbox);
        if pushed == Some(Pushed::First) {
            self.bell.ring();
        }
        pushed.is_some()
    }

    /// Adds the outbox to the queue; `None` if the task has ended.
    fn push(&self, outbox: &Arc<Outbox>) -> Option<Pushed> {
        let mut queue = lock(&self.queue);
        if queue.has_ended {
            return None;
        }
        if queue.flushed_early == Arc::as_ptr(outbox).addr() {
            queue.gathered_turns = GATHERED_TURNS;
        }
        let pushed = match queue.deferred.len() {
            0 => Pushed::First,
            BATCH_COUNT.. if queue.gathered_turns == 0 => Pushed::BehindMany,
            _ => Pushed::BehindOthers,
        };
        queue.deferred.push(Arc::clone(outbox));
        Some(pushed)
    }

    fn has_ended(&self) -> bool {
        lock(&self.queue).has_ended
    }

    /// Ends the turn: flushes everything, including what flushing itself causes.
    fn flush(&self) {
        while self.flush_but(0) {}
        let mut queue = lock(&self.queue);
        queue.flushed_early = 0;
        queue.gathered_turns = queue.gathered_turns.saturating_sub(1);
    }

    /// Flushes all but the `kept` newest. Returns `false` if there were no others.
    fn flush_but(&self, kept: usize) -> bool {
        let mut queue = lock(&self.queue);
        let count = queue.deferred.len().saturating_sub(kept);
        if queue.flushed_early == 0 {
            queue.flushed_early =
                queue.deferred.first().map_or(0, |first| Arc::as_ptr(first).addr());
        }
        let mut batch = mem::take(&mut queue.spare);
        batch.extend(queue.deferred.drain(..count));
        drop(queue);
        flush_all(&mut batch);
        let mut queue = lock(&self.queue);
        let replaced = mem::replace(&mut queue.spare, batch);
        drop(queue);
        drop(replaced);
        count > 0
    }

    /// Refuses what comes, and flushes what is there.
    fn end(&self) {
        lock(&self.queue).has_ended = true;
        self.flush();
    }
}

/// The task of a flusher. If the runtime ends first, what was written is flushed when the task is dropped.
struct Flushing(Arc<Flusher>);

impl Future for Flushing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self(flusher) = self.get_mut();
        flusher.bell.keep(cx.waker());
        flusher.flush();
        if flusher.has_ended() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        self.0.end();
    }
}

thread_local! {
    /// The flusher that this thread used last.
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

struct Last {
    runtime: RuntimeId,
    /// The address of the selector's guests. Another selector may be made at the same address later; its
    /// outboxes are then flushed by this flusher for as long as that has not ended.
    guests: usize,
    flusher: Arc<Flusher>,
}

/// Defers the outbox to the flusher that this thread used last, if it is for this runtime and these guests.
/// Returns `false` if it is not, or has ended.
pub(super) fn defer_to_last(
    runtime: RuntimeId,
    guests: usize,
    outbox: &Arc<Outbox>,
    locks: Locks,
) -> bool {
    let push = |last: &Last| {
        let is_for_us = last.runtime == runtime && last.guests == guests;
        let pushed = if is_for_us { last.flusher.push(outbox) } else { None }?;
        // Foreign code runs outside the borrow of the thread-local.
        Some((pushed != Pushed::BehindOthers).then(|| (pushed, Arc::clone(&last.flusher))))
    };
    let pushed = LAST.try_with(|last| last.borrow().as_ref().and_then(push)).ok().flatten();
    match &pushed {
        Some(Some((Pushed::First, flusher))) => flusher.bell.ring(),
        Some(Some((Pushed::BehindMany, flusher))) if locks == Locks::None => {
            // The newest is the caller's, which probably goes on writing.
            flusher.flush_but(1);
        }
        _ => {}
    }
    pushed.is_some()
}

/// Chooses a flusher for this thread, to be found by [`defer_to_last`].
pub(super) fn choose(flushers: &Flushers, runtime: RuntimeId, guests: usize) -> Arc<Flusher> {
    raise_pool();
    let flusher = Arc::clone(flushers.of_this_thread());
    let chosen = Last { runtime, guests, flusher: Arc::clone(&flusher) };
    let replaced = LAST.try_with(|last| last.replace(Some(chosen)));
    drop(replaced);
    flusher
}
