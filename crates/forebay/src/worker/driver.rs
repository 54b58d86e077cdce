//! The thread that drives a worker, turn by turn.
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
//! The loop's engine (the poll) belongs to no thread: the thread that drives the worker takes it. That
//! is the one inside `run` or `block_on`, or else a thread of the worker's own, started when there is
//! something to do and no thread drives.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use async_task::Runnable;
use forebay_io::seam::{ThreadTurns, WorkerPool, WorkerStage};

use super::current::{self, Context, QUEUE_KEPT};
use super::engine::{EVENTS_COUNT, Engine};
use super::{Worker, parked};
use crate::lock::lock;

/// Task polls in a turn.
const POLLS_MAX: u32 = 256;
/// How long a turn may poll tasks.
const POLLS_FOR: Duration = Duration::from_micros(200);
/// Every so many polls the clock is looked at.
const POLLS_PER_LOOK: u32 = 16;
impl Worker {
    /// Runs a task soon: on this thread if it drives, else where the worker is driven.
    pub(super) fn schedule(self: &Arc<Self>, runnable: Runnable) {
        if let Err(runnable) = current::push_here(self, runnable) {
            self.inject(runnable);
            self.notify();
        }
    }

    /// Wakes the driver for something that it may not know of; starts one where there is none.
    pub(crate) fn notify(self: &Arc<Self>) {
        if self.driven.load(Ordering::SeqCst) {
            self.rouse();
        } else {
            self.start_thread();
        }
    }

    /// Makes sure that a thread drives: a wait has begun that only a driver can end.
    pub(crate) fn ensure_driven(self: &Arc<Self>) {
        if !self.driven.load(Ordering::SeqCst) {
            self.start_thread();
        }
    }

    /// Starts a thread of the worker's own that drives it, unless one drives already.
    fn start_thread(self: &Arc<Self>) {
        let Some(engine) = self.take_engine() else {
            return;
        };
        let worker = Arc::clone(self);
        // The engine goes through a slot, so that it is not lost when no thread can be started.
        let slot = Arc::new(Mutex::new(Some(engine)));
        let taken = Arc::clone(&slot);
        let started = std::thread::Builder::new().name("forebay-worker".into()).spawn(move || {
            let engine = lock(&taken).take();
            if let Some(engine) = engine {
                Driver::enter(&worker, engine).run_until_stopped();
            }
        });
        if let Err(error) = started {
            let engine = lock(&slot).take();
            self.put_back(engine);
            // Printed and not given to the user's handler: this may run under a socket's lock.
            let error = forebay_io::Error::from_io("start a worker thread", error);
            self.reporter.print("a selector stands still", &error);
        }
    }

    /// Drives the worker on this thread until `main` is done. Where another thread drives it
    /// already, this one only waits for `main`.
    ///
    /// # Panics
    ///
    /// On a thread that drives a worker or waits here already.
    pub(crate) fn block_on<F: Future>(self: &Arc<Self>, main: F) -> F::Output {
        current::assert_none();
        match self.take_engine() {
            Some(engine) => Driver::enter(self, engine).run(main),
            None => parked::run(Context::new(Arc::clone(self), false), main),
        }
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
    fn enter(worker: &Arc<Worker>, engine: Engine) -> Self {
        let context = Context::new(Arc::clone(worker), true);
        Self {
            engine: Some(engine),
            injected: Vec::new(),
            woken: Vec::new(),
            _current: current::enter(Rc::clone(&context)),
            _stage: WorkerStage::enter(),
            pool: Some(WorkerPool::enter(Arc::clone(&worker.blocks))),
            context,
        }
    }

    fn run<F: Future>(mut self, main: F) -> F::Output {
        let mut main = std::pin::pin!(main);
        let (flag, waker) = parked::MainWaker::new(Arc::clone(&self.context.worker));
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
        let worker = Arc::clone(&self.context.worker);
        let done = || worker.is_stopped() && !worker.has_work();
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
        let worker = &self.context.worker;
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
        let worker = &self.context.worker;
        let engine = self.engine.as_mut()?;
        // Asked before the poll: a thread that is held up behind it does not know what came then.
        let mut moment = worker.timers.now_if_awaited();
        if idle {
            let since = Instant::now();
            if !engine.spin_for_events(since, || worker.has_injected() || more()) {
                worker.sleeping.store(true, Ordering::SeqCst);
                // Looked at after the store above: whoever adds to them before looks at it after.
                let next = if worker.has_injected() || more() {
                    engine.poll_for(Some(Duration::ZERO));
                    None
                } else {
                    let next = worker.timers.next();
                    let slept = engine.poll_for(next.and_then(|(_, wait)| wait));
                    next.filter(|_| slept && engine.events.is_empty())
                };
                worker.sleeping.store(false, Ordering::SeqCst);
                // A sleep that nothing has ended has looked at its end.
                let slept_until = next.map(|(deadline, _)| deadline);
                moment = moment.max(slept_until.filter(|end| *end <= worker.timers.now()));
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
            let worker = &self.context.worker;
            worker.slots.note(engine.events.iter(), &mut self.woken);
        }
        self.woken.drain(..).for_each(Waker::wake);
    }

    /// Fires what was due at `moment`, up to which the kernel was looked at.
    fn fire_timers(&mut self, moment: Instant) {
        let worker = Arc::clone(&self.context.worker);
        if !worker.timers.is_due(moment) {
            return;
        }
        // The kernel tells each descriptor once until something new happens to it, so after as many
        // events as there are descriptors it has told everything.
        let mut untold = worker.slots.len();
        while untold > 0 && self.engine.as_ref().is_some_and(Engine::is_full) {
            untold = untold.saturating_sub(EVENTS_COUNT);
            if let Some(engine) = &mut self.engine {
                engine.poll_for(Some(Duration::ZERO));
            }
            self.note_events();
        }
        worker.timers.take_due(moment, &mut self.woken);
        self.woken.drain(..).for_each(Waker::wake);
    }
}

impl Drop for Driver {
    /// Hands the engine back; if there is work left, to a thread of the worker's own.
    fn drop(&mut self) {
        let worker = Arc::clone(&self.context.worker);
        // First what may wake tasks, so that none is left in the queue of a thread that drives no
        // more.
        self.context.end_poll();
        self.context.end_turn();
        // Outboxes that gave way again: a timer that is due has the next driver wake them.
        for waker in ThreadTurns::end_turn() {
            worker.wake_in_turn(waker);
        }
        while let Some(runnable) = self.context.pop() {
            worker.inject(runnable);
        }
        self.context.clear();
        drop(self.pool.take());
        worker.put_back(self.engine.take());
        if worker.has_work() {
            worker.start_thread();
        }
    }
}
