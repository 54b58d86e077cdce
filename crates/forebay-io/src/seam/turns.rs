//! The times at which an outbox is flushed, and its background close.

use std::sync::Arc;
use std::task::Waker;

use super::Outbox;

/// The turns of a worker, as an [`Outbox`] uses them.
///
/// A channel without turns (a [`pipe`](crate::pipe)) is flushed in the call that writes.
pub trait Turns: Send + Sync {
    /// Flushes the outbox at the end of this turn, or at once where there is no turn.
    fn defer(&self, outbox: &Arc<Outbox>);

    /// Flushes a deferred outbox earlier, when the task's poll ends, because it holds more than a small
    /// block. Otherwise every connection of the turn could fill large blocks; this way one block is used
    /// again and again while it is in the cache. This is a hint: doing nothing is correct.
    fn hurry(&self, outbox: &Arc<Outbox>) {
        let _ = outbox;
    }

    /// Returns `true` if no writer may wait for room any more, because the outbox's driver is closing. The
    /// outbox's own waker is woken when this becomes true.
    fn is_closing(&self) -> bool {
        false
    }

    /// Wakes `waker`, which is the outbox's own, soon and on a thread that has turns. Called under the
    /// outbox's lock, on a thread without turns, when the outbox has used up its share and more waits.
    /// Returns `false` if there is no such thread (a pipe); the outbox then goes on at once.
    fn wake_in_turn(&self, waker: &Waker) -> bool {
        let _ = waker;
        false
    }

    /// Keeps an outbox without an owner alive until it is finished, within a deadline.
    fn linger(&self, outbox: Arc<Outbox>);
}
