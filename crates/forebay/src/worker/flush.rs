//! Flushing what tasks have written.

use std::sync::Arc;

use forebay_io::seam::Outbox;

use crate::task::caught;

/// The number of outboxes that wait for the end of a turn. With more of them, what was written first would be
/// out of the processor's caches when it is sent (`docs/decisions/062-flush-in-batches.md`).
pub(super) const BATCH_COUNT: usize = 32;

/// The locks that a thread may hold when it defers an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locks {
    /// Other outboxes can be flushed.
    None,
    /// An outbox's lock may be held: flushing another one could wait for a thread that waits for this one.
    MayBeHeld,
}

/// Flushes the outboxes and empties the list.
///
/// Sending may run a user's code: the owner of a value that was sent is dropped, and wakers of other runtimes
/// are woken. A panic in there has been printed by the process's panic hook, and the other outboxes are flushed
/// all the same.
pub(super) fn flush_all(batch: &mut Vec<Arc<Outbox>>) {
    for outbox in batch.drain(..) {
        drop(caught(|| outbox.advance()));
    }
}
