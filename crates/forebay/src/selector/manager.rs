//! The selector, as users hold it.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_io::seam::{Cause, Outbox};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, Result};

use super::closing::{UntilClosing, WokenByClosing};
use super::flush_schedule::SelectorTurns;
use super::settings::Settings;
use super::shared::Shared;
use super::stats::Stats;
use crate::task::{self, JoinHandle};
use crate::time::{self, Interval, Sleep};

/// Runs tasks, watches sockets and keeps the time: made first, given to builders, closed last.
///
/// A value and never a global: two selectors know nothing of each other. Cloning it is cheap; when
/// the last clone is dropped the selector closes in the background.
///
/// In this release a selector has one worker. It is driven by the thread inside
/// [`forebay::run`](crate::run) or [`block_on`](Self::block_on), and else by a thread of its own
/// that starts when there is something to do.
///
/// # Examples
///
/// ```
/// use forebay::SelectorManager;
///
/// let selector = SelectorManager::new();
/// let sum = selector.block_on(async {
///     let left = selector.spawn_value(async { 20 });
///     let right = selector.spawn_value(async { 22 });
///     forebay::Result::Ok(left.await? + right.await?)
/// })?;
/// assert_eq!(sum, 42);
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct SelectorManager(Arc<Owner>);

/// Shared by all clones; dropping the last one closes the selector.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.close_unattended();
    }
}

impl SelectorManager {
    /// Makes a selector with the default settings. It starts no thread before there is something to
    /// do.
    ///
    /// # Panics
    ///
    /// When the process has no descriptors left for the selector's poll;
    /// [`builder().build()`](crate::SelectorBuilder::build) gives that as an error.
    pub fn new() -> Self {
        match Self::builder().build() {
            Ok(selector) => selector,
            Err(error) => panic!("{error}; SelectorManager::builder().build() returns this"),
        }
    }

    pub(super) fn with(settings: Settings) -> Result<Self> {
        Ok(Self(Arc::new(Owner { shared: Shared::new(settings)? })))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Starts a task that ends in a result. Dropping the handle detaches it; an error that nobody
    /// awaits is reported ([`SelectorBuilder::on_task_error`]).
    ///
    /// The task runs on the selector's worker and stays there. A panic in it ends it alone: its
    /// connections are reset, and all others go on. A task that blocks, or computes for long without
    /// waiting, holds up everything else of its selector, and nothing of other selectors; see
    /// [`spawn_blocking`](Self::spawn_blocking). Once the selector is closed nothing is started, and
    /// the handle gives `Closed`.
    ///
    /// A task that leaves by `?` drops its writer, which finishes in the background: its peer sees a
    /// clean end behind half a reply. Where that would pass for a whole one (a relay, a download
    /// without a length), call [`abort_on_drop`](ByteWriteChannel::abort_on_drop) as soon as the
    /// channel is open and [`finish`](ByteWriteChannel::finish) when the reply is complete. Where a
    /// reply tells its length or has a closing line, the peer notices by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let task = selector.spawn(async { Err(forebay::Error::other("no")) });
    ///     assert_eq!(task.await.map_err(|error| error.to_string()), Err("no".to_owned()));
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    ///
    /// A relay whose client is told that the rest is missing:
    ///
    /// ```
    /// use forebay::{Connection, Error, Result};
    ///
    /// async fn relay(mut backend: Connection, mut client: Connection) -> Result<()> {
    ///     client.output.abort_on_drop();
    ///     backend.input.copy_to(&mut client.output).await?; // leaving here resets
    ///     client.output.finish().await
    /// }
    ///
    /// forebay::run(async |selector| {
    ///     let (mut server, backend) = selector.duplex(4096);
    ///     let (client, mut user) = selector.duplex(4096);
    ///     selector.spawn(relay(backend, client)).detach();
    ///     server.output.write_str("half a rep").await?;
    ///     assert_eq!(user.input.read_packet(10).await?.len(), 10);
    ///     server.socket.abort();
    ///     assert!(user.input.read_line().await.is_err_and(|error| error.is_reset()));
    ///     Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "launch")]
    pub fn spawn(&self, task: impl Future<Output = Result<()>> + Send + 'static) -> JoinHandle<()> {
        self.shared().spawn(true, task)
    }

    /// Starts a task that ends in a value. Nothing of it is reported when nobody awaits it.
    #[doc(alias = "async")]
    pub fn spawn_value<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.shared().spawn_value(task)
    }

