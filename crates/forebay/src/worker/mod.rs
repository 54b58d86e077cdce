//! Workers: each is one loop that polls tasks and readiness, on the thread that drives it.
//!
//! ```text
//!   any thread ──► Worker: tasks pushed from elsewhere, wake-ups, timers
//!                    │ take the engine
//!                    ▼
//!   one thread ──► Driver: the turn ──► Context: the state that only this thread uses
//! ```
//!
//! A worker knows neither its selector nor sockets. It works for an owner of any type, which the threads
//! that drive it can ask for.

mod activity;
mod current;
mod driver;
mod flush;
#[cfg(all(feature = "tokio", unix))]
mod guest;
#[cfg(unix)]
mod nested;
#[cfg(not(all(feature = "tokio", unix)))]
mod no_guest;
mod parked;
mod poller;
mod registering;
mod seat;
mod slots;
pub(crate) mod spin;
mod stats;
mod watch;
mod workers;

use std::any::Any;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use forebay_io::Result;
use forebay_io::seam::BlockLedger;
#[cfg(unix)]
use rustix::fd::AsFd;

use self::activity::Activity;
pub(crate) use self::activity::Traffic;
pub(crate) use self::current::{count_for, defer, hurry, index_for, owner};
pub(crate) use self::flush::Locks;
#[cfg(all(feature = "tokio", unix))]
use self::guest::Guest;
#[cfg(not(all(feature = "tokio", unix)))]
use self::no_guest::NoGuest as Guest;
use self::poller::Poller;
use self::seat::Seat;
use self::slots::{Slots, WorkerReady};
use self::spin::{Spin, SpinLimit};
pub use self::stats::WorkerStats;
use self::watch::PollWatch;
pub(crate) use self::workers::Workers;
use crate::host::slot::Slot;
use crate::host::{Direction, Ready, Registered, SocketFd};
use crate::interrupted::uninterrupted;
use crate::lock::lock;
use crate::task::{self, Executor, JoinHandle, Listing, Pulse, Reporter, Scheduled, Tasks};
use crate::time::{Clock, Timers, WakeUp, system_now};

/// The token of the worker's own wake-ups. No descriptor has this generation.
const WAKE: mio::Token = mio::Token(usize::MAX);

/// The value that a worker's threads can ask for: the selector.
pub(crate) type Owner = dyn Any + Send + Sync;

/// The values that the workers of a selector are made from.
pub(crate) struct WorkerParts {
    pub(crate) clock: Clock,
    pub(crate) spin: bool,
    /// Shared by the workers of a selector; `None` if there is only one.
    pub(crate) spin_limit: Option<Arc<SpinLimit>>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) reporter: Arc<Reporter>,
    /// The time after which a poll that has not ended is reported.
    pub(crate) blocked_after: Option<Duration>,
}

/// A worker whose turn has lasted this long gets no new task if another worker can have it.
const HELD_UP: Duration = Duration::from_millis(5);
/// And one whose turn has lasted this long gets none if another one can, even if that is held up, too: on a busy
/// machine every worker may be, for a moment.
const BLOCKED: Duration = Duration::from_millis(100);

/// The time for which a task has held up the others on a worker, from the best on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Delay {
    None,
    HeldUp,
    Blocked,
}

/// A worker, as all threads see it.
pub(crate) struct Worker {
    doorbell: Arc<Doorbell>,
    registry: mio::Registry,
    waker: mio::Waker,
    slots: Arc<Slots>,
    injected: Mutex<Vec<Scheduled>>,
    seat: Seat<Poller>,
    /// No descriptor is watched here any more. Remaining tasks and timers may still finish.
    stopped: AtomicBool,
    timers: Arc<Timers>,
    tasks: Arc<Tasks>,
    reporter: Arc<Reporter>,
    blocks: Arc<BlockLedger>,
    owner: OnceLock<Weak<Owner>>,
    activity: Activity,
    index: u16,
    /// Of a worker that a foreign runtime drives, or has driven.
    guest: Option<Arc<Guest>>,
    /// The selector has other workers.
    has_siblings: bool,
    /// When the worker was made.
    made: Instant,
    /// When the present turn began, in nanoseconds since the worker was made; [`IDLE`] while it waits. Kept
    /// only if there are other workers. It orders nothing, so every access is relaxed.
    turn_began: AtomicU64,
    watch: Option<Arc<PollWatch>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end_watch();
    }
}

/// The worker waits, or is not driven.
const IDLE: u64 = u64::MAX;

impl Worker {
    /// Makes a worker that no thread drives yet.
    fn new(parts: &WorkerParts, index: u16) -> io::Result<Arc<Self>> {
        let spin = Spin::new(parts.spin, parts.spin_limit.clone());
        Self::with(parts, index, spin, &parts.clock, None)
    }

