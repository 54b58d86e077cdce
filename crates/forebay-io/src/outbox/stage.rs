//! A worker's own place for what one task writes, so that a burst of items costs one lock.
//!
//! A lock costs about as much as everything else in a small write. A task that writes line after
//! line to one channel therefore locks for the first two of a poll only: the second begins a
//! *stage*, a buffer of this thread, into which further items go without a lock. The worker settles
//! it, moving it behind the queue under the lock, when the task's poll ends.
//!
//! What keeps the order, and keeps others from overtaking:
//!
//! - A stage begins under the outbox's lock, by setting `staged`. Whoever looks at the outbox under
//!   its lock from then on knows that accepted bytes are elsewhere.
//! - While `staged` is set no end mark is sent, and nobody else's item is accepted or counted as
//!   flushed: they wait until it is clear. Only the thread with the stage clears it.
//! - That thread settles before it does anything else with the outbox: accept an item that does not
//!   fit the stage, flush, finish, count.
//! - So a write that returned before another thread's call began (in the sense of happens-before)
//!   has either been settled, and its bytes are in the queue, or `staged` was set under the lock
//!   before, and the other call sees that.
//! - A stage lives no longer than the poll of the task that writes, so nobody waits for it longer
//!   than for that.
//!
//! Only a worker's threads have a stage: elsewhere nobody would settle it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Outbox;
use crate::item::Item;
use crate::sync::thread_local;
use crate::turn;

/// A stage that holds this much is settled before more is added.
const STAGE_BYTES_MAX: usize = 8 * 1024;
/// Larger items go to the queue: copying them twice would cost more than the lock.
const ITEM_BYTES_MAX: usize = 1024;
/// The most that a stage may come to hold.
pub(super) const BYTES_MAX: usize = STAGE_BYTES_MAX + ITEM_BYTES_MAX;

thread_local! {
    static STAGE: Stage = const { Stage::new() };
}

struct Stage {
    /// This thread is a worker's, which settles.
    enabled: Cell<bool>,
    /// The outbox that accepted an item last in this poll, by address; only ever compared.
    last: Cell<usize>,
    staged: RefCell<Staged>,
}

struct Staged {
    owner: Option<Arc<Outbox>>,
    bytes: Vec<u8>,
}

impl Stage {
    const fn new() -> Self {
        let staged = Staged { owner: None, bytes: Vec::new() };
        Self { enabled: Cell::new(false), last: Cell::new(0), staged: RefCell::new(staged) }
    }
}

/// Puts an item on the stage, if it is this outbox's.
#[inline]
pub(super) fn push(outbox: &Arc<Outbox>, item: impl Item) -> bool {
    if item.len() > ITEM_BYTES_MAX {
        return false;
    }
    // Without the thread's locals (its end has begun) there is no stage.
    let pushed = STAGE.try_with(|stage| {
        let mut staged = stage.staged.borrow_mut();
        let ours = staged.owner.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, outbox));
        let fits = ours && staged.bytes.len() < STAGE_BYTES_MAX;
        if fits {
            item.put(&mut staged.bytes);
        }
        fits
    });
    pushed.unwrap_or(false)
}

/// Notes that the outbox accepts an item. True when the one before in this poll was for it as well:
/// a burst, and worth a stage.
pub(super) fn note_item(outbox: &Outbox) -> bool {
    let is_second = STAGE.try_with(|stage| {
        let address = std::ptr::from_ref(outbox).addr();
        stage.enabled.get() && stage.last.replace(address) == address
    });
    is_second.unwrap_or(false)
}

/// Gives this thread's stage to the outbox. The caller sets `staged` under the outbox's lock, and
/// has settled before.
pub(super) fn begin(outbox: &Arc<Outbox>) {
    STAGE.with(|stage| stage.staged.borrow_mut().owner = Some(Arc::clone(outbox)));
}

/// Settles this thread's stage, whoever's it is.
#[inline]
pub(super) fn settle() {
    // A destructor that runs while the thread's locals are gone has nothing staged.
    let taken = STAGE.try_with(|stage| {
        let mut staged = stage.staged.borrow_mut();
        let owner = staged.owner.take()?;
        Some((owner, std::mem::take(&mut staged.bytes)))
    });
    if let Ok(Some((owner, bytes))) = taken {
        settle_taken(&owner, bytes);
    }
}

#[inline(never)]
fn settle_taken(owner: &Arc<Outbox>, mut bytes: Vec<u8>) {
    owner.settle(&bytes);
    bytes.clear();
    // Settling runs wakers; should one have written, its stage is not overwritten.
    STAGE.with(|stage| {
        let mut staged = stage.staged.borrow_mut();
        if staged.bytes.capacity() == 0 {
            staged.bytes = bytes;
        }
    });
}

/// The poll of a task is over: what it staged joins its queue.
#[inline]
pub fn end_poll() {
    settle();
    STAGE.with(|stage| stage.last.set(0));
    turn::end_poll();
}

/// Gives this thread a stage until the guard drops; its owner promises to call [`end_poll`] after
/// every poll of a task.
#[derive(Debug)]
pub struct WorkerStage(());

impl WorkerStage {
    /// Begins to stage.
    pub fn enter() -> Self {
        STAGE.with(|stage| stage.enabled.set(true));
        Self(())
    }
}

impl Drop for WorkerStage {
    fn drop(&mut self) {
        end_poll();
        STAGE.with(|stage| stage.enabled.set(false));
    }
}
