//! The selector's handle for users.

use std::fmt;
use std::io::{Read, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_io::seam::{Cause, Outbox};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, Result};

use super::closing::{UntilClosing, WokenByClosing};
use super::flush_schedule::SelectorSchedule;
use super::group::TaskGroup;
use super::settings::Settings;
use super::shared::Shared;
use super::stats::Stats;
use super::users::Users;
#[cfg(unix)]
use crate::host::Interest;
use crate::task::{self, JoinHandle};
use crate::time::{self, Interval, Sleep};
use crate::worker::WorkerStats;

/// Runs tasks, watches sockets and keeps the time. It is made first, passed to builders, and closed last.
///
/// It is a value and never global: two selectors are independent of each other. Cloning it is cheap; when
/// the last clone is dropped, the selector closes in the background.
///
/// A selector has as many workers as the machine runs threads at once, or as
/// [`SelectorBuilder::workers`](crate::SelectorBuilder::workers) sets. Each is a loop that polls its tasks,
/// sends what they wrote, and watches sockets. The thread inside [`forebay::run`](crate::run) drives the first
/// one, and a thread inside [`block_on`](Self::block_on) one that no other thread drives. All others have a
/// thread of their own, which starts when there is something to do.
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
pub struct SelectorManager(Arc<Users>);

impl SelectorManager {
    /// Makes a selector with the default settings: among them up to as many workers as the machine runs
    /// threads at once, but at most 64 ([`workers`](crate::SelectorBuilder::workers)). It starts no thread
    /// until there is something to do, and no second one while there is one task.
    ///
    /// # Panics
    ///
    /// Panics if the process has no descriptors left for the selector's poll;
    /// [`builder().build()`](crate::SelectorBuilder::build) returns that as an error.
    pub fn new() -> Self {
        match Self::builder().build() {
            Ok(selector) => selector,
            Err(error) => panic!("{error}; SelectorManager::builder().build() returns this"),
        }
    }

    pub(super) fn with(settings: Settings) -> Result<Self> {
        Ok(Self(Users::first_of(Shared::new(settings)?)))
    }

