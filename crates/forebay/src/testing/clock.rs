//! A clock that a test owns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::time::{Clock, ManualTime};

/// A clock that stands still until the test advances it.
///
/// A selector built with it uses it for every sleep, timeout and interval, so that `timeout(1 h)` is tested
/// in milliseconds. Clones, and the clocks made from them, share one time, which starts at the system's
/// current time. Input and output take as long as they take: waiting for a peer is not sped up.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use forebay::Clock;
/// use forebay::testing::TestClock;
///
/// let time = TestClock::new();
/// let clock = Clock::from(time.clone());
/// let start = clock.now();
/// time.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now() - start, Duration::from_secs(3600));
/// ```
///
/// A task must wait before the time advances. With one worker it does so once the test has given way; with
/// several, a task may be on another one, which is a thread of its own:
///
/// ```
/// # use std::time::Duration;
/// # use forebay::SelectorManager;
/// # use forebay::testing::TestClock;
/// let time = TestClock::new();
/// let selector = SelectorManager::builder().clock(time.clone()).workers(1);
/// selector.run(async |selector: SelectorManager| {
///     let tasks = selector.clone();
///     let waiting = selector.spawn_value(async move {
///         tasks.within(Duration::from_secs(3600), std::future::pending::<()>()).await
///     });
///     forebay::yield_now().await;
///     time.advance(Duration::from_secs(3600));
///     assert_eq!(waiting.await?, None);
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
pub struct TestClock(Arc<ManualTime>);

impl TestClock {
    /// Makes a clock that stands still at the system's current time.
    pub fn new() -> Self {
        Self(Arc::new(ManualTime::new()))
    }

    /// Advances the time and wakes every worker that sleeps by this clock.
    ///
    /// Each worker then fires its timers that are due, in the order of their deadlines. This call does not
    /// wait for them: await the task that waits for the timer.
    ///
    /// # Panics
    ///
    /// Panics if the time would become later than an [`Instant`] can represent.
    pub fn advance(&self, duration: Duration) {
        let moved = self.0.advance(duration);
        assert!(
            moved.is_some(),
            "TestClock::advance by {duration:?} goes beyond what Instant holds"
        );
    }

    /// Returns the time.
    pub fn now(&self) -> Instant {
        self.0.now()
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl From<TestClock> for Clock {
    fn from(time: TestClock) -> Self {
        Self::manual(time.0)
    }
}
