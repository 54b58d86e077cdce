//! A selector, as its workers, tasks and sockets see it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use forebay_io::seam::{Afterwards, BlockLedger, Outbox, Turns, Until, unwinding};
use forebay_io::{Error, ErrorKind, Result};

use super::bounded::Bounded;
use super::builder::Settings;
use super::closing::ClosingWaits;
use super::current;
use super::freed::Freed;
use super::remaining::{Remaining, Remains};
use super::stats::{Counters, Stats};
use super::worker::Worker;
use crate::lock::lock;
use crate::task::{self, BlockingPool, JoinHandle, Kind, Reporter, Tasks};
use crate::time::{Limits, Look, Over, Patience, Sleep, Timers, WakeUp, within};

/// How long closing a connection may take in all, unless it was set.
const DRAIN_MAX: Duration = Duration::from_secs(5 * 60);

/// Everything is accepted.
const OPEN: u8 = 0;
/// No new work; waits are answered with `Closed`; what is under way may end.
const CLOSING: u8 = 1;
/// Nothing goes on here any more.
const STOPPED: u8 = 2;

/// The state of a selector. Workers, tasks and sockets hold this; users hold a
/// [`SelectorManager`](crate::SelectorManager), whose last clone closes it.
pub(crate) struct Shared {
    doorbell: Arc<Doorbell>,
    worker: Worker,
    timers: Arc<Timers>,
    tasks: Arc<Tasks>,
    reporter: Arc<Reporter>,
    own_calls: BlockingPool,
    user_calls: Arc<BlockingPool>,
    blocks: Arc<BlockLedger>,
    counters: Counters,
    lingering: Bounded,
    #[cfg(feature = "tls")]
    handshakes: Bounded,
    #[cfg(feature = "tls")]
    silent: Bounded,
    #[cfg(feature = "tls")]
    tls: Arc<forebay_tls::seam::Store>,
    /// What no poll watches, but must be woken when the selector closes.
    unwatched: Mutex<Vec<Weak<dyn WakeUp>>>,
    remaining: Remaining,
    closing_waits: ClosingWaits,
    freed: Freed,
    settings: Settings,
    phase: AtomicU8,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Result<Arc<Self>> {
        let worker = Worker::new(settings.spin)
            .map_err(|error| Error::from_io("start a selector", error))?;
        let shared = Arc::new_cyclic(|weak| Self {
            doorbell: Arc::new(Doorbell(Weak::clone(weak))),
            worker,
            timers: Arc::new(Timers::new(settings.clock.clone())),
            tasks: Arc::default(),
            reporter: Arc::clone(&settings.reporter),
            own_calls: BlockingPool::for_own_calls(),
            user_calls: Arc::new(BlockingPool::for_user_calls(settings.blocking_max)),
            blocks: Arc::default(),
            counters: Counters::default(),
            lingering: Bounded::new(settings.lingering_max),
            #[cfg(feature = "tls")]
            handshakes: Bounded::new(settings.handshakes_max),
            #[cfg(feature = "tls")]
            silent: Bounded::new(usize::MAX),
            #[cfg(feature = "tls")]
            tls: Arc::default(),
            unwatched: Mutex::default(),
            remaining: Remaining::default(),
            closing_waits: ClosingWaits::default(),
            freed: Freed::default(),
            settings,
            phase: AtomicU8::new(OPEN),
        });
        let doorbell = Arc::clone(&shared.doorbell) as Arc<dyn WakeUp>;
        shared.timers.attach(Arc::downgrade(&doorbell));
        Ok(shared)
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    pub(crate) fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    pub(super) fn tasks(&self) -> &Arc<Tasks> {
        &self.tasks
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

    pub(super) fn blocks(&self) -> &Arc<BlockLedger> {
        &self.blocks
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections that close without an owner.
    pub(crate) fn lingering(&self) -> &Bounded {
        &self.lingering
    }

    /// TLS handshakes that peers have begun.
    #[cfg(feature = "tls")]
    pub(crate) fn handshakes(&self) -> &Bounded {
        &self.handshakes
    }

    /// TLS handshakes whose peers have said nothing yet. There is no limit but the descriptors.
    #[cfg(feature = "tls")]
    pub(crate) fn silent(&self) -> &Bounded {
        &self.silent
    }

    /// Has a connection give its descriptor back that would be missed least: the oldest that is being
    /// closed without an owner, else the oldest whose peer has said nothing, else the oldest whose
    /// handshake is not complete. False where there is none.
    pub(crate) fn end_one(&self) -> bool {
        let lists = [
            &self.lingering,
            #[cfg(feature = "tls")]
            &self.silent,
            #[cfg(feature = "tls")]
            &self.handshakes,
        ];
        lists.into_iter().any(Bounded::end_for_descriptor)
    }

    /// What all TLS connections of this selector share.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> &Arc<forebay_tls::seam::Store> {
        &self.tls
    }

    /// Has `waits` woken when the selector closes, and when it stops.
    pub(crate) fn on_closing(&self, waits: Weak<dyn WakeUp>) {
        let mut unwatched = lock(&self.unwatched);
        if unwatched.len() == unwatched.capacity() {
            // Those that are gone leave when the list would have to grow, which happens the next time
            // only after as many more as there are now.
            unwatched.retain(|waits| waits.strong_count() > 0);
            let live = unwatched.len();
            unwatched.reserve(live.max(16));
        }
        unwatched.push(waits);
    }

    fn wake_all_waits(&self) {
        self.worker.wake_all_waits();
        let unwatched: Vec<_> = lock(&self.unwatched).iter().filter_map(Weak::upgrade).collect();
        for waits in unwatched {
            waits.wake_up();
        }
        self.closing_waits.wake_all();
    }

    /// Waits for what no poll watches.
    pub(super) fn closing_waits(&self) -> &ClosingWaits {
        &self.closing_waits
    }

    /// What is still open when the selector closes.
    pub(crate) fn remaining(&self) -> &Remaining {
        &self.remaining
    }

    pub(crate) fn freed(&self) -> &Freed {
        &self.freed
    }

    /// How long closing may take, where a connection has no limits of its own.
    pub(crate) fn drain(&self) -> Limits {
        self.drain_of(None, None)
    }

    /// How long closing a connection may take that has these limits of its own. The default total is
    /// no shorter than the silence: it would make a longer one say nothing.
    pub(crate) fn drain_of(&self, silence: Option<Duration>, total: Option<Duration>) -> Limits {
        let silence = silence.unwrap_or(self.settings.drain_timeout);
        let total = total.or(self.settings.drain_max).unwrap_or(DRAIN_MAX.max(silence));
        Limits { silence, total }
    }

    pub(crate) fn drain_limit(&self) -> u64 {
        self.settings.drain_limit
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.phase.load(Ordering::Acquire) != OPEN
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.phase.load(Ordering::Acquire) == STOPPED
    }

    /// Fails once the selector is being closed.
    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.is_closing() { Err(closed(operation)) } else { Ok(()) }
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(Arc::clone(&self.timers), duration)
    }

    /// Starts a user's task, unless the selector is being closed.
    pub(crate) fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        report: bool,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> JoinHandle<T> {
        self.start(Kind::Users, report, future, |result| result)
            .unwrap_or_else(|| task::refused(closed("spawn")))
    }

    /// The same, of a task that ends in a value.
    pub(crate) fn spawn_value<T: Send + 'static>(
        self: &Arc<Self>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.start(Kind::Users, false, future, Ok)
            .unwrap_or_else(|| task::refused(closed("spawn_value")))
    }

