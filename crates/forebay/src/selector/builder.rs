//! The builder of a selector.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::{Error, Result};

use super::manager::SelectorManager;
use super::settings::Settings;
use crate::names::Resolver;
use crate::time::Clock;

/// Makes a [`SelectorManager`] with settings other than the defaults.
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
    /// Starts a selector's builder.
    pub fn builder() -> SelectorBuilder {
        SelectorBuilder { settings: Settings::default() }
    }
}

impl SelectorBuilder {
    /// Sets the clock. Default: the system's monotonic clock.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.settings.clock = clock.into();
        self
    }

    /// Sets whether an idle worker looks for events for up to 50 microseconds before it sleeps, if that has
    /// recently paid off: lower latency for more processor time. Default: on if two processors are online
    /// and no quota below two is set.
    pub fn spin(mut self, spin: bool) -> Self {
        self.settings.spin = spin;
        self
    }

    /// Sets how many workers the selector has: threads that each run tasks and watch sockets. Values below 1
    /// count as 1. Default: the number in the environment variable `FOREBAY_WORKERS`, if it holds one from 1
    /// to 65,535; otherwise as many as the machine runs threads at once
    /// ([`available_parallelism`](std::thread::available_parallelism), which knows the processors to which
    /// the process is pinned, and a quota of its control group), but at most 64, and 1 if that is unknown.
    ///
    /// A worker starts when it is given its first task, and one that never gets one costs nothing: a client
    /// with one task has one thread. A task starts on the worker with the fewest tasks, passing over one that
    /// a task has held up for more than 5 ms, and stays there; so do the sockets on which it is the first to
    /// wait.
    ///
    /// With one worker, tasks never run at the same time, and the order in which they run depends on what
    /// arrives and not on the machine. That is of use to a test with a
    /// [`TestClock`](crate::testing::TestClock), and in a process that shall leave the other processors to
    /// others. It also takes less memory: each worker that is used has two threads and three descriptors, and
    /// keeps up to 4 MiB of blocks for its connections. The futures of tasks are `Send` in any case.
    ///
    /// # Examples
    ///
    /// ```
    /// let selector = forebay::SelectorManager::builder().workers(1).build()?;
    /// selector.block_on(async {
    ///     let here = std::thread::current().id();
    ///     let there = selector.spawn_value(async { std::thread::current().id() });
    ///     assert_eq!(there.await?, here);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn workers(mut self, workers: u16) -> Self {
        self.settings.workers = Some(workers.max(1));
        self
    }

    /// Sets how long a peer may be silent while its connection is being closed or was dropped, and how many
    /// bytes of input closing discards. Default: 10 seconds, 64 KiB.
    ///
    /// A peer is silent if it acknowledges nothing of what it is sent or, if the system does not report
    /// what is acknowledged (Unix sockets, and systems other than Linux and Android), if it accepts
    /// nothing. A peer that reads slowly but steadily gets everything, for as long as
    /// [`drain_max`](Self::drain_max) allows. TCP retransmissions come at growing intervals (RFC 6298,
    /// section 5.5), beyond two seconds after a few losses: with a much shorter limit, peers behind a lossy
    /// link are given up.
    ///
    /// [`SelectorManager::close`] waits this long for tasks, too.
    pub fn drain(mut self, timeout: Duration, limit_bytes: u64) -> Self {
        self.settings.drain_timeout = timeout;
        self.settings.drain_limit = limit_bytes;
        self
    }

    /// Sets how long closing or dropping a connection may take in total, however steadily its peer reads.
    /// Default: 5 minutes, or the drain timeout if that is longer.
    pub fn drain_max(mut self, total: Duration) -> Self {
        self.settings.drain_max = Some(total);
        self
    }

    /// Sets how many connections without an owner may be closing at once: connections that were dropped
    /// while something was still to be sent or acknowledged. If there are more, or if the process runs out
    /// of descriptors, the one that was dropped first ends as at the drain timeout, and is reported
    /// ([`on_task_error`](Self::on_task_error)). Default: 1,024.
    pub fn background_closes_max(mut self, connections: usize) -> Self {
        self.settings.background_closes_max = connections;
        self
    }

    /// Sets the largest number of bytes of content that a line may have, in every channel of this selector whose
    /// [`LineOptions`](crate::LineOptions) set no limit of their own. Default: 64 KiB.
    pub fn line_limit(mut self, bytes: usize) -> Self {
        self.settings.read_limits.line = bytes;
        self
    }

    /// Sets how many bytes [`read_packet`](crate::ByteReadChannel::read_packet),
    /// [`read_up_to`](crate::ByteReadChannel::read_up_to), [`peek`](crate::ByteReadChannel::peek),
    /// [`await_content`](crate::ByteReadChannel::await_content) and
    /// [`skip_if_found`](crate::ByteReadChannel::skip_if_found) may be asked for: the channel collects them in its own
    /// memory. Default: 1 MiB.
    pub fn packet_limit(mut self, bytes: usize) -> Self {
        self.settings.read_limits.packet = bytes;
        self
    }

    /// Sets the length up to which a slice of [`read_exact`](crate::ByteReadChannel::read_exact) gives back what it
    /// took, when the call is dropped before it is full. Dropping one with a longer slice makes the channel
    /// [`Incomplete`](crate::ErrorKind::Incomplete). Default: 1 MiB.
    pub fn give_back_limit(mut self, bytes: usize) -> Self {
        self.settings.read_limits.give_back = bytes;
        self
    }

    /// Sets the number of queued bytes at which a writer waits, in every channel of this selector. One more item may
    /// come on top. Less than 2 counts as 2; a channel between two tasks has its capacity instead. Default: 64 KiB.
    ///
    /// With a small mark a slow peer is noticed earlier, and less is queued for each of many connections; with a
    /// large one a writer is woken less often.
    ///
    /// # Examples
    ///
    /// ```
    /// // Ten thousand slow peers, each with 16 KiB of what it has not read, and an item on top.
    /// let builder = forebay::SelectorManager::builder().high_water(16 * 1024).item_limit(64 * 1024);
    /// let selector = builder.build()?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn high_water(mut self, bytes: usize) -> Self {
        self.settings.write_limits.high_water = bytes;
        self
    }

    /// Sets the largest number of bytes of one item, in every channel of this selector: of what is composed
    /// ([`write_with`](crate::ByteWriteChannel::write_with), [`write_strs`](crate::ByteWriteChannel::write_strs), the
    /// macros), and of a write that does not wait. A longer slice goes in pieces of this size. Less than 1 counts as
    /// 1. Default: 1 MiB.
    pub fn item_limit(mut self, bytes: usize) -> Self {
        self.settings.write_limits.item = bytes;
        self
    }

    /// Sets how many calls that may block forever may run at once: functions of
    /// [`spawn_blocking`](SelectorManager::spawn_blocking), reads of
    /// [`blocking_reader`](SelectorManager::blocking_reader), writes of
    /// [`blocking_writer`](SelectorManager::blocking_writer). Each has a thread of its own. One more call
    /// returns [`Exhausted`](crate::ErrorKind::Exhausted) at once and does not wait for the others, which
    /// may never end. The selector's own calls (look-ups, a handshake's roots, stale paths) have 16 other
    /// threads, and wait for none of these. Default: 512.
    pub fn blocking_max(mut self, calls: usize) -> Self {
        self.settings.blocking_max = calls;
        self
    }

    /// Sets how long a task may be in one poll before it is reported: a task that blocks, or computes
    /// without waiting, holds up everything else on its worker. `None` turns this off. Default: one second.
    ///
    /// It is reported while it blocks, so also if it never returns, and once for each task: on standard
    /// error, or to [`on_task_error`](Self::on_task_error) with the kind [`Other`](crate::ErrorKind::Other),
    /// on another thread. The message names the place at which the task was spawned. A
    /// stop of the whole process (`SIGSTOP`, suspend) is not taken for a task that blocks, nor is a machine
    /// that has no time for this process.
    ///
    /// Each worker has a thread for this, `forebay-watch`, which starts with the first task that is polled and
    /// ends with the selector. It makes four steps in this time while the worker is busy, and sleeps while the
    /// worker does. Less than 20 ms counts as 20 ms.
    pub fn blocked_after(mut self, limit: Option<Duration>) -> Self {
        self.settings.blocked_after = limit;
        self
    }

    /// Sets how many TLS handshakes of accepted connections may be in progress at once: begun by the peer,
    /// and not complete. If there are more, the one that began first fails with
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), so that peers which do not continue cannot keep
    /// out one that does. A peer that has sent nothing yet does not count, and neither do handshakes that
    /// this side began: those have only the configuration's
    /// [`handshake_timeout`](crate::TlsServerBuilder::handshake_timeout). If descriptors run out, the
    /// oldest handshake ends too, those of peers that have sent nothing first. Default: 256.
    #[cfg(feature = "tls")]
    pub fn handshakes_max(mut self, handshakes: usize) -> Self {
        self.settings.handshakes_max = handshakes;
        self
    }

    /// Sets a function that is called with each error that no call returns:
    ///
    /// - the error of a task that no handle awaits;
    /// - the error of a connection that was closed without an owner before its peer had everything: a limit
    ///   of closing was reached, or the connection failed after it was dropped. A connection that had failed
    ///   before is not reported, because a call may have returned that error; if it lost accepted bytes,
    ///   [`Stats::unacknowledged`](crate::Stats) counts it;
    /// - each pause of accepting, because the machine has no descriptors or memory left
    ///   ([`accept`](crate::ServerSocket::accept)).
    ///
    /// The function runs on the worker, with no lock held, and should return soon.
    ///
    /// Without it, errors are printed on standard error, or only counted. Both are in
    /// [`Stats::task_errors`](crate::Stats).
    ///
    /// | printed | only counted |
    /// |---|---|
    /// | an error of the program, of one of its limits, or of the system ([`Fault`](crate::Fault)) | [`Reset`](crate::ErrorKind::Reset), and the ends of peers: [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd), [`EndedWithoutNotify`](crate::ErrorKind::EndedWithoutNotify), [`EndedInHandshake`](crate::TlsFault::EndedInHandshake) |
    /// | a failed TLS handshake, on either side, and its timeout | a peer that goes away in the handshake |
    /// | [`Refused`](crate::ErrorKind::Refused), and a timeout of `connect` | any other timeout: of a read, a write, a close, or the program's own |
    /// | a bad line: [`InvalidUtf8`](crate::ErrorKind::InvalidUtf8), [`LineTooLong`](crate::ErrorKind::LineTooLong) | a close on this side: [`Closed`](crate::ErrorKind::Closed), [`Cancelled`](crate::ErrorKind::Cancelled) |
    ///
    /// One line per kind is printed in a second (of TLS, one per [`TlsFault`](crate::TlsFault)), by the
    /// selector's clock. Of the errors held back, the latest one is printed when the second is over, or when
    /// the selector closes; its line ends in "(and 12 more)" for the others.
    ///
    /// With the feature `tracing` and a subscriber of it, nothing is printed. Each error is an event, with or
    /// without this function, with the target `forebay` and the fields `kind`, `operation`, `address` and
    /// `error`: a warning (a peer's doing) or an error if it would be printed, and otherwise for debugging.
    #[doc(alias = "CoroutineExceptionHandler")]
    pub fn on_task_error(mut self, handler: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.settings.on_task_error = Some(Arc::new(handler));
        self
    }

    /// Sets what finds the addresses of names, for `bind`, `connect` and
    /// [`resolve`](SelectorManager::resolve). Default: the system's resolver (`getaddrinfo(3)`: the hosts file, then
    /// DNS), which is asked once for both families, on a thread.
    ///
    /// A resolver that holds a handle of this selector keeps it open. See [`Resolver`] for an example.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.settings.resolver = Some(Arc::new(resolver));
        self
    }

    /// Makes the selector. It starts no thread until there is something to do.
    ///
    /// # Errors
    ///
    /// [`Exhausted`](crate::ErrorKind::Exhausted) if there is no descriptor left for its poll.
    pub fn build(self) -> Result<SelectorManager> {
        SelectorManager::with(self.settings)
    }

    /// Makes the selector and runs `main` on it, as [`forebay::run`](crate::run) does.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build), and the error that `main` returns.
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
