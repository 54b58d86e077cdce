//! The wait of a polled write.
//!
//! An inherent call is a future, which holds its place among the outbox's waiters. A polled call has none, so
//! the channel keeps the inherent call's wait for it, in a box.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::Result;
use crate::outbox::{Outbox, Until};

/// A wait that a polled call has begun and that has no answer yet.
pub(super) struct PolledWait {
    awaited: AwaitedEvent,
    /// `Sync`, because the channel is.
    future: Pin<Box<dyn Future<Output = Result<()>> + Send + Sync>>,
}

/// The event that a polled call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwaitedEvent {
    Room,
    /// A flush of everything accepted so far, which is this number of bytes. Once more is accepted, it is
    /// another flush.
    Flush(u64),
    Finish,
}

impl AwaitedEvent {
    /// Waits as the inherent call does.
    pub(super) async fn in_outbox(self, outbox: Arc<Outbox>) -> Result<()> {
        match self {
            Self::Room => outbox.wait(Until::Room).await,
            Self::Flush(_) => outbox.flush().await,
            Self::Finish => outbox.wait(Until::Finished).await,
        }
    }
}

impl PolledWait {
    pub(super) fn new(awaited: AwaitedEvent, outbox: Arc<Outbox>) -> Self {
        Self { awaited, future: Box::pin(awaited.in_outbox(outbox)) }
    }

    pub(super) fn awaited(&self) -> AwaitedEvent {
        self.awaited
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.future.as_mut().poll(cx)
    }
}

impl fmt::Debug for PolledWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolledWait").field("awaited", &self.awaited).finish_non_exhaustive()
    }
}
