//! Waiting until a given time.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use forebay_io::seam::poll_answer;

use super::Timers;
use super::queue::{TimerKey, deadline_after};

/// The number of polls after its deadline at which a sleep still waits for the worker. A task that polls
/// again and again without giving way would otherwise wait for the worker's turn, which waits for the task.
const ASKS_MAX: u32 = 64;

/// A future that is ready at a given time of the selector's clock; see
/// [`SelectorManager::sleep`](crate::SelectorManager::sleep).
///
/// # Cancel safety
///
/// Releases: a dropped sleep removes its timer.
#[must_use = "futures do nothing unless you `.await` them"]
pub struct Sleep {
    timers: Arc<Timers>,
    /// `None`: never.
    deadline: Option<Instant>,
    phase: SleepPhase,
}

/// The progress of a sleep.
enum SleepPhase {
    /// It has not been polled yet.
    Begins,
    /// The worker has its timer, or has fired it. The number counts the polls since the deadline.
    Waits(TimerKey, u32),
    /// Its duration is zero, as perhaps in a loop.
    AtOnce,
    Over,
}

impl Sleep {
    /// Makes a sleep for `duration`. A sleep of zero is over at once.
    pub(crate) fn new(timers: Arc<Timers>, duration: Duration) -> Self {
        let deadline = deadline_after(timers.now(), duration);
        let mut sleep = Self::until(timers, deadline);
        if duration.is_zero() {
            sleep.phase = SleepPhase::AtOnce;
        }
        sleep
    }

    /// Makes a sleep that ends once the worker has seen everything that arrived until `deadline`, even if
    /// that has passed.
    pub(super) fn until(timers: Arc<Timers>, deadline: Option<Instant>) -> Self {
        Self { timers, deadline, phase: SleepPhase::Begins }
    }

    /// Changes the deadline.
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
        if let SleepPhase::Waits(key, _) = std::mem::replace(&mut self.phase, SleepPhase::Begins) {
            self.timers.remove(&key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The worker, and not the clock, ends the sleep: it looks at its sockets first, so that the call
        // that this sleep limits finds everything that had arrived by then.
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        match &self.phase {
            SleepPhase::Over => return Poll::Ready(()),
            SleepPhase::AtOnce => return poll_answer(cx),
            SleepPhase::Begins => {
                self.phase = SleepPhase::Waits(self.timers.add(deadline, cx.waker().clone()), 0);
            }
            SleepPhase::Waits(key, _) if !self.timers.renew(key, cx.waker().clone()) => {
                self.phase = SleepPhase::Over;
                return Poll::Ready(());
            }
            SleepPhase::Waits(_, ASKS_MAX) => {
                self.take_timer_back();
                self.phase = SleepPhase::Over;
                return Poll::Ready(());
            }
            SleepPhase::Waits(..) => {}
        }
        let is_due = self.timers.now() >= deadline;
        if let SleepPhase::Waits(_, asked) = &mut self.phase
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
