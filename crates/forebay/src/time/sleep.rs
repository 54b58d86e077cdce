//! Waiting for a moment.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Timers;
use super::queue::{TimerKey, deadline_after};

/// Ready at a moment of the selector's clock; see
/// [`SelectorManager::sleep`](crate::SelectorManager::sleep).
///
/// # Cancel safety
///
/// Releases: a dropped sleep takes its timer with it.
#[must_use = "futures do nothing unless you `.await` them"]
pub struct Sleep {
    timers: Arc<Timers>,
    /// `None`: so far away that it never comes.
    deadline: Option<Instant>,
    key: Option<TimerKey>,
}

impl Sleep {
    pub(crate) fn new(timers: Arc<Timers>, duration: Duration) -> Self {
        let deadline = deadline_after(timers.now(), duration);
        Self { timers, deadline, key: None }
    }

    /// Waits for another moment from now on.
    pub(super) fn reset(&mut self, deadline: Option<Instant>) {
        if let Some(key) = self.key.take() {
            self.timers.remove(&key);
        }
        self.deadline = deadline;
    }

    pub(super) fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        if self.timers.now() >= deadline {
            return Poll::Ready(());
        }
        let kept = match &self.key {
            Some(key) => self.timers.renew(key, cx.waker().clone()),
            None => false,
        };
        if !kept {
            let key = self.timers.add(deadline, cx.waker().clone());
            self.key = Some(key);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.timers.remove(&key);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
