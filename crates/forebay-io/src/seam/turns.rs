//! When an outbox is flushed, and who sees it off.

use std::sync::Arc;
use std::task::Waker;

use super::Outbox;

/// The turns of a worker, as an [`Outbox`] knows them.
///
/// A channel without turns (a [`pipe`](crate::pipe)) is flushed in the call that writes.
pub trait Turns: Send + Sync {
    /// Flushes the outbox by the end of this turn, or at once where there is no turn.
    fn defer(&self, outbox: &Arc<Outbox>);

    /// The deferred outbox holds more than a small block: waiting for the end of the turn would let
    /// every connection of the turn fill large ones. Flushing it when the task's poll ends keeps
    /// one block hot instead. A hint: doing nothing is correct.
    fn hurry(&self, outbox: &Arc<Outbox>) {
        let _ = outbox;
    }

    /// True when nobody is to wait for room any more, because what drives the outbox is closing.
    /// The outbox's own waker is woken when this becomes true.
    fn is_closing(&self) -> bool {
        false
    }

    /// Has `waker`, the outbox's own, woken soon on a thread that has turns. Called under the
    /// outbox's lock, on a thread that has none, when the outbox has sent its share and more waits.
    /// False where no such thread exists (a pipe): the outbox goes on at once.
    fn wake_in_turn(&self, waker: &Waker) -> bool {
        let _ = waker;
        false
    }

    /// Keeps the outbox alive until it is finished, within a deadline; it has no owner any more.
    fn linger(&self, outbox: Arc<Outbox>);
}
