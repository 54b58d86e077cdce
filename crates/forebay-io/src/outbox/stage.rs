//! A buffer of the worker's thread for the items that one task writes, so that a burst of items takes one
//! lock.
//!
//! A lock costs about as much as everything else in a small write. A task that writes line after line to
//! one channel therefore locks only for the first two lines of a poll: the second one begins a *stage*, a
//! buffer of this thread, which takes further items without a lock. When the task's poll ends, the worker
//! settles the stage: it appends the bytes to the queue, under the lock.
//!
//! These rules keep the order:
//!
//! - A stage begins under the outbox's lock, by setting `staged`. Any thread that locks the outbox from
//!   then on knows that accepted bytes are elsewhere.
//! - While `staged` is set, no end mark is sent, and no item of another thread is accepted or counted as
//!   flushed: those calls wait until it is clear. Only the thread that has the stage clears it.
//! - That thread settles the stage before it does anything else with the outbox: before it accepts an item
//!   that does not fit the stage, flushes, finishes or counts.
//! - Take a write that returned before another thread's call began, in the sense of happens-before. Either
//!   it has been settled, and its bytes are in the queue, or `staged` was set under the lock before, and
//!   the other thread's call sees that.
//! - A stage lives no longer than the poll of the task that writes, so no other thread waits longer for it.
//!
//! Only the threads of workers have a stage; on any other thread nothing would settle it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Outbox;
use crate::item::Item;
use crate::sync::thread_local;
use crate::turn;

/// A stage that holds this many bytes is settled before more is added.
const STAGE_BYTES_MAX: usize = 8 * 1024;
/// Larger items go to the queue directly: copying them twice would cost more than the lock.
const STAGED_ITEM_BYTES_MAX: usize = 1024;
/// The largest number of bytes that a stage can hold.
pub(super) const BYTES_MAX: usize = STAGE_BYTES_MAX + STAGED_ITEM_BYTES_MAX;

// Two thread-locals, and not one with all fields: every write and every flush reads the first one, and a
// thread-local without a destructor is reached without a check whether the destructor is registered.
thread_local! {
    static MARKS: Marks = const { Marks::new() };
}
thread_local! {
    static STAGE: RefCell<StagedBytes> = const { RefCell::new(StagedBytes::new()) };
}

struct Marks {
    /// This thread belongs to a worker, which settles the stage.
    enabled: Cell<bool>,
    /// The stage belongs to an outbox.
    in_use: Cell<bool>,
    /// The address of the outbox that accepted the last item in this poll. It is only compared.
    last: Cell<usize>,
}

impl Marks {
    const fn new() -> Self {
        Self { enabled: Cell::new(false), in_use: Cell::new(false), last: Cell::new(0) }
    }
}

struct StagedBytes {
    owner: Option<Arc<Outbox>>,
    bytes: Vec<u8>,
}

impl StagedBytes {
    const fn new() -> Self {
        Self { owner: None, bytes: Vec::new() }
    }
}

/// Returns `true` if this thread's stage belongs to an outbox.
#[inline]
fn is_in_use() -> bool {
    // While the thread ends, its thread-locals are gone and there is no stage.
    MARKS.try_with(|marks| marks.in_use.get()).unwrap_or(false)
}

/// Puts an item on the stage, if the stage belongs to this outbox and has room.
#[inline]
pub(super) fn push(outbox: &Arc<Outbox>, item: impl Item) -> bool {
    if !is_in_use() || item.len() > STAGED_ITEM_BYTES_MAX {
        return false;
    }
    let pushed = STAGE.try_with(|stage| {
        let mut staged = stage.borrow_mut();
        let ours = staged.owner.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, outbox));
        let fits = ours && staged.bytes.len() < STAGE_BYTES_MAX;
        if fits {
            item.put(&mut staged.bytes);
        }
        fits
    });
    pushed.unwrap_or(false)
}

/// Notes that the outbox accepts an item. Returns `true` if the previous item of this poll went to the same
/// outbox: that is a burst, for which a stage pays off.
#[inline]
pub(super) fn note_item(outbox: &Outbox) -> bool {
    let is_second = MARKS.try_with(|marks| {
        let address = std::ptr::from_ref(outbox).addr();
        marks.enabled.get() && marks.last.replace(address) == address
    });
    is_second.unwrap_or(false)
}

/// Gives this thread's stage to the outbox. The caller has settled before, and sets `staged` under the
/// outbox's lock.
pub(super) fn begin(outbox: &Arc<Outbox>) {
    STAGE.with(|stage| stage.borrow_mut().owner = Some(Arc::clone(outbox)));
    MARKS.with(|marks| marks.in_use.set(true));
}

/// Settles this thread's stage, whichever outbox it belongs to.
#[inline]
pub(super) fn settle() {
    if is_in_use() {
        settle_here();
    }
}

#[inline(never)]
fn settle_here() {
    MARKS.with(|marks| marks.in_use.set(false));
    // A destructor that runs after the thread-locals are gone has nothing staged.
    let taken = STAGE.try_with(|stage| {
        let mut staged = stage.borrow_mut();
        let owner = staged.owner.take()?;
        Some((owner, std::mem::take(&mut staged.bytes)))
    });
    if let Ok(Some((owner, bytes))) = taken {
        settle_taken(&owner, bytes);
    }
}

fn settle_taken(owner: &Arc<Outbox>, mut bytes: Vec<u8>) {
    owner.settle(&bytes);
    bytes.clear();
    // Settling runs wakers. If one of them has written, the memory of its stage is not overwritten.
    STAGE.with(|stage| {
        let mut staged = stage.borrow_mut();
        if staged.bytes.capacity() == 0 {
            staged.bytes = bytes;
        }
    });
}

/// Ends the poll of a task: what the task staged joins its queue.
#[inline]
pub fn end_poll() {
    settle();
    MARKS.with(|marks| marks.last.set(0));
    turn::end_poll();
}

/// Gives this thread a stage until the guard drops. Its owner must call [`end_poll`] after every poll of a
/// task.
#[derive(Debug)]
pub struct WorkerStage(());

impl WorkerStage {
    /// Enables the stage of this thread.
    pub fn enter() -> Self {
        MARKS.with(|marks| marks.enabled.set(true));
        Self(())
    }
}

impl Drop for WorkerStage {
    fn drop(&mut self) {
        end_poll();
        MARKS.with(|marks| marks.enabled.set(false));
    }
}