    fn with(
        parts: &WorkerParts,
        index: u16,
        spin: Spin,
        clock: &Clock,
        guest: Option<Arc<Guest>>,
    ) -> io::Result<Arc<Self>> {
        let has_siblings = parts.spin_limit.is_some();
        let engine = Poller::new(spin)?;
        let registry = engine.registry()?;
        let waker = mio::Waker::new(&registry, WAKE)?;
        // A guest polls no task of a user's.
        let watch = parts
            .blocked_after
            .filter(|_| guest.is_none())
            .map(|after| PollWatch::new(after, index, &parts.tasks, &parts.reporter));
        let worker = Arc::new_cyclic(|weak| Self {
            watch,
            doorbell: Arc::new(Doorbell(Weak::clone(weak))),
            registry,
            waker,
            slots: Arc::default(),
            injected: Mutex::default(),
            seat: Seat::new(engine),
            stopped: AtomicBool::new(false),
            timers: Arc::new(Timers::new(clock.clone())),
            tasks: Arc::clone(&parts.tasks),
            reporter: Arc::clone(&parts.reporter),
            blocks: Arc::default(),
            owner: OnceLock::new(),
            activity: Activity::default(),
            index,
            guest,
            has_siblings,
            made: system_now(),
            turn_began: AtomicU64::new(IDLE),
        });
        let doorbell = Arc::clone(&worker.doorbell) as Arc<dyn WakeUp>;
        worker.timers.attach(Arc::downgrade(&doorbell));
        Ok(worker)
    }

    /// Sets the value that this worker works for. Called once.
    fn set_owner(&self, owner: Weak<Owner>) {
        self.owner.get_or_init(|| owner);
    }

    pub(crate) fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    pub(crate) fn blocks(&self) -> &Arc<BlockLedger> {
        &self.blocks
    }

    /// Returns the poll that this worker is in.
    fn pulse(&self) -> &Pulse {
        self.tasks.pulse(self.index)
    }

    /// Returns the worker's place among those of its selector.
    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    /// Returns what this worker has done, and holds.
    pub(crate) fn stats(&self) -> WorkerStats {
        WorkerStats {
            tasks: self.tasks.len_at(self.index),
            timers: self.timers.len(),
            watched: self.slots.len(),
            blocks: self.blocks.in_use(),
            turns: self.activity.turns.get(),
            sleeps: self.activity.sleeps.get(),
            spins: self.activity.spins.get(),
            spins_paid: self.activity.spins_paid.get(),
        }
    }

