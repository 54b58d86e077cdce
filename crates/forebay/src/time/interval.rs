//! Regular ticks.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::deadline_after;
use super::{Sleep, Timers};

/// Regular ticks of the selector's clock; see
/// [`SelectorManager::interval`](crate::SelectorManager::interval).
///
/// The first tick comes after one period. A tick that is late by less than a period does not shift the next
/// one. After a tick that is late by more, the next one comes a period later: there is never a burst.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// forebay::run(async |selector| {
///     let mut beat = selector.interval(Duration::from_millis(1));
///     beat.tick().await;
///     beat.tick().await;
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
}

impl Interval {
    pub(crate) fn new(timers: Arc<Timers>, period: Duration) -> Self {
        let first = deadline_after(timers.now(), period);
        Self { sleep: Sleep::until(timers, first), period }
    }

    /// Waits for the next tick, and returns the time at which it was due.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a tick that was not returned comes again.
    pub async fn tick(&mut self) -> Instant {
        // A tick that is already due also comes from the worker, so a task that takes longer than the
        // period gives way before each tick.
        poll_fn(|cx| Pin::new(&mut self.sleep).poll(cx)).await;
        let now = self.sleep.timers().now();
        let due = self.sleep.deadline().unwrap_or(now);
        let next = deadline_after(due, self.period).filter(|next| *next > now);
        self.sleep.reset(next.or_else(|| deadline_after(now, self.period)));
        due
    }
}
