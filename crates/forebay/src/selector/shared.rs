//! The selector, as its tasks and sockets see it.

use std::any::Any;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use forebay_io::seam::{Outbox, WakeList, unwinding};
use forebay_io::{Error, Result};

use super::closing::{Closing, closed};
use super::remaining::Remaining;
use super::settings::Settings;
#[cfg(all(feature = "signal", unix))]
use super::signals::{SignalKind, Signals, WatchedSignals};
use super::sockets::Sockets;
use super::stats::Stats;
use super::traffic::OtherThreads;
use crate::names::LookUps;
use crate::task::{self, BlockingPool, JoinHandle, Reporter, TaskKind, Tasks};
use crate::time::{Alarm, Limits, Sleep, Timers, system_now, within};
use crate::worker::{self, Locks, Worker, WorkerParts, WorkerStats, Workers};

/// The state of a selector. Tasks and sockets hold this; users hold a
/// [`SelectorManager`](crate::SelectorManager), whose last clone closes it.
pub(crate) struct Shared {
    workers: Workers,
    /// Those that are not made yet included.
    worker_count: u16,
    tasks: Arc<Tasks>,
    reporter: Arc<Reporter>,
    own_calls: Arc<BlockingPool>,
    user_calls: Arc<BlockingPool>,
    look_ups: LookUps,
    sockets: Sockets,
    other_threads: Arc<OtherThreads>,
    closing: Arc<Closing>,
    remaining: Remaining,
    #[cfg(all(feature = "signal", unix))]
    signals: WatchedSignals,
    settings: Settings,
    /// The users, while there are any; of any type, because they hold this.
    users: OnceLock<Weak<dyn Any + Send + Sync>>,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Result<Arc<Self>> {
        let worker_count = settings.worker_count();
        let tasks = Arc::new(Tasks::for_workers(worker_count));
        let clock = settings.clock.clone();
        let handler = settings.on_task_error.clone();
        let reporter = Arc::new(Reporter::new(handler, move || clock.now()));
        let parts = WorkerParts {
            clock: settings.clock.clone(),
            spin: settings.spin,
            spin_limit: (worker_count > 1).then(Arc::default),
            tasks: Arc::clone(&tasks),
            reporter: Arc::clone(&reporter),
            blocked_after: settings.blocked_after,
        };
        let workers = Workers::new(worker_count, parts)
            .map_err(|error| Error::from_io("start a selector", error))?;
        let timers = Arc::clone(workers.made(0).timers());
        reporter.set_timer(move |at, waker| Alarm::set(Arc::clone(&timers), at, waker));
        let own_calls = Arc::new(BlockingPool::for_own_calls());
        let look_ups = LookUps::new(Arc::clone(&own_calls), settings.resolver.clone());
        let shared = Arc::new(Self {
            workers,
            worker_count,
            tasks,
            reporter,
            own_calls,
            user_calls: Arc::new(BlockingPool::for_user_calls(settings.blocking_max)),
            look_ups,
            sockets: Sockets::new(&settings),
            other_threads: Arc::default(),
            closing: Arc::default(),
            remaining: Remaining::default(),
            #[cfg(all(feature = "signal", unix))]
            signals: WatchedSignals::default(),
            settings,
            users: OnceLock::new(),
        });
        let owner: Weak<Self> = Arc::downgrade(&shared);
        shared.workers.set_owner(owner);
        Ok(shared)
    }

    /// Sets the users of this selector. Called once.
    pub(super) fn set_users(&self, users: Weak<dyn Any + Send + Sync>) {
        self.users.get_or_init(|| users);
    }

    /// Returns the users of this selector; `None` if the last one has gone.
    pub(super) fn users(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.users.get()?.upgrade()
    }

    /// Returns the selector of the current thread, if it belongs to one.
    pub(crate) fn of_this_thread() -> Option<Arc<Self>> {
        Arc::downcast(worker::owner()? as Arc<_>).ok()
    }

    /// Returns the selector of the current thread.
    ///
    /// # Panics
    ///
    /// Panics on a thread that is neither a worker nor inside `run` or `block_on`.
    pub(crate) fn current(function: &str) -> Arc<Self> {
        Self::of_this_thread().unwrap_or_else(|| {
            panic!(
                "forebay::{function}() works on a thread of a selector: inside forebay::run, \
                 SelectorManager::block_on or a task; elsewhere call {function}() on a \
                 SelectorManager"
            )
        })
    }