    /// Starts a task of the selector's own that ends by itself within a limit; also while closing.
    /// False when nothing runs here any more.
    pub(crate) fn spawn_own(
        self: &Arc<Self>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        let task = self.start(Kind::Own, false, future, Ok);
        task.map(JoinHandle::detach).is_some()
    }

    fn start<T: Send + 'static, F: Future<Output: Send> + Send + 'static>(
        self: &Arc<Self>,
        kind: Kind,
        report: bool,
        future: F,
        into_result: impl Fn(F::Output) -> Result<T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        let shared = Arc::clone(self);
        let schedule = move |runnable| shared.schedule(runnable);
        task::start(&self.tasks, kind, &self.reporter, report, future, into_result, schedule)
    }

    /// Wakes an outbox's waker, which is one of ours, on a thread that has turns: that of the driver,
    /// which fires a timer that is due. May be called under the outbox's lock.
    pub(crate) fn wake_in_turn(&self, waker: Waker) {
        self.timers.add(self.timers.now(), waker);
    }

    /// Refuses new work and has every wait answered with `Closed`. True the first time.
    pub(super) fn begin_close(self: &Arc<Self>) -> bool {
        let first =
            self.phase.compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first {
            self.tasks.refuse_users();
            self.wake_all_waits();
            // A listener that pauses waits for no readiness.
            let mut after = Afterwards::new();
            self.freed.note(&mut after);
            after.run();
        }
        first
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
        if within(Arc::clone(&self.timers), self.drain().silence, ended).await.is_none() {
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

    fn stop(self: &Arc<Self>) {
        self.phase.store(STOPPED, Ordering::Release);
        self.own_calls.close();
        self.user_calls.close();
        // What still waits, waits in somebody else's executor; nothing here would ever end it.
        self.wake_all_waits();
        self.worker.rouse();
    }

    pub(super) fn stats(&self) -> Stats {
        let counters = &self.counters;
        Stats {
            tasks: self.tasks.len(),
            timers: self.timers.len(),
            sockets: counters.sockets.get(),
            blocks: self.blocks.in_use(),
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

/// What timers and clocks know of a selector: something to wake.
#[derive(Debug)]
struct Doorbell(Weak<Shared>);

impl WakeUp for Doorbell {
    fn wake_up(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.notify();
        }
    }
}

/// The turns of a selector's worker, as an outbox without a socket knows them: one that feeds a file.
pub(crate) struct SelectorTurns {
    selector: Arc<Shared>,
    /// The outbox, among what is closed with the selector.
    key: OnceLock<u64>,
}

impl Turns for SelectorTurns {
    fn defer(&self, outbox: &Arc<Outbox>) {
        Self::defer_in_turn(outbox);
    }

    fn hurry(&self, outbox: &Arc<Outbox>) {
        Self::hurry_in_turn(outbox);
    }

    fn is_closing(&self) -> bool {
        self.selector.is_closing()
    }

    fn wake_in_turn(&self, waker: &Waker) -> bool {
        self.selector.wake_in_turn(waker.clone());
        true
    }

    fn linger(&self, outbox: Arc<Outbox>) {
        let moved = |outbox: &Outbox, _| outbox.sent();
        self.selector.see_off(&outbox, self.selector.drain(), moved, || false);
    }
}

impl SelectorTurns {
    pub(super) fn new(selector: &Arc<Shared>) -> Self {
        Self { selector: Arc::clone(selector), key: OnceLock::new() }
    }

    /// Has the outbox, whose turns these are, finished when the selector closes.
    pub(super) fn close_with_selector(&self, outbox: &Arc<Outbox>) {
        let outbox = Arc::downgrade(outbox);
        self.key.get_or_init(|| self.selector.remaining.add(outbox));
    }

    /// Flushes the outbox at the end of this thread's turn, or now.
    pub(crate) fn defer_in_turn(outbox: &Arc<Outbox>) {
        if !current::defer(outbox) {
            outbox.advance();
        }
    }

    /// Flushes the outbox when the poll of this thread's task ends.
    pub(crate) fn hurry_in_turn(outbox: &Arc<Outbox>) {
        current::hurry(outbox);
    }
}

impl Remains for Outbox {
    fn close_with_selector(self: Arc<Self>) {
        self.finish_unattended();
    }
}

impl Drop for SelectorTurns {
    fn drop(&mut self) {
        if let Some(key) = self.key.get() {
            self.selector.remaining.remove(*key);
        }
    }
}

impl Shared {
    /// Keeps the outbox until it is finished, and gives it up at a limit, unless a close has taken it
    /// over by then. `moved` grows whenever something has moved.
    pub(crate) fn see_off(
        self: &Arc<Self>,
        outbox: &Arc<Outbox>,
        limits: Limits,
        moved: impl Fn(&Outbox, Look) -> u64 + Send + Sync + 'static,
        is_taken_over: impl Fn() -> bool + Send + 'static,
    ) {
        let selector = Arc::clone(self);
        let seen_off = Arc::clone(outbox);
        let accepted = self.spawn_own(async move {
            let mut finished = pin!(seen_off.wait(Until::Finished));
            let mut patience = Patience::new(selector.timers(), limits);
            let moved = |look| moved(&seen_off, look);
            let over = poll_fn(|cx| match finished.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => patience.poll(cx, limits, moved).map(Some),
            })
            .await;
            let Some(over) = over.filter(|_| !is_taken_over()) else { return };
            selector.counters().unacknowledged.add(1);
            let error = given_up("drop a writer", over);
            seen_off.abort(&error);
            selector.reporter().report(Reporter::OF_A_CLOSE, &error);
        });
        if !accepted {
            outbox.abort(&closed("drop a writer"));
        }
    }
}

/// The peer was given up, because it did not take everything within the limits.
pub(crate) fn given_up(operation: &'static str, over: Over) -> Error {
    Error::new(ErrorKind::TimedOut, operation).with_detail(match over {
        Over::Silence(silence) => format!(
            "the peer has acknowledged nothing for {silence:?}, and not everything before that \
             (drain_timeout sets this)"
        ),
        Over::Total(total) => {
            format!(
                "the peer has not acknowledged everything after {total:?} (drain_max sets this)"
            )
        }
    })
}

/// The selector was closed.
pub(crate) fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation).with_detail("the selector was closed")
}
