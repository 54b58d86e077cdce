//! The settings of a selector.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use forebay_io::seam::{ReadLimits, WriteLimits};

use crate::names::AnyResolver;
use crate::task::Handler;
use crate::time::{Clock, Limits};
use crate::worker::spin;

/// The settings that a selector was made with.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) spin: bool,
    /// `None` if the program has not set it.
    pub(super) workers: Option<u16>,
    pub(super) drain_timeout: Duration,
    pub(super) drain_max: Option<Duration>,
    pub(super) drain_limit: u64,
    pub(super) background_closes_max: usize,
    pub(super) read_limits: ReadLimits,
    pub(super) write_limits: WriteLimits,
    #[cfg(feature = "tls")]
    pub(super) handshakes_max: usize,
    pub(super) blocking_max: usize,
    pub(super) blocked_after: Option<Duration>,
    pub(super) on_task_error: Option<Handler>,
    pub(super) resolver: Option<Arc<dyn AnyResolver>>,
}

/// The variable that sets the number of workers where a program does not.
const WORKERS_VARIABLE: &str = "FOREBAY_WORKERS";

/// The most workers that a selector has where neither sets a number. To find a worker for a new task the load of
/// each one is looked at, under the lock of the list of tasks: so many take about half a microsecond.
const WORKERS_BY_DEFAULT_MAX: u16 = 64;

/// Returns the number of workers of a selector whose program sets none.
fn workers_by_default() -> u16 {
    let set = std::env::var(WORKERS_VARIABLE).ok().and_then(|text| text.trim().parse().ok());
    set.filter(|workers| *workers > 0).unwrap_or_else(|| workers_for(available_parallelism()))
}

/// Returns the number of workers for this parallelism, or for an unknown one.
fn workers_for(parallelism: io::Result<NonZero<usize>>) -> u16 {
    let threads = parallelism.map_or(1, NonZero::get);
    u16::try_from(threads).map_or(WORKERS_BY_DEFAULT_MAX, |count| count.min(WORKERS_BY_DEFAULT_MAX))
}

/// The default limit for closing a connection in total.
const DRAIN_MAX: Duration = Duration::from_secs(5 * 60);

impl Settings {
    /// Returns the number of workers. To ask the system for its parallelism takes longer than to make a selector,
    /// so it is asked only if no number is set.
    pub(super) fn worker_count(&self) -> u16 {
        self.workers.unwrap_or_else(workers_by_default)
    }

    /// Returns the limits for closing a connection with these limits of its own. The default total is not
    /// shorter than the silence, which would otherwise have no effect.
    pub(super) fn drain_of(&self, silence: Option<Duration>, total: Option<Duration>) -> Limits {
        let silence = silence.unwrap_or(self.drain_timeout);
        let total = total.or(self.drain_max).unwrap_or(DRAIN_MAX.max(silence));
        Limits { silence, total }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: Clock::default(),
            spin: spin::machine_allows(),
            workers: None,
            drain_timeout: Duration::from_secs(10),
            drain_max: None,
            drain_limit: 64 * 1024,
            background_closes_max: 1024,
            read_limits: ReadLimits::default(),
            write_limits: WriteLimits::default(),
            #[cfg(feature = "tls")]
            handshakes_max: 256,
            blocking_max: 512,
            blocked_after: Some(Duration::from_secs(1)),
            on_task_error: None,
            resolver: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::num::NonZero;

    use super::workers_for;

    #[test]
    fn there_is_a_worker_for_each_thread_that_runs_at_once_up_to_sixty_four() {
        let workers = |threads| workers_for(Ok(NonZero::new(threads).unwrap()));
        assert_eq!([1, 2, 63, 64].map(workers), [1, 2, 63, 64]);
        assert_eq!([65, 65_535, 65_536, 65_537, usize::MAX].map(workers), [64; 5]);
    }

    #[test]
    fn there_is_one_worker_where_the_parallelism_is_unknown() {
        assert_eq!(workers_for(Err(io::ErrorKind::Unsupported.into())), 1);
    }
}
