//! The source of `now`, which also decides how long a worker may sleep.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// The clock of a selector's timers, timeouts and sleeps.
///
/// The default is the system's monotonic clock, which no change of the wall clock affects. A test gives the
/// builder a [`TestClock`](crate::testing::TestClock) instead, and controls the time.
///
/// Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock(Origin);

#[derive(Debug, Clone, Default)]
enum Origin {
    #[default]
    System,
    Manual(Arc<ManualTime>),
    /// The clock of the runtime that the current thread is inside: the system's, unless a test has paused it.
    #[cfg(all(feature = "tokio", unix))]
    Runtime,
}

impl Clock {
    /// Makes a clock that stands still until its time is advanced by hand.
    pub(crate) fn manual(time: Arc<ManualTime>) -> Self {
        Self(Origin::Manual(time))
    }

    /// Returns the clock of a worker that a runtime drives: the runtime's, unless this one was given by the
    /// user.
    #[cfg(all(feature = "tokio", unix))]
    pub(crate) fn of_runtime(&self) -> Self {
        match &self.0 {
            Origin::Manual(_) => self.clone(),
            Origin::System | Origin::Runtime => Self(Origin::Runtime),
        }
    }

    /// Returns the time.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Origin::System => system_now(),
            Origin::Manual(time) => time.now(),
            #[cfg(all(feature = "tokio", unix))]
            Origin::Runtime => tokio::time::Instant::now().into_std(),
        }
    }

    /// Returns how long a worker may sleep if its next timer is due at `deadline`; `None` means until it is
    /// woken.
    ///
    /// On a manual clock no sleep ends by itself, so a worker registers with
    /// [`on_advance`](Self::on_advance) before it calls this.
    pub(crate) fn sleep_for(&self, deadline: Instant) -> Option<Duration> {
        let left = deadline.saturating_duration_since(self.now());
        match &self.0 {
            Origin::Manual(_) => left.is_zero().then_some(left),
            Origin::System => Some(left),
            #[cfg(all(feature = "tokio", unix))]
            Origin::Runtime => Some(left),
        }
    }

    /// Wakes `sleeper` at every later advance, for as long as it lives.
    ///
    /// Once per sleeper is enough. On the system's clock this does nothing.
    pub(crate) fn on_advance(&self, sleeper: Weak<dyn WakeUp>) {
        if let Origin::Manual(time) = &self.0 {
            time.register(sleeper);
        }
    }
}

/// Returns the system's time, to measure how long this thread's own work takes: that goes on while a manual
/// clock stands still. Deadlines go by the selector's [`Clock`].
pub(crate) fn system_now() -> Instant {
    Instant::now()
}

/// Something that sleeps by a [`Clock`] and can be woken from any thread.
pub(crate) trait WakeUp: Send + Sync {
    /// Ends the sleep. A call just before the sleep begins must end it too: between asking the clock and
    /// going to sleep no lock is held.
    fn wake_up(&self);
}

/// A time that moves only when it is advanced, shared by the clocks made from it.
pub(crate) struct ManualTime(Mutex<Moment>);

struct Moment {
    now: Instant,
    sleepers: Vec<Weak<dyn WakeUp>>,
}

impl ManualTime {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Moment { now: Instant::now(), sleepers: Vec::new() }))
    }

    pub(crate) fn now(&self) -> Instant {
        lock(&self.0).now
    }

    /// Advances the time by `duration` and wakes all sleepers. Returns `None`, and changes nothing, if an
    /// `Instant` cannot represent the sum.
    pub(crate) fn advance(&self, duration: Duration) -> Option<Instant> {
        let mut moment = lock(&self.0);
        let now = moment.now.checked_add(duration)?;
        moment.now = now;
        let mut awake = Vec::with_capacity(moment.sleepers.len());
        moment.sleepers.retain(|sleeper| {
            let alive = sleeper.upgrade();
            let keep = alive.is_some();
            awake.extend(alive);
            keep
        });
        // A sleeper may ask for the time when it is woken, and this may be its last handle.
        drop(moment);
        for sleeper in awake {
            sleeper.wake_up();
        }
        Some(now)
    }

    fn register(&self, sleeper: Weak<dyn WakeUp>) {
        let mut moment = lock(&self.0);
        // A clock may outlive many selectors without ever being advanced.
        moment.sleepers.retain(|known| known.strong_count() > 0);
        moment.sleepers.push(sleeper);
    }
}

impl std::fmt::Debug for ManualTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ManualTime").field(&self.now()).finish()
    }
}
