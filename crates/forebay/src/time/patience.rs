//! Waiting for something that moves: a limit on silence, and one in all.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{Sleep, Timers};

/// A first look comes after this; looks are never closer together.
const LOOK_MIN: Duration = Duration::from_millis(1);
/// Looks are never further apart than this.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// Each look waits for this part of the time gone so far, and of the limit on silence: what is waited
/// for is noticed late by an eighth at most.
const LOOK_PART: u32 = 8;

/// How long something may take that a peer keeps going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Nothing moves for so long.
    pub(crate) silence: Duration,
    /// In all.
    pub(crate) total: Duration,
}

impl Limits {
    /// A total, whatever moves meanwhile.
    pub(crate) const fn within(total: Duration) -> Self {
        Self { silence: total, total }
    }

    /// The shorter of each.
    pub(crate) fn min(self, other: Self) -> Self {
        Self { silence: self.silence.min(other.silence), total: self.total.min(other.total) }
    }
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Silence(Duration),
    Total(Duration),
}

/// One look at whether something has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// On the way.
    Usual,
    /// A limit on silence is reached unless this one finds something.
    Last,
}

/// Looks again and again at a mark, for as long as the limits allow: no event tells that a peer has
/// acknowledged something.
#[derive(Debug)]
pub(crate) struct Patience {
    timers: Arc<Timers>,
    /// Those of the last look.
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

    /// Waits until a limit is reached, waking the task for each look on the way. `mark` changes
    /// whenever something has moved. The limits may have become others since the last look.
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
            // The total first: where both are the same, it is the total that was given.
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
