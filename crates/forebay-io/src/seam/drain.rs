//! The destination of a channel's bytes.

use std::task::{Context, Poll};

use super::{SendQueue, WakeList};
use crate::{Error, Result};

/// The writing end of a transport. The [`Outbox`](super::Outbox) decides when each method is called, and
/// calls it under its lock.
pub trait Drain: Send + Sync {
    /// Sends from the front of the queue until it is empty, or keeps the waker and waits. The queue shows
    /// only what may be sent in this turn.
    ///
    /// # Errors
    ///
    /// The transport's error, with which the outbox is aborted.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>>;

    /// Sends the end mark. Called once the queue is empty, until it returns `Ready`.
    ///
    /// # Errors
    ///
    /// The transport's error, with which the outbox is aborted.
    fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>>;

    /// Gives up at once, without an end mark: a connection is reset.
    fn abort(&mut self, cause: &Error, after: &mut WakeList);

    /// Returns how many bytes it would take at once, if it holds them in memory of its own, as a pipe does.
    fn free_space(&self) -> usize {
        0
    }

    /// Returns `true` if it may send the queue's [segments of the kernel](SendQueue::front_segment) as they are. A
    /// drain that does not is shown none: the outbox has the queue read them before.
    fn sends_segments(&self) -> bool {
        false
    }

    /// Returns the peer's address, if there is one. Called only to name it in an error that the channel or
    /// its outbox makes: an item above the limit, a write after the end.
    fn peer(&self) -> Option<String> {
        None
    }
}
