//! How a selector is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::{Error, Result};

use super::manager::SelectorManager;
use super::settings::Settings;
use crate::task::Reporter;
use crate::time::Clock;

/// Makes a [`SelectorManager`] with other settings than the defaults.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use forebay::SelectorManager;
///
/// let selector = SelectorManager::builder()
///     .drain(Duration::from_millis(500), 16 * 1024)
///     .on_task_error(|error| eprintln!("a session failed: {error}"))
///     .build()?;
/// # forebay::Result::Ok(())
/// ```
#[must_use = "a builder does nothing until `build` or `run`"]
pub struct SelectorBuilder {
    settings: Settings,
}

impl SelectorManager {
    /// Makes a selector with other settings.
    pub fn builder() -> SelectorBuilder {
        SelectorBuilder { settings: Settings::default() }
    }
}

impl SelectorBuilder {
    /// Takes the time from this clock. Default: the system's monotonic clock.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.settings.clock = clock.into();
        self
    }

    /// Whether an idle worker looks for events for up to 50 microseconds before it sleeps, while
    /// that has lately paid: less delay for more processor time. Default: on where two processors
    /// are online and no quota below two is set.
    pub fn spin(mut self, spin: bool) -> Self {
        self.settings.spin = spin;
        self
    }

    /// Sets how long a peer may be silent while its connection is closed or dropped, and how many bytes
    /// of input closing throws away. Default: 10 seconds, 64 KiB.
    ///
    /// Silent is a peer that acknowledges nothing of what it is sent; where the system does not tell
    /// what is acknowledged (Unix sockets, and systems other than Linux and Android), one that takes
    /// nothing. A peer that reads slowly but steadily gets everything, for as long as
    /// [`drain_max`](Self::drain_max) allows. A TCP that retransmits waits longer each time (RFC 6298,
    /// section 5.5), past two seconds after a few losses: a much shorter silence gives up peers that are
    /// behind a lossy link.
    ///
    /// [`SelectorManager::close`] waits so long for tasks, too.
    pub fn drain(mut self, timeout: Duration, limit_bytes: u64) -> Self {
        self.settings.drain_timeout = timeout;
        self.settings.drain_limit = limit_bytes;
        self
    }

    /// Sets how long closing or dropping a connection may take in all, however steadily its peer reads.
    /// Default: 5 minutes, or the drain timeout where that is longer.
    pub fn drain_max(mut self, total: Duration) -> Self {
        self.settings.drain_max = Some(total);
        self
    }

    /// Sets how many connections may be closing at once without an owner: dropped, with something
    /// still to be sent or acknowledged. When there are more, or the process runs out of descriptors,
    /// the one that was dropped first ends as at the drain timeout, and is reported
    /// ([`on_task_error`](Self::on_task_error)). Default: 1,024.
    pub fn lingering_max(mut self, connections: usize) -> Self {
        self.settings.lingering_max = connections;
        self
    }

    /// Sets how many calls that may block forever may be under way at once: functions of
    /// [`spawn_blocking`](SelectorManager::spawn_blocking), reads of
    /// [`blocking_reader`](SelectorManager::blocking_reader), writes of
    /// [`blocking_writer`](SelectorManager::blocking_writer). Each has a thread of its own, and one
    /// more is [`Exhausted`](crate::ErrorKind::Exhausted) at once: it does not wait for those, which
    /// may never end. Calls of the selector's own (look-ups, a handshake's roots, stale paths) have
    /// 16 other threads, and wait for none of these. Default: 512.
    pub fn blocking_max(mut self, calls: usize) -> Self {
        self.settings.blocking_max = calls;
        self
    }

    /// How many TLS handshakes of accepted connections may be under way at once: begun by the peer,
    /// and not complete. When there are more, the one that began first ends with
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), so that peers which do not go on cannot
    /// keep out one that does. A peer that has sent nothing yet does not count, and neither do
    /// handshakes that this side began: those have the configuration's
    /// [`handshake_timeout`](crate::TlsServerBuilder::handshake_timeout) alone. Where descriptors run
    /// out, the oldest handshake ends as well, of those first whose peers have said nothing. Default:
    /// 256.
    #[cfg(feature = "tls")]
    pub fn handshakes_max(mut self, handshakes: usize) -> Self {
        self.settings.handshakes_max = handshakes;
        self
    }

    /// Sets the function that is told of every error of a task that no handle awaits, of each
    /// connection that was closed without an owner before its peer had everything, and each time that
    /// accepting pauses because the machine has no descriptors or memory left
    /// ([`accept`](crate::ServerSocket::accept)). Without it, errors that are the caller's, a
    /// limit's or the system's are printed on standard error, one line per kind and second; what is
    /// the peer's doing is only counted ([`Stats::task_errors`](crate::Stats)).
    ///
    /// It runs on the worker, with no lock held, and should return soon.
    #[doc(alias = "CoroutineExceptionHandler")]
    pub fn on_task_error(mut self, handler: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.settings.reporter = Arc::new(Reporter::new(Some(Arc::new(handler))));
        self
    }

    /// Makes the selector. It starts no thread before there is something to do.
    ///
    /// # Errors
    ///
    /// [`Exhausted`](crate::ErrorKind::Exhausted) when there is no descriptor left for its poll.
    pub fn build(self) -> Result<SelectorManager> {
        SelectorManager::with(self.settings)
    }

    /// Makes the selector and runs `main` on it, as [`forebay::run`](crate::run) does.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and what `main` returns.
    ///
    /// # Panics
    ///
    /// As [`forebay::run`](crate::run).
    pub fn run<T, E: From<Error>>(
        self,
        main: impl AsyncFnOnce(SelectorManager) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.build()?.run(main)
    }
}

impl fmt::Debug for SelectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectorBuilder")
            .field("clock", &self.settings.clock)
            .field("spin", &self.settings.spin)
            .field("drain_timeout", &self.settings.drain_timeout)
            .field("drain_max", &self.settings.drain_max)
            .field("drain_limit", &self.settings.drain_limit)
            .finish_non_exhaustive()
    }
}
