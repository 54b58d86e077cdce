//! Waiting for a moment.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use forebay_io::seam::poll_answer;

use super::Timers;
use super::queue::{TimerKey, deadline_after};

/// So often a sleep whose time is up leaves the answer to the worker. A task that asks again and again
/// without giving way would otherwise wait for the worker's turn, which waits for the task.
const ASKS_MAX: u32 = 64;

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
    phase: Phase,
}

/// How far a sleep has come.
enum Phase {
    /// It was not polled yet.
    Begins,
    /// The worker has its timer, or has fired it. It was asked so often when its time was up already.
    Waits(TimerKey, u32),
    /// It was to take no time: one of a loop, perhaps.
    AtOnce,
    Over,
}

impl Sleep {
    /// A sleep of no time is over at once.
    pub(crate) fn new(timers: Arc<Timers>, duration: Duration) -> Self {
        let deadline = deadline_after(timers.now(), duration);
        let mut sleep = Self::until(timers, deadline);
        if duration.is_zero() {
            sleep.phase = Phase::AtOnce;
        }
        sleep
    }

    /// A sleep that ends when the worker has seen everything that arrived until `deadline`, even if
    /// that is past.
    pub(super) fn until(timers: Arc<Timers>, deadline: Option<Instant>) -> Self {
        Self { timers, deadline, phase: Phase::Begins }
    }

    /// Waits for another moment from now on.
    pub(super) fn reset(&mut self, deadline: Option<Instant>) {
        self.take_timer_back();
        self.deadline = deadline;
    }

    pub(super) fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn take_timer_back(&mut self) {
        if let Phase::Waits(key, _) = std::mem::replace(&mut self.phase, Phase::Begins) {
            self.timers.remove(&key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The worker says when the time is up, and not the clock: it looks at its sockets first, so
        // that what has arrived by then is there for the call that this limits.
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        match &self.phase {
            Phase::Over => return Poll::Ready(()),
            Phase::AtOnce => return poll_answer(cx),
            Phase::Begins => {
                self.phase = Phase::Waits(self.timers.add(deadline, cx.waker().clone()), 0);
            }
            Phase::Waits(key, _) if !self.timers.renew(key, cx.waker().clone()) => {
                self.phase = Phase::Over;
                return Poll::Ready(());
            }
            Phase::Waits(_, ASKS_MAX) => {
                self.take_timer_back();
                self.phase = Phase::Over;
                return Poll::Ready(());
            }
            Phase::Waits(..) => {}
        }
        let is_due = self.timers.now() >= deadline;
        if let Phase::Waits(_, asked) = &mut self.phase
            && is_due
        {
            *asked += 1;
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.take_timer_back();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
