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
//! Timers fire after the poll, and only those that were due before it: events that have arrived by a
//! deadline are applied before the timer fires, however long the thread was held up.
//!
//! The loop's engine (the poll) belongs to no thread: the thread that drives the worker takes it. That is
//! the thread inside `run` or `block_on`; otherwise it is a thread of the worker's own, started when there
//! is something to do and no thread drives.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use forebay_io::seam::{ThreadTurns, WorkerPool, WorkerStage};

use super::current::{self, Context, QUEUE_KEPT};
use super::poller::{EVENTS_COUNT, Poller};
use super::{Worker, parked};
use crate::lock::lock;
use crate::task::{Pulse, Scheduled};
use crate::time::system_now;

/// The number of task polls in a turn.
const POLLS_MAX: u32 = 256;
/// The time for which a turn may poll tasks.
const POLLS_FOR: Duration = Duration::from_micros(200);
/// The clock is read once per this many polls.
const POLLS_PER_LOOK: u32 = 16;
impl Worker {
    /// Wakes the driver for something that it may not know of; starts one if there is none.
    pub(crate) fn notify(self: &Arc<Self>) {
        if self.seat.is_driven() {
            self.rouse();
        } else {
            self.start_thread();
        }
    }

    /// Ensures that a thread drives the worker, because a wait has begun that only a driver can end.
    pub(crate) fn ensure_driven(self: &Arc<Self>) {
        if !self.seat.is_driven() {
            self.start_thread();
        }
    }

    /// Starts a thread of the worker's own that drives it, unless a thread drives it already.
    pub(super) fn start_thread(self: &Arc<Self>) {
        let Some(engine) = self.seat.take() else {
            return;
        };
        let worker = Arc::clone(self);
        // The engine is passed through a slot, so that it is not lost if no thread can be started.
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
            self.seat.put_back(engine);
            // Printed and not passed to the user's handler, because this may run under a socket's lock.
            let error = forebay_io::Error::from_io("start a worker thread", error);
            self.reporter.print("a selector stands still", &error);
        }
    }
}

/// Drives one of the workers on this thread until `main` is complete: the first that no thread drives. If
/// there is none, this thread only waits for `main`, beside `first`.
///
/// # Panics
///
/// Panics on a thread that drives a worker or waits here already.
pub(super) fn block_on<'a, F: Future>(
    mut workers: impl Iterator<Item = &'a Arc<Worker>>,
    first: &Arc<Worker>,
    main: F,
) -> F::Output {
    current::assert_none();
    let free = workers.find_map(|worker| Some((worker, worker.seat.take()?)));
    match free {
        Some((worker, engine)) => Driver::enter(worker, engine).run(main),
        None => parked::run(Context::new(Arc::clone(first), false), main),
    }
}

/// A thread that drives a worker.
struct Driver {
    engine: Option<Poller>,
    context: Rc<Context>,
    /// Reused between turns.
    injected: Vec<Scheduled>,
    woken: Vec<Waker>,
    _current: current::EnteredWorker,
    _stage: WorkerStage,
    /// Left before the engine is put back, so that two threads never use one ledger.
    pool: Option<WorkerPool>,
}

impl Driver {
    fn enter(worker: &Arc<Worker>, engine: Poller) -> Self {
        let context = Context::new(Arc::clone(worker), true);
        engine.spin.note_awake();
        worker.note_turn(Some(system_now()));
        if let Some(watch) = &worker.watch {
            watch.wakes_up();
        }
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
                let pulse = self.context.worker.pulse();
                pulse.begin(Pulse::MAIN);
                let polled = main.as_mut().poll(&mut cx);
                pulse.end();
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
        let done = || worker.is_needed_for_work_only() && !worker.has_work();
        // What gave way in the last turn is no work of the worker's yet, and would start another thread.
        while !done() || self.context.has_work() {
            self.turn(done);
        }
    }