    /// Returns the system calls that the thread which drives this worker has made for sockets.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.activity.traffic
    }

    /// Returns how long a task has held up the others here.
    fn delay(&self, now: Instant) -> Delay {
        let began = self.turn_began.load(Ordering::Relaxed);
        // Of a worker that waits it is later than any time.
        match self.since_made(now).saturating_sub(began) {
            lasts if lasts > nanos(BLOCKED) => Delay::Blocked,
            lasts if lasts > nanos(HELD_UP) => Delay::HeldUp,
            _ => Delay::None,
        }
    }

    /// Records when a turn began; `None` when the worker is about to wait.
    fn note_turn(&self, began: Option<Instant>) {
        if self.has_siblings {
            let began = began.map_or(IDLE, |began| self.since_made(began));
            self.turn_began.store(began, Ordering::Relaxed);
        }
    }

    fn since_made(&self, moment: Instant) -> u64 {
        nanos(moment.saturating_duration_since(self.made))
    }

    /// Watches a socket here, edge-triggered, in both directions, until the result is dropped. The runtime of
    /// a guest becomes the descriptor's owner.
    pub(crate) fn register(self: &Arc<Self>, fd: SocketFd) -> Registered<Watched> {
        let Some(guest) = &self.guest else {
            return self.register_here(fd);
        };
        let (fd, registered) = guest.register(&self.slots, &self.registry, fd);
        let owner = if matches!(fd, Some(SocketFd::Runtime(_))) { BY_OWNER } else { 0 };
        (fd, registered.map(|ready| self.watched(ready, BY_WORKER | owner)))
    }

    fn watched(self: &Arc<Self>, ready: WorkerReady, by: u8) -> Watched {
        Watched { ready, worker: Arc::clone(self), by: AtomicU8::new(by) }
    }

    /// Starts a task that was listed for this worker.
    #[track_caller]
    pub(crate) fn start<T: Send + 'static, F: Future<Output: Send> + Send + 'static>(
        self: &Arc<Self>,
        listing: Listing,
        report: bool,
        future: F,
        into_result: impl Fn(F::Output) -> Result<T> + Send + 'static,
    ) -> JoinHandle<T> {
        let executor = Arc::clone(self) as Arc<dyn Executor>;
        let here = current::push_here;
        task::start(listing, &self.reporter, report, future, into_result, executor, here)
    }

    /// Makes every wait on a descriptor try its call again.
    pub(crate) fn wake_all_waits(&self) {
        let mut woken = Vec::new();
        self.slots.take_all(&mut woken);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Stops watching descriptors. A wait that is left is in another executor, and its selector answers it.
    /// The driving thread ends when no task and no timer is left.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.timers.end_with_the_last();
        if let Some(guest) = &self.guest {
            guest.stop();
        }
        self.end_watch();
        self.wake_all_waits();
        self.rouse();
    }

    fn end_watch(&self) {
        if let Some(watch) = &self.watch {
            watch.end();
        }
    }

    /// Returns `true` if the thread that drives ends when nothing is left: the worker was stopped, or the
    /// runtime of a guest has ended.
    fn is_needed_for_work_only(&self) -> bool {
        self.is_stopped() || self.guest.as_ref().is_some_and(|guest| guest.has_ended())
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Wakes an outbox's waker, which is one of the library's own, on a thread that has turns: the driver,
    /// which fires a timer that is due. May be called under the outbox's lock.
    pub(crate) fn wake_in_turn(&self, waker: Waker) {
        self.timers.add(self.timers.now(), waker);
    }

    /// Adds a task that was pushed from another thread.
    fn inject(&self, runnable: Scheduled) {
        lock(&self.injected).push(runnable);
    }

    fn has_injected(&self) -> bool {
        !lock(&self.injected).is_empty()
    }

    /// Ends the driver's sleep, if it sleeps.
    fn rouse(&self) {
        if let Some(guest) = &self.guest {
            guest.ring();
        }
        if self.seat.must_be_roused() {
            // The poll lives as long as the worker, so this write cannot fail for a reason that a caller
            // could act on. A write that a signal interrupts has woken no thread, so it is repeated.
            uninterrupted(|| self.waker.wake()).ok();
        }
    }

    /// Returns `true` if the worker must be driven although no thread waits in `block_on`.
    fn has_work(&self) -> bool {
        self.tasks.len_at(self.index) > 0
            || self.has_injected()
            // A sleep in another executor ends at its deadline, even after the selector is closed.
            || self.timers.len() > 0
            || (!self.is_stopped() && self.slots.len() > 0)
    }
}

impl Executor for Worker {
    /// Queues a task for the thread that drives this worker, which is another one.
    fn schedule(self: Arc<Self>, task: Scheduled) {
        self.inject(task);
        self.notify();
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(IDLE - 1)
}

/// A descriptor watched by a worker, which a thread must drive while there is a wait.
pub(crate) struct Watched {
    ready: WorkerReady,
    worker: Arc<Worker>,
    /// The parties that watch the descriptor for waits to read and write: [`BY_WORKER`], [`BY_OWNER`], or both. It
    /// orders nothing.
    by: AtomicU8,
}

/// The worker watches.
const BY_WORKER: u8 = 1;
/// The runtime that owns the descriptor watches.
const BY_OWNER: u8 = 1 << 1;

impl Ready for Watched {
    #[inline]
    fn slot(&self) -> &Arc<Slot> {
        self.ready.slot()
    }

    #[inline]
    fn begin_wait(&self, _: Direction) -> bool {
        let by = self.by.load(Ordering::Relaxed);
        if by & BY_WORKER != 0 {
            self.worker.ensure_driven();
        }
        by & BY_OWNER != 0
    }

    fn begin_watch(&self) {
        self.worker.ensure_driven();
    }

    #[cfg(unix)]
    fn take_over(&self, fd: &SocketFd) -> io::Result<()> {
        if let SocketFd::Runtime(socket) = fd {
            socket.leave();
            self.by.store(BY_WORKER, Ordering::Relaxed);
            self.ready.watch_all(&self.worker.registry, fd.as_fd())?;
            self.worker.ensure_driven();
        }
        Ok(())
    }
}

impl Drop for Watched {
    /// This may have been the last thing for which a thread drives the guest of a former runtime.
    fn drop(&mut self) {
        if self.worker.guest.as_ref().is_some_and(|guest| guest.has_ended()) {
            self.ready.remove();
            self.worker.rouse();
        }
    }
}

/// The part of a worker that timers and clocks know: something to wake.
#[derive(Debug)]
struct Doorbell(Weak<Worker>);

impl WakeUp for Doorbell {
    fn wake_up(&self) {
        // A clock that a test advances rings at each of its workers, also at those that nothing has needed.
        let Some(worker) = self.0.upgrade() else { return };
        if worker.timers.len() > 0 {
            worker.notify();
        } else if worker.is_needed_for_work_only() {
            worker.rouse();
        }
    }
}