    /// Runs a function that blocks, on a thread of its own until it returns. The handle gives its
    /// value; a panic in it is an error with `is_panicked()`.
    ///
    /// Aborting the handle, or closing the selector, does not interrupt a function that has begun;
    /// it goes on, and its value is dropped. Such a thread never keeps the process alive.
    ///
    /// A function may block forever, so none waits for the end of others: with as many under way as
    /// [`SelectorBuilder::blocking_max`] allows (512), the handle gives
    /// [`Exhausted`](crate::ErrorKind::Exhausted) at once. Await some of a large number of functions
    /// before starting the next ones. Where they compute rather than wait, start no more at once than
    /// there are processors: their threads compete with the selector's worker.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let hosts = selector.spawn_blocking(|| std::fs::read_to_string("/etc/hosts"));
    ///     println!("{}", hosts.await??);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "Dispatchers.IO")]
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match self.shared().check_open("spawn_blocking") {
            Ok(()) => {
                let value =
                    task::run_blocking(self.shared().user_calls(), "spawn_blocking", function);
                self.shared().spawn(false, value)
            }
            Err(error) => task::refused(error),
        }
    }

    /// Makes a channel that is fed by reading from `reader` on a thread: a file, standard input.
    ///
    /// It reads only when the channel is empty and a call waits for bytes, up to 64 KiB at a time. A
    /// read that has begun cannot be interrupted: it occupies its thread until it returns, and what
    /// it brings after the channel is dropped is lost. It never keeps the process alive.
    ///
    /// While as many calls block as [`SelectorBuilder::blocking_max`] allows (512), a read is
    /// [`Exhausted`](crate::ErrorKind::Exhausted) at once; the next one tries again.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let mut input = selector.blocking_reader(&b"from a file\n"[..]);
    ///     assert_eq!(input.read_line().await?.as_deref(), Some("from a file"));
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn blocking_reader(&self, reader: impl Read + Send + 'static) -> ByteReadChannel {
        let source = task::blocking_source(self.shared().user_calls(), reader);
        let source = UntilClosing::new(self.shared().closing(), task::READER, source);
        ByteReadChannel::from_source(Box::new(source))
    }

    /// Makes a channel whose bytes are written to `writer` on a thread, and flushed after each batch:
    /// a file, standard output.
    ///
    /// A write that has begun cannot be interrupted. [`finish`](ByteWriteChannel::finish) waits
    /// until everything is written and flushed, and drops the writer.
    ///
    /// While as many calls block as [`SelectorBuilder::blocking_max`] allows (512), a batch finds no
    /// thread, and the channel fails: every later call, and a flush under way, is
    /// [`Exhausted`](crate::ErrorKind::Exhausted).
    pub fn blocking_writer(&self, writer: impl Write + Send + 'static) -> ByteWriteChannel {
        let turns = Arc::new(SelectorTurns::new(self.shared()));
        let known = Arc::clone(&turns);
        let drain = task::blocking_drain(self.shared().user_calls(), writer);
        let drain = WokenByClosing::new(self.shared().closing(), drain);
        let outbox = Outbox::new(Box::new(drain), Cause::default(), turns);
        known.close_with_selector(&outbox);
        ByteWriteChannel::new(outbox, None)
    }

    /// Waits for this long by the selector's clock.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped sleep takes its timer with it.
    #[doc(alias = "delay")]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.shared().sleep(duration)
    }

    /// Runs a future, but no longer than `duration`.
    ///
    /// # Errors
    ///
    /// The future's own; or [`TimedOut`](crate::ErrorKind::TimedOut), naming the duration. The
    /// future is asked first, so one that is ready in the same moment counts; and before the time is
    /// up the sockets are looked at, so bytes that have arrived by then count, even if this process
    /// was held up all that time.
    ///
    /// # Cancel safety
    ///
    /// Releases its timer; for the rest, what the future promises when it is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// forebay::run(async |selector| {
    ///     let (mut input, output) = forebay::pipe(16);
    ///     let late = selector.timeout(Duration::from_millis(1), input.read_u8()).await;
    ///     assert!(late.is_err_and(|error| error.is_timeout()));
    ///     drop(output);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "withTimeout")]
    pub async fn timeout<T>(
        &self,
        duration: Duration,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        time::timeout(Arc::clone(self.shared().timers()), duration, future).await
    }

    /// Runs any future, but no longer than `duration`; `None` when the time was up first.
    ///
    /// # Cancel safety
    ///
    /// As [`timeout`](Self::timeout).
    #[doc(alias = "withTimeoutOrNull")]
    pub async fn within<F: Future>(&self, duration: Duration, future: F) -> Option<F::Output> {
        time::within(Arc::clone(self.shared().timers()), duration, future).await
    }

    /// A regular beat. The first tick comes after one period; a missed one is delayed.
    #[doc(alias = "ticker")]
    pub fn interval(&self, period: Duration) -> Interval {
        Interval::new(Arc::clone(self.shared().timers()), period)
    }

    /// The time by the selector's clock.
    pub fn now(&self) -> Instant {
        self.shared().timers().now()
    }

    /// What the selector has done and holds.
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Runs a future on this thread, which is the selector's worker meanwhile, and leaves the
    /// selector open. What the future wrote is sent before this returns.
    ///
    /// Where the worker is driven by another thread already, the future runs beside it: everything
    /// works, but what it writes is sent call by call and not turn by turn.
    ///
    /// # Panics
    ///
    /// Inside `run`, `block_on` or a task: the thread would wait for itself.
    #[doc(alias = "runBlocking")]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.shared().worker().block_on(future)
    }

    /// Runs `main` on this thread and closes the selector before it returns.
    pub(crate) fn run<T, E: From<Error>>(
        self,
        main: impl AsyncFnOnce(Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let shared = Arc::clone(self.shared());
        shared.worker().block_on(async {
            let result = main(self.clone()).await;
            self.close().await;
            result
        })
    }

    /// Closes the selector. Idempotent.
    ///
    /// 1. It refuses new work, closes its listeners, and answers every wait to look up a name, to
    ///    connect, to receive or to read from a [`blocking_reader`](Self::blocking_reader) with
    ///    [`Closed`](crate::ErrorKind::Closed).
    /// 2. It waits for its tasks until the drain timeout, and cancels those that are left then. Until
    ///    they have ended, what they write is accepted and sent.
    /// 3. It closes every connection and every [`blocking_writer`](Self::blocking_writer) that is still
    ///    open, whether it has an owner or not: what was accepted is sent, and then the end mark, within
    ///    the limits that [`Socket::close`](crate::Socket::close) has. A write behind that is
    ///    [`Closed`](crate::ErrorKind::Closed).
    /// 4. It ends the worker's thread.
    ///
    /// From a task of this selector it waits for all the others.
    ///
    /// # Cancel safety
    ///
    /// Resumes: from the first poll on the selector is closing; call it again to wait for the end.
    pub async fn close(&self) {
        self.shared().begin_close();
        self.shared().finish_close().await;
    }
}

impl Default for SelectorManager {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SelectorManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectorManager").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
