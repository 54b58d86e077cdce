//! The worker: one loop that runs tasks, flushes what they wrote, polls readiness, fires timers.
//!
//! A turn:
//!
//! ```text
//!   take injected ─► poll tasks (256, or 200 us) ─► flush deferred outboxes ──┐
//!        ▲                                                                    ▼
//!        └─ fire timers ◄─ note readiness, wake tasks ◄─ poll the kernel (sleep if idle)
//! ```
//!
//! Timers fire behind the poll, and only those that were due before it: what has arrived by a
//! deadline is noted before the timer fires, however long the thread was held up.
//!
//! The loop's engine (the poll) belongs to no thread: whoever drives the worker takes it. That is
//! the thread inside `run` or `block_on`, or else a thread of the worker's own, started when there
//! is something to do and nobody drives.

use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use async_task::Runnable;
use forebay_io::seam::{ThreadTurns, WorkerPool, WorkerStage};

use super::current::{self, Context, QUEUE_KEPT};
use super::shared::Shared;
use super::spin::Spin;
use crate::host::{Host, Ready, Slots};
use crate::interrupted::uninterrupted;
use crate::lock::lock;

/// Task polls in a turn.
const POLLS_MAX: u32 = 256;
/// How long a turn may poll tasks.
const POLLS_FOR: Duration = Duration::from_micros(200);
/// Every so many polls the clock is looked at.
const POLLS_PER_LOOK: u32 = 16;
/// Events taken from the kernel at once: as many connections as still lie in the cache when the turn
/// comes to flush them. The rest is there in the next turn.
const EVENTS_COUNT: usize = 64;

/// The token of the worker's own wake-ups; no descriptor's has this generation.
const WAKE: mio::Token = mio::Token(usize::MAX);

/// A worker, as all threads see it.
pub(crate) struct Worker {
    registry: mio::Registry,
    waker: mio::Waker,
    slots: Arc<Slots>,
    injected: Mutex<Vec<Runnable>>,
    /// The engine while nobody drives.
    engine: Mutex<Option<Engine>>,
    /// Somebody drives. Written before the queues are looked at one last time, read after they are
    /// pushed to (both sequentially consistent), so that one side sees the other.
    driven: AtomicBool,
    /// The driver sleeps, or is about to; same pairing as `driven`.
    sleeping: AtomicBool,
}

/// What it takes to drive a worker.
struct Engine {
    poll: mio::Poll,
    events: mio::Events,
    spin: Spin,
}

impl Worker {
    pub(super) fn new(spin: bool) -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = mio::Waker::new(&registry, WAKE)?;
        let events = mio::Events::with_capacity(EVENTS_COUNT);
        let engine = Engine { poll, events, spin: Spin::new(spin) };
        Ok(Self {
            registry,
            waker,
            slots: Arc::default(),
            injected: Mutex::default(),
            engine: Mutex::new(Some(engine)),
            driven: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
        })
    }

    /// Descriptors watched.
    pub(super) fn watched(&self) -> usize {
        self.slots.len()
    }

    /// Has every wait on a descriptor try its call again.
    pub(super) fn wake_all_waits(&self) {
        let mut woken = Vec::new();
        self.slots.take_all(&mut woken);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Takes a task that was pushed from another thread.
    fn inject(&self, runnable: Runnable) {
        lock(&self.injected).push(runnable);
    }

    fn has_injected(&self) -> bool {
        !lock(&self.injected).is_empty()
    }

    /// Ends the driver's sleep, if it sleeps.
    pub(super) fn rouse(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst) {
            // The poll is alive as long as the worker is, so this write cannot fail for a reason
            // that a caller could act upon; but one that a signal has interrupted woke nobody.
            uninterrupted(|| self.waker.wake()).ok();
        }
    }
}

impl Host for Shared {
    fn register(&self, fd: BorrowedFd<'_>) -> io::Result<Arc<dyn Ready>> {
        let worker = self.worker();
        let ready = worker.slots.register(&worker.registry, fd)?;
        Ok(Arc::new(ready))
    }
}

impl Shared {
    /// Runs a task soon: on this thread if it drives, else where the worker is driven.
    pub(super) fn schedule(self: &Arc<Self>, runnable: Runnable) {
        if let Err(runnable) = current::push_here(self, runnable) {
            self.worker().inject(runnable);
            self.notify();
        }
    }

    /// Something is to be done that the driver may not know of.
    pub(crate) fn notify(self: &Arc<Self>) {
        let worker = self.worker();
        if worker.driven.load(Ordering::SeqCst) {
            worker.rouse();
        } else {
            self.start_thread();
        }
    }

    /// A wait has begun that only a driver can end.
    pub(crate) fn ensure_driven(self: &Arc<Self>) {
        if !self.worker().driven.load(Ordering::SeqCst) {
            self.start_thread();
        }
    }

