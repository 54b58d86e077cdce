//! A selector, as its tasks and sockets see it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use forebay_io::seam::{Afterwards, unwinding};
use forebay_io::{Error, Result};

use super::closing::{Closing, closed};
use super::remaining::Remaining;
use super::settings::Settings;
use super::sockets::Sockets;
use super::stats::Stats;
use crate::task::{self, BlockingPool, JoinHandle, Kind, Reporter, Tasks};
use crate::time::{Limits, Sleep, Timers, within};
use crate::worker::{self, Worker};

/// The state of a selector. Tasks and sockets hold this; users hold a
/// [`SelectorManager`](crate::SelectorManager), whose last clone closes it.
pub(crate) struct Shared {
    workers: [Arc<Worker>; 1],
    tasks: Arc<Tasks>,
    reporter: Arc<Reporter>,
    own_calls: BlockingPool,
    user_calls: Arc<BlockingPool>,
    sockets: Sockets,
    closing: Arc<Closing>,
    remaining: Remaining,
    settings: Settings,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Result<Arc<Self>> {
        let tasks = Arc::<Tasks>::default();
        let worker = Worker::new(worker::Parts {
            clock: settings.clock.clone(),
            spin: settings.spin,
            tasks: Arc::clone(&tasks),
            reporter: Arc::clone(&settings.reporter),
        })
        .map_err(|error| Error::from_io("start a selector", error))?;
        let shared = Arc::new(Self {
            workers: [worker],
            tasks,
            reporter: Arc::clone(&settings.reporter),
            own_calls: BlockingPool::for_own_calls(),
            user_calls: Arc::new(BlockingPool::for_user_calls(settings.blocking_max)),
            sockets: Sockets::new(&settings),
            closing: Arc::default(),
            remaining: Remaining::default(),
            settings,
        });
        for worker in &shared.workers {
            let owner: Weak<Self> = Arc::downgrade(&shared);
            worker.set_owner(owner);
        }
        Ok(shared)
    }

    /// The selector of the current thread.
    ///
    /// # Panics
    ///
    /// On a thread that is not a worker and not inside `run` or `block_on`.
    pub(crate) fn current(function: &str) -> Arc<Self> {
        let owner = worker::owner().and_then(|owner| Arc::downcast(owner as Arc<_>).ok());
        owner.unwrap_or_else(|| {
            panic!(
                "forebay::{function}() works on a thread of a selector: inside forebay::run, \
                 SelectorManager::block_on or a task; elsewhere call {function}() on a \
                 SelectorManager"
            )
        })
    }

    /// The worker that polls a new task, and watches a new socket.
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.workers[0]
    }

    pub(crate) fn timers(&self) -> &Arc<Timers> {
        self.worker().timers()
    }

    pub(crate) fn reporter(&self) -> &Arc<Reporter> {
        &self.reporter
    }

    /// Threads for look-ups, files and paths: calls of the selector's own, which end by themselves.
    pub(crate) fn own_calls(&self) -> &BlockingPool {
        &self.own_calls
    }

    /// Threads for the calls that users hand over, which may block forever.
    pub(super) fn user_calls(&self) -> &Arc<BlockingPool> {
        &self.user_calls
    }

    /// What all sockets share.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// How far the selector's end has come.
    pub(crate) fn closing(&self) -> &Arc<Closing> {
        &self.closing
    }

    /// What is still open when the selector closes.
    pub(crate) fn remaining(&self) -> &Remaining {
        &self.remaining
    }

    /// How long closing may take, where a connection has no limits of its own.
    pub(crate) fn drain(&self) -> Limits {
        self.settings.drain_of(None, None)
    }

    /// How long closing a connection may take that has these limits of its own.
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
        Sleep::new(Arc::clone(self.timers()), duration)
    }

    /// Starts a user's task, unless the selector is being closed.
    pub(crate) fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        report: bool,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> JoinHandle<T> {
        self.worker()
            .start(Kind::Users, report, future, |result| result)
            .unwrap_or_else(|| task::refused(closed("spawn")))
    }

    /// The same, of a task that ends in a value.
    pub(crate) fn spawn_value<T: Send + 'static>(
        self: &Arc<Self>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.worker()
            .start(Kind::Users, false, future, Ok)
            .unwrap_or_else(|| task::refused(closed("spawn_value")))
    }

    /// Starts a task of the selector's own that ends by itself within a limit; also while closing.
    /// False when nothing runs here any more.
    pub(crate) fn spawn_own(
        self: &Arc<Self>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        let task = self.worker().start(Kind::Own, false, future, Ok);
        task.map(JoinHandle::detach).is_some()
    }

    /// Refuses new work and has every wait answered with `Closed`. True the first time.
    pub(super) fn begin_close(self: &Arc<Self>) -> bool {
        let first = self.closing.begin();
        if first {
            self.tasks.refuse_users();
            self.wake_all_waits();
            // A listener that pauses waits for no readiness.
            let mut after = Afterwards::new();
            self.sockets.freed.note(&mut after);
            after.run();
        }
        first
    }

    fn wake_all_waits(&self) {
        self.workers.iter().for_each(|worker| worker.wake_all_waits());
        self.closing.wake_all_waits();
    }

    /// Waits for users' tasks and cancels those that are left at the deadline; then closes what is
    /// still open, as it would be closed if its owner had dropped it, waits until that has ended by its
    /// own limits, and ends the worker. From a task of this selector it waits for all the others,
    /// except for those that wait here too.
    pub(super) async fn finish_close(self: &Arc<Self>) {
        self.finish_close_of(true).await;
    }

    /// The same. What is still open is left to its owners where they are being unwound by a panic: each
    /// resets its connection, and the selector must not sign off half a message before that.
    async fn finish_close_of(self: &Arc<Self>, closes_remaining: bool) {
        let closer = self.tasks.closer();
        let ended = closer.users_ended();
        if within(Arc::clone(self.timers()), self.drain().silence, ended).await.is_none() {
            closer.abort_users();
            closer.users_ended().await;
        }
        if closes_remaining {
            self.remaining.close_all();
        }
        closer.others_ended().await;
        self.stop();
    }

    /// The last user is gone: closes, without anybody to wait for it.
    pub(super) fn close_unattended(self: &Arc<Self>) {
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
        self.own_calls.close();
        self.user_calls.close();
        // What still waits, waits in another executor; nothing here would ever end it.
        self.closing.wake_all_waits();
        self.workers.iter().for_each(|worker| worker.stop());
    }

    pub(super) fn stats(&self) -> Stats {
        let counters = &self.sockets.counters;
        Stats {
            tasks: self.tasks.len(),
            timers: self.workers.iter().map(|worker| worker.timers().len()).sum(),
            sockets: counters.sockets.get(),
            blocks: self.workers.iter().map(|worker| worker.blocks().in_use()).sum(),
            lingering: counters.lingering.get(),
            accepted: counters.accepted.get(),
            connected: counters.connected.get(),
            receives: counters.receives.get(),
            received_bytes: counters.received_bytes.get(),
            sends: counters.sends.get(),
            sent_bytes: counters.sent_bytes.get(),
            unacknowledged: counters.unacknowledged.get(),
            task_errors: self.reporter.count(),
        }
    }
}