    /// Returns the worker for the waits of this thread: its own; the guest of its runtime, if it is inside
    /// one; the first worker otherwise.
    pub(crate) fn here(&self) -> Arc<Worker> {
        self.workers.guest_here().unwrap_or_else(|| Arc::clone(self.own_here()))
    }

    /// Returns the worker of this thread or, on a thread that is none of this selector's, the first one: no
    /// foreign runtime drives it.
    fn own_here(&self) -> &Arc<Worker> {
        self.workers.made(self.index_here())
    }

    fn index_here(&self) -> u16 {
        match self.worker_count {
            1 => 0,
            _ => worker::index_for(self).unwrap_or(0),
        }
    }

    /// Returns the live tasks.
    pub(crate) fn tasks(&self) -> &Arc<Tasks> {
        &self.tasks
    }

    /// Returns the timers of the worker that is [here](Self::here).
    pub(crate) fn timers(&self) -> Arc<Timers> {
        Arc::clone(self.here().timers())
    }

    /// Flushes the outbox at the end of this thread's turn, soon inside a foreign runtime, and now on any
    /// other thread.
    pub(crate) fn defer(&self, outbox: &Arc<Outbox>, locks: Locks) {
        if !worker::defer(outbox) && !self.workers.defer_to_guest(outbox, locks) {
            outbox.advance();
        }
    }

    /// Flushes a deferred outbox when the poll of this thread's task ends; now on a thread that is no worker's,
    /// where the end of a poll is not known.
    pub(crate) fn hurry(outbox: &Arc<Outbox>) {
        if !worker::hurry(outbox) {
            outbox.advance();
        }
    }

    pub(crate) fn reporter(&self) -> &Arc<Reporter> {
        &self.reporter
    }

    /// Returns the threads for the selector's own calls (look-ups, files and paths), which end by
    /// themselves.
    #[cfg(any(unix, feature = "tls", test))]
    pub(crate) fn own_calls(&self) -> &BlockingPool {
        &self.own_calls
    }

    /// Returns the look-ups of names.
    pub(crate) fn look_ups(&self) -> &LookUps {
        &self.look_ups
    }

    /// Returns the threads for calls that users provide, which may block forever.
    pub(super) fn user_calls(&self) -> &Arc<BlockingPool> {
        &self.user_calls
    }

    /// Returns the state that all sockets share.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Returns the phase of the selector's end.
    pub(crate) fn closing(&self) -> &Arc<Closing> {
        &self.closing
    }

    /// Returns the objects that are closed with the selector.
    pub(crate) fn remaining(&self) -> &Remaining {
        &self.remaining
    }

    /// Returns the limits for closing a connection without limits of its own.
    pub(crate) fn drain(&self) -> Limits {
        self.settings.drain_of(None, None)
    }

    /// Returns the limits for closing a connection with these limits of its own.
    pub(crate) fn drain_of(&self, silence: Option<Duration>, total: Option<Duration>) -> Limits {
        self.settings.drain_of(silence, total)
    }

    pub(crate) fn drain_limit(&self) -> u64 {
        self.settings.drain_limit
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.has_begun()
    }