    /// Has a thread of the worker's own drive it, unless somebody does.
    fn start_thread(self: &Arc<Self>) {
        let Some(engine) = self.take_engine() else {
            return;
        };
        let shared = Arc::clone(self);
        // The engine goes through a slot, so that it is not lost when no thread can be started.
        let slot = Arc::new(Mutex::new(Some(engine)));
        let taken = Arc::clone(&slot);
        let started = std::thread::Builder::new().name("forebay-worker".into()).spawn(move || {
            let engine = lock(&taken).take();
            if let Some(engine) = engine {
                Driver::enter(&shared, engine).run_until_stopped();
            }
        });
        if let Err(error) = started {
            let engine = lock(&slot).take();
            self.worker().put_back(engine);
            // Printed and not given to the user's handler: this may run under a socket's lock.
            let error = forebay_io::Error::from_io("start a worker thread", error);
            self.reporter().print("a selector stands still", &error);
        }
    }

    fn take_engine(&self) -> Option<Engine> {
        let worker = self.worker();
        let mut seat = lock(&worker.engine);
        let engine = seat.take();
        if engine.is_some() {
            worker.driven.store(true, Ordering::SeqCst);
        }
        engine
    }

    /// True when the worker must be driven although nobody waits in `block_on`.
    fn has_work(&self) -> bool {
        let worker = self.worker();
        self.tasks().len() > 0
            || worker.has_injected()
            // A sleep in somebody else's executor ends when it said, whatever became of the selector.
            || self.timers().len() > 0
            || (!self.is_stopped() && worker.watched() > 0)
    }

    /// Drives the worker on this thread until `main` is done. Where another thread drives it
    /// already, this one only waits for `main`.
    pub(super) fn block_on<F: Future>(self: &Arc<Self>, main: F) -> F::Output {
        current::assert_none();
        match self.take_engine() {
            Some(engine) => Driver::enter(self, engine).run(main),
            None => super::beside::run(Context::new(Arc::clone(self), false), main),
        }
    }
}

impl Worker {
    /// Under the lock, as taking is: whoever takes the engine from here on counts as driving.
    fn put_back(&self, engine: Option<Engine>) {
        let mut seat = lock(&self.engine);
        *seat = engine;
        self.driven.store(false, Ordering::SeqCst);
    }
}

/// A thread that drives a worker.
struct Driver {
    engine: Option<Engine>,
    context: Rc<Context>,
    /// Reused between turns.
    injected: Vec<Runnable>,
    woken: Vec<Waker>,
    _current: current::Entered,
    _stage: WorkerStage,
    /// Left before the engine is handed back: two threads do not keep one ledger.
    pool: Option<WorkerPool>,
}

impl Driver {
    fn enter(selector: &Arc<Shared>, engine: Engine) -> Self {
        let context = Context::new(Arc::clone(selector), true);
        Self {
            engine: Some(engine),
            injected: Vec::new(),
            woken: Vec::new(),
            _current: current::enter(Rc::clone(&context)),
            _stage: WorkerStage::enter(),
            pool: Some(WorkerPool::enter(Arc::clone(selector.blocks()))),
            context,
        }
    }

    fn run<F: Future>(mut self, main: F) -> F::Output {
        let mut main = std::pin::pin!(main);
        let (flag, waker) = super::beside::MainWaker::new(Arc::clone(&self.context.selector));
        let mut cx = std::task::Context::from_waker(&waker);
        loop {
            if flag.take() {
                let polled = main.as_mut().poll(&mut cx);
                self.context.end_poll();
                if let std::task::Poll::Ready(output) = polled {
                    self.context.flush();
                    return output;
                }
            }
            self.turn(|| flag.is_set());
        }
    }

    fn run_until_stopped(mut self) {
        let selector = Arc::clone(&self.context.selector);
        let done = || selector.is_stopped() && !selector.has_work();
        while !done() {
            self.turn(done);
        }
    }

    /// One turn; see the top of this file. It does not sleep while `more` says so.
    fn turn(&mut self, more: impl Fn() -> bool) {
        self.take_injected();
        self.poll_tasks();
        self.context.end_turn();
        let idle = !self.context.has_work() && !more();
        if let Some(moment) = self.poll_kernel(idle, more) {
            self.fire_timers(moment);
        }
    }

    fn take_injected(&mut self) {
        let worker = self.context.selector.worker();
        std::mem::swap(&mut *lock(&worker.injected), &mut self.injected);
        self.context.extend(&mut self.injected);
        if self.injected.capacity() > QUEUE_KEPT {
            self.injected = Vec::new();
        }
    }