    /// Returns one more clone, from the selector itself.
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self(Users::of(shared))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.0.shared()
    }

    /// Starts a task that returns a [`Result<()>`](crate::Result); for a task that returns anything else
    /// there is [`spawn_value`](Self::spawn_value). Dropping the handle detaches the task; an error that is
    /// not awaited is reported ([`SelectorBuilder::on_task_error`](crate::SelectorBuilder::on_task_error)).
    ///
    /// The task runs on the least busy of the selector's workers, and stays there: with more than one
    /// ([`SelectorBuilder::workers`](crate::SelectorBuilder::workers)), tasks run at the same time. A
    /// panic ends only this task: its connections are reset, and all others continue. A task that blocks, or
    /// computes for long without waiting, holds up everything else on its worker, and is reported
    /// ([`SelectorBuilder::blocked_after`](crate::SelectorBuilder::blocked_after)); see
    /// [`spawn_blocking`](Self::spawn_blocking). Once the selector is closed no task is started, and the
    /// handle returns `Closed`.
    ///
    /// A task that leaves by `?` drops its writer, which finishes in the background: its peer sees a clean
    /// end behind half a reply. If half a reply could pass for a whole one (a relay, a download without a
    /// length), call [`abort_on_drop`](ByteWriteChannel::abort_on_drop) as soon as the channel is open and
    /// [`finish`](ByteWriteChannel::finish) when the reply is complete. If a reply has a length or a
    /// closing line, the peer notices by itself.
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
    /// A relay whose client can tell that the rest is missing:
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
    #[track_caller]
    pub fn spawn(&self, task: impl Future<Output = Result<()>> + Send + 'static) -> JoinHandle<()> {
        self.shared().spawn(true, task)
    }

    /// Starts a task on the worker of the calling thread, so that what it shares with its caller stays in
    /// one processor's cache: a handler's helper. On a thread that is no worker of this selector, the first
    /// worker takes it. Otherwise as [`spawn`](Self::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// let selector = forebay::SelectorManager::builder().workers(4).build()?;
    /// selector.block_on(async {
    ///     let here = std::thread::current().id();
    ///     let helper = selector.spawn_here(async move {
    ///         assert_eq!(std::thread::current().id(), here);
    ///         Ok(())
    ///     });
    ///     helper.await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[track_caller]
    pub fn spawn_here(
        &self,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) -> JoinHandle<()> {
        self.shared().spawn_here(task)
    }

    /// Starts a task that returns a value of any type, which awaiting the handle returns. Nothing is
    /// reported if it is not awaited; for a task that can fail without being awaited there is
    /// [`spawn`](Self::spawn).
    #[doc(alias = "async")]
    #[track_caller]
    pub fn spawn_value<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.shared().spawn_value(task)
    }

    /// Makes a group of tasks, which are asked to stop and waited for together. It has no tasks yet.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let sessions = selector.group();
    ///     sessions.spawn(async {
    ///         forebay::stop_requested().await;
    ///         Ok(())
    ///     });
    ///     sessions.stop();
    ///     assert_eq!(sessions.join_within(std::time::Duration::from_secs(10)).await, 0);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "coroutineScope")]
    #[doc(alias = "supervisorScope")]
    pub fn group(&self) -> TaskGroup {
        TaskGroup::new(Arc::clone(self.shared()))
    }

    /// Runs a blocking function on a thread of its own until it returns. The handle returns its value; a
    /// panic in it is an error with `is_panicked()`.
    ///
    /// It begins at once, whatever the workers do: this call gives it to its thread, which is started if no
    /// idle one is left. Its value is brought by a task: on the worker of the calling thread or, on a thread
    /// that is no worker of this selector, on the least busy one. While another task blocks that worker, the
    /// handle waits. A function that does nothing costs about 20 microseconds, for two wake-ups from thread
    /// to thread.
    ///
    /// Aborting the handle, or closing the selector, does not interrupt a function that has begun: it
    /// continues, and its value is dropped. Its thread never keeps the process alive.
    ///
    /// A function may block forever, so no function waits for the end of others. When as many are running
    /// as [`SelectorBuilder::blocking_max`](crate::SelectorBuilder::blocking_max) allows (512), the handle
    /// returns [`Exhausted`](crate::ErrorKind::Exhausted) at once. With a large number of functions, await
    /// some before starting more. If they compute rather than wait, start no more at once than there are
    /// processors: their threads compete with the selector's workers.
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
    #[track_caller]
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.shared().spawn_blocking(function)
    }

    /// Makes a channel that reads from `reader`, such as a file or standard input, on a thread.
    ///
    /// It reads only when the channel is empty and a call waits for bytes, up to 64 KiB at a time. A read
    /// that has begun cannot be interrupted: it occupies its thread until it returns, and the bytes it
    /// reads after the channel is dropped are lost. It never keeps the process alive.
    ///
    /// If as many calls block as [`SelectorBuilder::blocking_max`](crate::SelectorBuilder::blocking_max)
    /// allows (512), a read returns [`Exhausted`](crate::ErrorKind::Exhausted) at once; the next read tries
    /// again.
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
            .with_limits(self.shared().sockets().read_limits)
    }

    /// Makes a channel that writes to `writer`, such as a file or standard output, on a thread, and flushes
    /// it after each batch.
    ///
    /// A write that has begun cannot be interrupted. [`finish`](ByteWriteChannel::finish) waits until
    /// everything is written and flushed, and drops the writer.
    ///
    /// If as many calls block as [`SelectorBuilder::blocking_max`](crate::SelectorBuilder::blocking_max)
    /// allows (512), a batch gets no thread, and the channel fails: every later call, and a flush in
    /// progress, returns [`Exhausted`](crate::ErrorKind::Exhausted).
    pub fn blocking_writer(&self, writer: impl Write + Send + 'static) -> ByteWriteChannel {
        let turns = Arc::new(SelectorSchedule::new(self.shared()));
        let known = Arc::clone(&turns);
        let drain = task::blocking_drain(self.shared().user_calls(), writer);
        let drain = WokenByClosing::new(self.shared().closing(), drain);
        let outbox = Outbox::new(Box::new(drain), Cause::default(), turns);
        known.close_with_selector(&outbox);
        ByteWriteChannel::new(outbox, None).with_limits(self.shared().sockets().write_limits)
    }

    /// Waits until a descriptor is ready, and returns the conditions that hold. Descriptors of any kind can
    /// be awaited that the system can report on: pipes, terminals, devices, `timerfd`, `eventfd`, `pidfd`,
    /// `signalfd`, `inotify`, and the sockets and polls of other libraries.
    ///
    /// It asks about the present state, not about changes (level semantics): while a condition holds, every
    /// call returns at once, also if the last one has returned it and nothing has been read since; and while
    /// none does, every call waits. A hang-up or an error counts as each condition that was asked for,
    /// because a read or a write then returns at once. Neither is final: a FIFO that a writer opens again,
    /// or a terminal that is opened again, can be awaited again.
    ///
    /// The descriptor itself is not changed: a read that blocks may still do so, if another task or process
    /// was quicker. So make it non-blocking, and read until there is no more
    /// ([`WouldBlock`](std::io::ErrorKind::WouldBlock)) before the next wait. Any number of tasks may wait
    /// for it, and other libraries may watch it too; every wait is ended.
    ///
    /// A wait costs a descriptor and about ten microseconds, a call that need not wait about one: sockets,
    /// which are registered once, are much cheaper. Linux allows about 500 waits for one descriptor at once,
    /// and about 100 inside tokio (`findings/linux-epoll-500-paths.sh` shows it).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput): a regular file or a directory, for which there is
    /// [`blocking_reader`](Self::blocking_reader); [`Closed`](crate::ErrorKind::Closed): the selector is
    /// being closed; [`Exhausted`](crate::ErrorKind::Exhausted): no descriptor is left, or there are too
    /// many waits for this one; [`System`](crate::ErrorKind::System): any other error of the system.
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind. What was ready stays so.
    ///
    /// # Platform
    ///
    /// Unix. Not every system can wait for every device.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write, pipe};
    ///
    /// use forebay::Interest;
    ///
    /// forebay::run(async |selector| {
    ///     let (mut reader, mut writer) = pipe()?;
    ///     let writing = selector.spawn_blocking(move || writer.write_all(b"hello"));
    ///     let ready = selector.ready(&reader, Interest::READABLE).await?;
    ///     assert!(ready.is_readable());
    ///     let mut text = [0; 5];
    ///     reader.read_exact(&mut text)?;
    ///     assert_eq!(&text, b"hello");
    ///     writing.await??;
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[cfg(unix)]
    pub async fn ready(&self, fd: impl AsFd, interest: Interest) -> Result<Interest> {
        self.shared().ready(fd.as_fd(), interest).await
    }

    /// Waits for this long by the selector's clock.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped sleep removes its timer.
    #[doc(alias = "delay")]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.shared().sleep(duration)
    }

    /// Runs a future for at most `duration`.
    ///
    /// # Errors
    ///
    /// The future's own; or [`TimedOut`](crate::ErrorKind::TimedOut), naming the duration. The future is
    /// polled first, so an output that is ready at the same moment counts. The sockets are polled before
    /// the time is up, so bytes that have arrived by then count, even if this process was held up all that
    /// time.
    ///
    /// # Cancel safety
    ///
    /// Releases its timer; besides, the future's own guarantee applies.
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
        time::timeout(self.shared().timers(), duration, future).await
    }

    /// Runs any future for at most `duration`; returns `None` if the time is up first.
    ///
    /// # Cancel safety
    ///
    /// As [`timeout`](Self::timeout).
    #[doc(alias = "withTimeoutOrNull")]
    pub async fn within<F: Future>(&self, duration: Duration, future: F) -> Option<F::Output> {
        time::within(self.shared().timers(), duration, future).await
    }

    /// Makes regular ticks. The first one comes after one period; a missed tick is delayed.
    #[doc(alias = "ticker")]
    pub fn interval(&self, period: Duration) -> Interval {
        Interval::new(self.shared().timers(), period)
    }

    /// Returns the time of the selector's clock.
    pub fn now(&self) -> Instant {
        self.shared().timers().now()
    }

    /// Returns what the selector has done and holds.
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Returns what each of the selector's workers has done and holds: those that have started, in the order
    /// of their numbers, which need not be consecutive.
    ///
    /// # Examples
    ///
    /// ```
    /// let selector = forebay::SelectorManager::builder().workers(2).build()?;
    /// selector.block_on(async { forebay::yield_now().await });
    /// assert!(selector.worker_stats()[0].turns > 0);
    /// # forebay::Result::Ok(())
    /// ```
    pub fn worker_stats(&self) -> Vec<WorkerStats> {
        self.shared().worker_stats()
    }

    /// Runs a future on this thread, which drives one of the selector's workers meanwhile, and leaves the
    /// selector open. What the future has written is sent before this returns.
    ///
    /// If other threads drive all workers that have started, the future runs beside them: everything works,
    /// but what it writes is sent in each call and not once per turn.
    ///
    /// # Panics
    ///
    /// Panics inside `run`, `block_on` or a task, because the thread would wait for itself.
    #[doc(alias = "runBlocking")]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.shared().block_on(future)
    }

    /// Runs `main` on this thread and closes the selector before it returns.
    pub(crate) fn run<T, E: From<Error>>(
        self,
        main: impl AsyncFnOnce(Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let shared = Arc::clone(self.shared());
        shared.block_on(async {
            let result = main(self.clone()).await;
            self.close().await;
            result
        })
    }

    /// Closes the selector. Idempotent.
    ///
    /// 1. It refuses new work, closes its listeners, and makes every wait to look up a name, to connect, to
    ///    receive or to read from a [`blocking_reader`](Self::blocking_reader) return
    ///    [`Closed`](crate::ErrorKind::Closed).
    /// 2. It waits for its tasks until the drain timeout, and cancels the remaining ones then. Until they
    ///    have ended, what they write is accepted and sent.
    /// 3. It closes every connection and every [`blocking_writer`](Self::blocking_writer) that is still
    ///    open, with or without an owner: what was accepted is sent, and then the end mark, within the
    ///    limits of [`Socket::close`](crate::Socket::close). A later write returns
    ///    [`Closed`](crate::ErrorKind::Closed).
    /// 4. It ends the threads of its workers.
    ///
    /// If it is called from a task of this selector, it waits for all the others.
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
