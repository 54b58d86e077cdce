//! The settings of a selector.

use std::time::Duration;

use crate::task::Handler;
use crate::time::{Clock, Limits};
use crate::worker::spin;

/// The settings that a selector was made with.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) spin: bool,
    pub(super) workers: u16,
    pub(super) drain_timeout: Duration,
    pub(super) drain_max: Option<Duration>,
    pub(super) drain_limit: u64,
    pub(super) background_closes_max: usize,
    #[cfg(feature = "tls")]
    pub(super) handshakes_max: usize,
    pub(super) blocking_max: usize,
    pub(super) blocked_after: Option<Duration>,
    pub(super) on_task_error: Option<Handler>,
}

/// The variable that sets the number of workers where a program does not.
const WORKERS_VARIABLE: &str = "FOREBAY_WORKERS";

fn workers_by_default() -> u16 {
    let set = std::env::var(WORKERS_VARIABLE).ok().and_then(|text| text.trim().parse().ok());
    set.filter(|workers| *workers > 0).unwrap_or(1)
}

/// The default limit for closing a connection in total.
const DRAIN_MAX: Duration = Duration::from_secs(5 * 60);

impl Settings {
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
            workers: workers_by_default(),
            drain_timeout: Duration::from_secs(10),
            drain_max: None,
            drain_limit: 64 * 1024,
            background_closes_max: 1024,
            #[cfg(feature = "tls")]
            handshakes_max: 256,
            blocking_max: 512,
            blocked_after: Some(Duration::from_secs(1)),
            on_task_error: None,
        }
    }
}
