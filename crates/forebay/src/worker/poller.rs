//! The poll of a worker, which a thread must hold to drive it.

use std::io;
use std::time::{Duration, Instant};

use super::activity::Activity;
use super::spin::Spin;

/// The number of events taken from the kernel at once: as many connections as are still in the cache when
/// the turn flushes them. The rest is reported in the next turn.
pub(super) const EVENTS_COUNT: usize = 64;

/// The state that a thread needs to drive a worker.
pub(super) struct Poller {
    poll: mio::Poll,
    pub(super) events: mio::Events,
    pub(super) spin: Spin,
}

impl Poller {
    pub(super) fn new(spin: Spin) -> io::Result<Self> {
        let events = mio::Events::with_capacity(EVENTS_COUNT);
        Ok(Self { poll: mio::Poll::new()?, events, spin })
    }

    pub(super) fn registry(&self) -> io::Result<mio::Registry> {
        self.poll.registry().try_clone()
    }

    /// Polls the kernel. Returns `false` if a signal has ended the sleep early.
    pub(super) fn poll_for(&mut self, wait: Option<Duration>) -> bool {
        let polled = self.poll.poll(&mut self.events, wait);
        if let Err(error) = &polled {
            // The next turn sleeps again. Any other error would mean that the poll's own descriptor is
            // broken, which safe code cannot do to it.
            debug_assert_eq!(error.kind(), io::ErrorKind::Interrupted, "{error}");
            self.events.clear();
        }
        polled.is_ok()
    }

    /// Returns `true` if there may be more events than the last poll had room for.
    pub(super) fn is_full(&self) -> bool {
        self.events.iter().count() >= EVENTS_COUNT
    }

    /// Looks for events without sleeping, for as long as that has recently paid off. Returns `true` if
    /// there was one.
    pub(super) fn spin_for_events(
        &mut self,
        since: Instant,
        activity: &Activity,
        more: impl Fn() -> bool,
    ) -> bool {
        let mut found = false;
        if self.spin.begin() {
            activity.spins.add_one();
            while !found && self.spin.goes_on(since) {
                self.poll_for(Some(Duration::ZERO));
                found = !self.events.is_empty() || more();
            }
            self.spin.end();
            if found {
                activity.spins_paid.add_one();
            }
        }
        found
    }
}
