//! Where a channel's bytes go to.

use std::task::{Context, Poll};

use super::{Afterwards, SendQueue};
use crate::{Error, Result};

/// The writing end of a transport. Everything about *when* belongs to the
/// [`Outbox`](super::Outbox), which calls these under its lock.
pub trait Drain: Send + Sync {
    /// Sends from the front of the queue until it is empty, or keeps the waker and waits. The queue
    /// shows no more than may be sent in this turn.
    ///
    /// # Errors
    ///
    /// What the transport met; the outbox is aborted with it.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut Afterwards,
    ) -> Poll<Result<()>>;

    /// Sends the end mark; called once the queue is empty, until it is ready.
    ///
    /// # Errors
    ///
    /// What the transport met; the outbox is aborted with it.
    fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut Afterwards) -> Poll<Result<()>>;

    /// Gives up at once, without an end mark: a connection is reset.
    fn abort(&mut self, cause: &Error, after: &mut Afterwards);
}