    fn poll_tasks(&self) {
        let mut started = None;
        for polls in 1..=POLLS_MAX {
            let Some(runnable) = self.context.pop() else {
                return;
            };
            runnable.run();
            self.context.end_poll();
            if polls % POLLS_PER_LOOK == 0 {
                let started = *started.get_or_insert_with(Instant::now);
                if started.elapsed() > POLLS_FOR {
                    return;
                }
            }
        }
    }

    /// Polls the kernel and notes what it says. Returns the moment up to which that is everything,
    /// but for what one look has no room for; `None` where no timer waits for it.
    fn poll_kernel(&mut self, idle: bool, more: impl Fn() -> bool) -> Option<Instant> {
        let selector = Arc::clone(&self.context.selector);
        let worker = selector.worker();
        let engine = self.engine.as_mut()?;
        // Asked before the poll: a thread that is held up behind it does not know what came then.
        let mut moment = selector.timers().now_if_awaited();
        if idle {
            let since = Instant::now();
            if !engine.spin_for_events(since, worker, &more) {
                worker.sleeping.store(true, Ordering::SeqCst);
                // Looked at after the store above: whoever adds to them before looks at it after.
                let next = if worker.has_injected() || more() {
                    engine.poll_for(Some(Duration::ZERO));
                    None
                } else {
                    let next = selector.timers().next();
                    let slept = engine.poll_for(next.and_then(|(_, wait)| wait));
                    next.filter(|_| slept && engine.events.is_empty())
                };
                worker.sleeping.store(false, Ordering::SeqCst);
                // A sleep that nothing has ended has looked at its end.
                let slept_until = next.map(|(deadline, _)| deadline);
                moment = moment.max(slept_until.filter(|end| *end <= selector.timers().now()));
            }
            engine.spin.note_gap(since.elapsed());
        } else {
            engine.poll_for(Some(Duration::ZERO));
        }
        self.note_events();
        moment
    }

    fn note_events(&mut self) {
        if let Some(engine) = &self.engine {
            let worker = self.context.selector.worker();
            worker.slots.note(engine.events.iter(), &mut self.woken);
        }
        self.woken.drain(..).for_each(Waker::wake);
    }

    /// Fires what was due at `moment`, up to which the kernel was looked at.
    fn fire_timers(&mut self, moment: Instant) {
        let selector = Arc::clone(&self.context.selector);
        if !selector.timers().is_due(moment) {
            return;
        }
        // The kernel tells each descriptor once until something new happens to it, so after as many
        // events as there are descriptors it has told everything.
        let mut untold = selector.worker().watched();
        while untold > 0 && self.engine.as_ref().is_some_and(Engine::is_full) {
            untold = untold.saturating_sub(EVENTS_COUNT);
            if let Some(engine) = &mut self.engine {
                engine.poll_for(Some(Duration::ZERO));
            }
            self.note_events();
        }
        selector.timers().take_due(moment, &mut self.woken);
        self.woken.drain(..).for_each(Waker::wake);
    }
}

impl Engine {
    /// False when a signal has ended the sleep early.
    fn poll_for(&mut self, wait: Option<Duration>) -> bool {
        let polled = self.poll.poll(&mut self.events, wait);
        if let Err(error) = &polled {
            // The next turn sleeps again. Anything but a signal would mean that the poll's own
            // descriptor is broken, which safe code cannot do to it.
            debug_assert_eq!(error.kind(), io::ErrorKind::Interrupted, "{error}");
            self.events.clear();
        }
        polled.is_ok()
    }

    /// True when there may be more than the last poll had room for.
    fn is_full(&self) -> bool {
        self.events.iter().count() >= EVENTS_COUNT
    }

    /// Looks for events without sleeping for as long as that has lately paid; true if something
    /// came.
    fn spin_for_events(
        &mut self,
        since: Instant,
        worker: &Worker,
        more: impl Fn() -> bool,
    ) -> bool {
        while self.spin.goes_on(since) {
            self.poll_for(Some(Duration::ZERO));
            if !self.events.is_empty() || worker.has_injected() || more() {
                return true;
            }
        }
        false
    }
}

impl Drop for Driver {
    /// Hands the engine back; if there is work left, to a thread of the worker's own.
    fn drop(&mut self) {
        let selector = Arc::clone(&self.context.selector);
        // First what may wake tasks, so that none is left in the queue of a thread that drives no
        // more.
        self.context.end_poll();
        self.context.end_turn();
        // Outboxes that gave way again: a timer that is due has the next driver wake them.
        for waker in ThreadTurns::end_turn() {
            selector.wake_in_turn(waker);
        }
        while let Some(runnable) = self.context.pop() {
            selector.worker().inject(runnable);
        }
        self.context.clear();
        drop(self.pool.take());
        selector.worker().put_back(self.engine.take());
        if selector.has_work() {
            selector.start_thread();
        }
    }
}