    /// Runs one turn; see the top of this file. It does not sleep while `more` returns `true`.
    fn turn(&mut self, more: impl Fn() -> bool) {
        self.context.worker.activity.turns.add_one();
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
            if polls == 1
                && let Some(watch) = &self.context.worker.watch
            {
                watch.start();
            }
            runnable.run();
            self.context.end_poll();
            if polls % POLLS_PER_LOOK == 0 {
                let started = *started.get_or_insert_with(system_now);
                if started.elapsed() > POLLS_FOR {
                    return;
                }
            }
        }
    }

    /// Polls the kernel and applies its events. Returns the time up to which all events are known, except
    /// for those beyond one poll's limit; `None` if no timer waits for it.
    fn poll_kernel(&mut self, idle: bool, more: impl Fn() -> bool) -> Option<Instant> {
        let worker = &self.context.worker;
        let engine = self.engine.as_mut()?;
        // Read before the poll: a thread that is held up after it does not know what has arrived since.
        let mut moment = worker.timers.now_if_awaited();
        if idle {
            let since = system_now();
            worker.note_turn(None);
            if !engine.spin_for_events(since, &worker.activity, || worker.has_injected() || more())
            {
                worker.activity.sleeps.add_one();
                worker.seat.fall_asleep();
                engine.spin.note_asleep();
                // Checked after the seat says so: a thread that adds to them looks at the seat afterwards.
                let next = if worker.has_injected() || more() {
                    engine.poll_for(Some(Duration::ZERO));
                    None
                } else {
                    let next = worker.timers.next();
                    let wait = next.and_then(|(_, wait)| wait);
                    let slept = asleep(worker, || engine.poll_for(wait));
                    next.filter(|_| slept && engine.events.is_empty())
                };
                worker.seat.wake_up();
                engine.spin.note_awake();
                // A sleep that nothing has ended has polled the kernel at its end.
                let slept_until = next.map(|(deadline, _)| deadline);
                moment = moment.max(slept_until.filter(|end| *end <= worker.timers.now()));
            }
            let gap = since.elapsed();
            engine.spin.note_gap(gap);
            worker.note_turn(Some(since + gap));
        } else {
            engine.poll_for(Some(Duration::ZERO));
            if worker.has_siblings {
                worker.note_turn(Some(system_now()));
            }
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

    /// Fires the timers that were due at `moment`, up to which the kernel was polled.
    fn fire_timers(&mut self, moment: Instant) {
        let worker = Arc::clone(&self.context.worker);
        if !worker.timers.is_due(moment) {
            return;
        }
        // The kernel reports each descriptor once until something new happens to it. So after as many
        // events as there are descriptors it has reported everything.
        let mut untold = worker.slots.len();
        while untold > 0 && self.engine.as_ref().is_some_and(Poller::is_full) {
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

/// Sleeps, which the watch need not watch.
fn asleep<T>(worker: &Worker, sleep: impl FnOnce() -> T) -> T {
    let Some(watch) = &worker.watch else { return sleep() };
    watch.falls_asleep();
    let slept = sleep();
    watch.wakes_up();
    slept
}

impl Drop for Driver {
    /// Puts the engine back and, if there is work left, starts a thread of the worker's own.
    fn drop(&mut self) {
        let worker = Arc::clone(&self.context.worker);
        // A main that panics has not ended its poll.
        worker.pulse().end();
        // First the steps that may wake tasks, so that no task is left in the queue of a thread that stops
        // driving.
        self.context.end_poll();
        self.context.end_turn();
        // Outboxes that gave way again: a due timer makes the next driver wake them.
        for waker in ThreadTurns::end_turn() {
            worker.wake_in_turn(waker);
        }
        while let Some(runnable) = self.context.pop() {
            worker.inject(runnable);
        }
        self.context.clear();
        drop(self.pool.take());
        if let Some(engine) = &self.engine {
            engine.spin.note_asleep();
        }
        worker.note_turn(None);
        // Before another thread may take the engine, and wake up.
        if let Some(watch) = &worker.watch {
            watch.falls_asleep();
        }
        worker.seat.put_back(self.engine.take());
        if worker.has_work() {
            worker.start_thread();
        }
    }
}
