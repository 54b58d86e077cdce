//! Waiting for something that makes progress, with a limit on silence and one in total.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{Sleep, Timers};

/// The time before the first look, and the shortest time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(1);
/// The longest time between two looks.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// A look comes after this part of the time passed so far, and of the limit on silence. So the awaited
/// event is noticed late by an eighth at most.
const LOOK_PART: u32 = 8;

/// The limits for something that a peer keeps going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The longest time without progress.
    pub(crate) silence: Duration,
    /// The longest time in total.
    pub(crate) total: Duration,
}

impl Limits {
    /// Makes a limit in total, whatever progress is made.
    pub(crate) const fn within(total: Duration) -> Self {
        Self { silence: total, total }
    }

    /// Returns the shorter of each of the two limits.
    pub(crate) fn min(self, other: Self) -> Self {
        Self { silence: self.silence.min(other.silence), total: self.total.min(other.total) }
    }
}

/// The limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Silence(Duration),
    Total(Duration),
}

/// A reason for looking whether progress was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// One of the regular looks.
    Usual,
    /// The last look before the limit on silence ends the wait.
    Last,
}

/// Looks again and again at a mark, for as long as the limits allow. There is no event for the peer's
/// acknowledgement of bytes.
#[derive(Debug)]
pub(crate) struct Patience {
    timers: Arc<Timers>,
    /// The limits of the last look.
    limits: Limits,
    began: Instant,
    moved: Instant,
    mark: u64,
    sleep: Sleep,
}

impl Patience {
    pub(crate) fn new(timers: &Arc<Timers>, limits: Limits) -> Self {
        let now = timers.now();
        let sleep = Sleep::new(Arc::clone(timers), LOOK_MIN);
        Self { timers: Arc::clone(timers), limits, began: now, moved: now, mark: 0, sleep }
    }

    /// Waits until a limit is reached, waking the task for each look. `mark` changes whenever progress is
    /// made. The limits may differ from those of the last call.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        limits: Limits,
        mark: impl Fn(Look) -> u64,
    ) -> Poll<Over> {
        if limits != self.limits {
            self.limits = limits;
            self.sleep = Sleep::new(Arc::clone(&self.timers), LOOK_MIN);
        }
        loop {
            let now = self.timers.now();
            self.look(mark(Look::Usual), now);
            let Limits { silence, total } = limits;
            if now - self.moved >= silence {
                self.look(mark(Look::Last), now);
            }
            let (gone, still) = (now - self.began, now - self.moved);
            // The total is checked first: if both are the same, it is the total that was given.
            if gone >= total {
                return Poll::Ready(Over::Total(total));
            }
            if still >= silence {
                return Poll::Ready(Over::Silence(silence));
            }
            if Pin::new(&mut self.sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            let next = (gone / LOOK_PART).min(silence / LOOK_PART).clamp(LOOK_MIN, LOOK_MAX);
            let next = next.min(silence.saturating_sub(still)).min(total.saturating_sub(gone));
            self.sleep = Sleep::new(Arc::clone(&self.timers), next);
        }
    }

    fn look(&mut self, mark: u64, now: Instant) {
        if mark != self.mark {
            (self.mark, self.moved) = (mark, now);
        }
    }
}