    /// Fails once the selector is being closed.
    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        self.closing.check_open(operation)
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.timers(), duration)
    }

    /// Returns the signals of this kind from now on. The first worker watches them, because it is there for
    /// as long as the selector.
    #[cfg(all(feature = "signal", unix))]
    pub(crate) fn signal(&self, kind: SignalKind) -> Result<Signals> {
        self.signals.listen(kind, self.workers.made(0))
    }

    /// Waits for the next interrupt.
    #[cfg(all(feature = "signal", unix))]
    pub(crate) fn ctrl_c(&self) -> impl Future<Output = Result<()>> + Send + Sync + use<> {
        self.signals.interrupt(self.workers.made(0))
    }

    /// Starts a user's task, unless the selector is being closed.
    #[track_caller]
    pub(crate) fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        report: bool,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> JoinHandle<T> {
        self.start(TaskKind::Users, self.least_busy(), report, future, |result| result)
            .unwrap_or_else(|| task::refused(closed("spawn")))
    }

    /// Starts a user's task as one of a group's, unless the selector is being closed.
    #[track_caller]
    pub(super) fn spawn_in(
        self: &Arc<Self>,
        group: &Arc<Tasks>,
        future: impl Future<Output = Result<()>> + Send + 'static,
    ) -> JoinHandle<()> {
        let worker = self.least_busy();
        let Some(mut listing) = self.tasks.list(TaskKind::Users, worker.index()) else {
            return task::refused(closed("spawn"));
        };
        listing.join_group(group);
        worker.start(listing, true, future, |result| result)
    }

    /// Starts a user's task on this thread's worker, unless the selector is being closed.
    #[track_caller]
    pub(crate) fn spawn_here(
        self: &Arc<Self>,
        future: impl Future<Output = Result<()>> + Send + 'static,
    ) -> JoinHandle<()> {
        self.start(TaskKind::Users, self.own_here(), true, future, |result| result)
            .unwrap_or_else(|| task::refused(closed("spawn_here")))
    }

    /// Starts a user's task that returns a value, unless the selector is being closed.
    #[track_caller]
    pub(crate) fn spawn_value<T: Send + 'static>(
        self: &Arc<Self>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.start(TaskKind::Users, self.least_busy(), false, future, Ok)
            .unwrap_or_else(|| task::refused(closed("spawn_value")))
    }

    /// Runs a user's function on a thread, unless the selector is being closed. The call gives it to the thread;
    /// a task only brings its value, to the worker of the caller. That one is free when it awaits the value there:
    /// the least busy one may be blocked, and would be woken in vain.
    #[track_caller]
    pub(crate) fn spawn_blocking<T: Send + 'static>(
        self: &Arc<Self>,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        const CALL: &str = "spawn_blocking";
        if let Err(error) = self.check_open(CALL) {
            return task::refused(error);
        }
        let value = task::run_blocking(&self.user_calls, CALL, function);
        let of_caller = worker::index_for(&**self).map(|index| self.workers.made(index));
        let worker = of_caller.unwrap_or_else(|| self.least_busy());
        self.start(TaskKind::Users, worker, false, value, |result| result)
            .unwrap_or_else(|| task::refused(closed(CALL)))
    }

    /// Starts a task of the selector's own, which ends by itself within a limit; also while the selector
    /// closes. It runs on the worker that probably watches the sockets that it is about.
    /// Returns `false` if nothing runs here any more.
    #[track_caller]
    pub(crate) fn spawn_own(
        self: &Arc<Self>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        let task = self.start(TaskKind::Own, &self.here(), false, future, Ok);
        task.map(JoinHandle::detach).is_some()
    }

    /// Starts a task on a worker. Returns `None` if the selector refuses it.
    #[track_caller]
    fn start<T: Send + 'static, F: Future<Output: Send> + Send + 'static>(
        &self,
        kind: TaskKind,
        worker: &Arc<Worker>,
        report: bool,
        future: F,
        into_result: impl Fn(F::Output) -> Result<T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        let listing = self.tasks.list(kind, worker.index())?;
        Some(worker.start(listing, report, future, into_result))
    }

    /// Chooses the worker for a new task: one that no task holds up, if there is one, or at least one that is not
    /// blocked; among those, one with the fewest tasks; among those, this thread's.
    fn least_busy(&self) -> &Arc<Worker> {
        let here = self.index_here();
        let count = self.worker_count;
        if count == 1 {
            return self.workers.made(here);
        }
        let now = system_now();
        let fewest = |is_possible: &dyn Fn(u16) -> bool| {
            let possible = (0..count).filter(|index| is_possible(*index));
            let chosen = self.tasks.with_loads(|loads| {
                possible.min_by_key(|index| {
                    let tasks = loads.get(usize::from(*index)).copied().unwrap_or(0);
                    (self.workers.delay(*index, now), tasks, *index != here)
                })
            });
            chosen.unwrap_or(here)
        };
        // If no worker can be made, which is never an error, those that there are share the tasks.
        self.workers
            .get_or_make(fewest(&|_| true))
            .unwrap_or_else(|| self.workers.made(fewest(&|index| self.workers.is_made(index))))
    }

    /// Runs a future on this thread; see [`worker::block_on`].
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.workers.block_on(future)
    }

    /// Refuses new work and makes every wait return `Closed`. Returns `true` the first time.
    pub(super) fn begin_close(self: &Arc<Self>) -> bool {
        let first = self.closing.begin();
        if first {
            self.tasks.refuse_users();
            self.workers.make_no_more();
            self.tasks.request_stop();
            self.wake_all_waits();
            #[cfg(all(feature = "signal", unix))]
            self.signals.close();
            // A listener that pauses does not wait for readiness.
            let mut after = WakeList::new();
            self.sockets.freed.note(&mut after);
            after.run();
        }
        first
    }

    fn wake_all_waits(&self) {
        self.workers.for_all(Worker::wake_all_waits);
        self.closing.wake_all_waits();
    }

    /// Waits for users' tasks and cancels the remaining ones at the deadline. Then closes what is still
    /// open, as if its owner had dropped it, waits until that has ended by its own limits, and stops the
    /// worker. If it is called from a task of this selector, it waits for all the others, except for those
    /// that wait here too.
    pub(super) async fn finish_close(self: &Arc<Self>) {
        self.finish_close_of(true).await;
    }

    /// Closes as [`finish_close`](Self::finish_close) does. If a panic is unwinding the owners, open
    /// connections are left to them: each owner resets its connection, and the selector must not end half a
    /// message in order before that.
    async fn finish_close_of(self: &Arc<Self>, closes_remaining: bool) {
        let closer = self.tasks.closer();
        let ended = closer.users_ended();
        if within(self.timers(), self.drain().silence, ended).await.is_none() {
            closer.abort_users();
            closer.users_ended().await;
        }
        if closes_remaining {
            self.remaining.close_all();
        }
        closer.others_ended().await;
        self.stop();
    }

    /// Closes the selector after its last user has gone, without a task that waits for it.
    pub(super) fn close_in_background(self: &Arc<Self>) {
        if !self.begin_close() {
            return;
        }
        let closes_remaining = !unwinding();
        let is_idle = !closes_remaining || self.remaining.is_empty();
        if is_idle && self.tasks.refuse_all() {
            return self.stop();
        }
        let shared = Arc::clone(self);
        self.spawn_own(async move { shared.finish_close_of(closes_remaining).await });
    }

    fn stop(&self) {
        self.closing.stop();
        self.sockets.close();
        self.own_calls.close();
        self.user_calls.close();
        self.reporter.close();
        // A wait that is left is in another executor, and nothing here would ever end it.
        self.closing.wake_all_waits();
        self.workers.stop();
    }

    /// Returns the statistics of the workers that are made.
    pub(super) fn worker_stats(&self) -> Vec<WorkerStats> {
        self.workers.iter().map(|worker| worker.stats()).collect()
    }

    /// Counts a system call that received bytes, or found the end.
    #[inline]
    pub(crate) fn count_receive(&self, bytes: u64) {
        let by_worker = worker::count_for(self, |traffic| {
            traffic.receives.add(1);
            traffic.received_bytes.add(bytes);
        });
        if !by_worker {
            self.other_threads.count_receive(bytes);
        }
    }

    /// Counts a system call that sent bytes.
    #[inline]
    pub(crate) fn count_send(&self, bytes: u64) {
        let by_worker = worker::count_for(self, |traffic| {
            traffic.sends.add(1);
            traffic.sent_bytes.add(bytes);
        });
        if !by_worker {
            self.other_threads.count_send(bytes);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let counters = &self.sockets.counters;
        let mut timers = 0;
        let mut traffic = self.other_threads.sum();
        self.workers.iter().for_each(|worker| traffic.add(worker.traffic()));
        self.workers.for_all(|worker| timers += worker.timers().len());
        Stats {
            tasks: self.tasks.len(),
            timers,
            sockets: counters.sockets.get(),
            blocks: self.workers.iter().map(|worker| worker.blocks().in_use()).sum(),
            background_closes: counters.background_closes.get(),
            accepted: counters.accepted.get(),
            connected: counters.connected.get(),
            receives: traffic.receives,
            received_bytes: traffic.received_bytes,
            sends: traffic.sends,
            sent_bytes: traffic.sent_bytes,
            unacknowledged: counters.unacknowledged.get(),
            task_errors: self.reporter.count(),
        }
    }
}
