//! Guests: workers that a foreign runtime drives, in a task of its own instead of a thread of ours.
//!
//! A selector has one for each runtime in which its sockets or timers are waited for. It watches the
//! descriptors that were first waited for there, fires the timers, runs the selector's own tasks (the closes
//! that no user waits for), and never a user's. When its runtime ends before it, a thread goes on with what is
//! left.

mod bell;
mod driver;
mod flusher;
mod part;

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use forebay_io::seam::Outbox;

use self::driver::GuestDriver;
use self::flusher::{choose, defer_to_last};
pub(super) use self::part::Guest;
use super::flush::Locks;
use super::spin::Spin;
use super::{Owner, Worker, WorkerParts, current};
use crate::host::runtime::{NoWatch, Runtime, RuntimeId, RuntimeWatch};
use crate::lock::lock;

/// The number of entries above which those of former runtimes are removed.
const ENTRIES_KEPT: usize = 16;

/// The guests of a selector.
#[derive(Debug)]
pub(super) struct Guests {
    state: Mutex<State>,
    /// The index of the first one. Each has another.
    first_index: u16,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<RuntimeEntry>,
    /// The selector makes no guests any more.
    is_stopped: bool,
}

/// The state of a runtime, as far as it is known. The worker is gone if the runtime was built without I/O or time, or has ended
/// and left nothing.
#[derive(Debug)]
struct RuntimeEntry {
    runtime: RuntimeId,
    worker: Weak<Worker>,
    index: u16,
}

impl State {
    fn knows(&self, id: RuntimeId) -> bool {
        self.is_stopped || self.of(id).is_some()
    }

    fn of(&self, id: RuntimeId) -> Option<&RuntimeEntry> {
        self.entries.iter().find(|entry| entry.runtime == id)
    }

    fn is_used(&self, index: u16) -> bool {
        self.entries.iter().any(|entry| entry.index == index && entry.worker.strong_count() > 0)
    }

    fn add(&mut self, entry: RuntimeEntry) {
        if self.entries.len() >= ENTRIES_KEPT {
            self.entries.retain(|entry| entry.worker.strong_count() > 0);
        }
        self.entries.push(entry);
    }
}

/// The values from which a selector's workers are made.
type Parts<'a> = (&'a Mutex<Option<WorkerParts>>, &'a OnceLock<Weak<Owner>>);

impl Guests {
    pub(super) fn new(first_index: u16) -> Self {
        Self { state: Mutex::default(), first_index }
    }

    /// Returns the guest of this thread's runtime, which is made if necessary; `None` on a thread without a
    /// runtime, and in one that cannot drive a worker.
    pub(super) fn here(
        &self,
        parts: &Mutex<Option<WorkerParts>>,
        owner: &OnceLock<Weak<Owner>>,
    ) -> Option<Arc<Worker>> {
        self.of(&runtime_here()?, (parts, owner))
    }

    /// Flushes the outbox soon, in a task of this thread's runtime. Returns `false` if there is none.
    pub(super) fn defer(&self, outbox: &Arc<Outbox>, locks: Locks, parts: Parts<'_>) -> bool {
        let Some(runtime) = runtime_here() else { return false };
        let (id, guests) = (runtime.id(), std::ptr::from_ref(self).addr());
        if defer_to_last(id, guests, outbox, locks) {
            return true;
        }
        let worker = self.of(&runtime, parts);
        let guest = worker.as_ref().and_then(|worker| worker.guest.as_ref());
        guest.is_some_and(|guest| choose(&guest.flushers, id, guests).defer(outbox))
    }

    /// Returns the guests that exist, also those whose runtime has ended.
    pub(super) fn all(&self) -> Vec<Arc<Worker>> {
        lock(&self.state).entries.iter().filter_map(|entry| entry.worker.upgrade()).collect()
    }

    /// Stops the guests. No further one is made.
    pub(super) fn stop(&self) {
        lock(&self.state).is_stopped = true;
        self.all().iter().for_each(|worker| worker.stop());
    }

    fn of(&self, runtime: &Runtime, parts: Parts<'_>) -> Option<Arc<Worker>> {
        loop {
            let state = lock(&self.state);
            if state.knows(runtime.id()) {
                let worker = state.of(runtime.id()).map(|entry| Weak::clone(&entry.worker));
                // The lock is released first: this may be the worker's last reference.
                drop(state);
                return worker?.upgrade().filter(|worker| worker.is_driven_by_runtime());
            }
            let free = (self.first_index..=u16::MAX).find(|index| !state.is_used(*index));
            drop(state);
            self.try_make(runtime, free?, parts)?;
        }
    }

    /// Makes the guest of a runtime, unless another thread has made it meanwhile, or one with this index.
    /// Returns `None` if it cannot be made now, because no descriptor is left for it. No lock is held while the
    /// runtime is asked, because the process's panic hook may run then.
    fn try_make(&self, runtime: &Runtime, index: u16, (parts, owner): Parts<'_>) -> Option<()> {
        let guest = Arc::new(Guest::new(runtime.threads_count()));
        // Without parts the selector is closed, and its first worker answers what is left.
        let worker = Worker::new_guest(lock(parts).as_ref()?, index, Arc::clone(&guest)).ok()?;
        if let Some(owner) = owner.get() {
            worker.set_owner(Weak::clone(owner));
        }
        let poll = worker.registry.as_fd().try_clone_to_owned().ok()?;
        let made = match RuntimeWatch::new(poll) {
            // Taken before another thread can know the worker, and start a thread for it.
            Ok(watch) => Some((worker.seat.take()?, worker, watch)),
            Err(NoWatch::Ever) => None,
            Err(NoWatch::Now) => return None,
        };
        let beginning = guest.begin();
        let mut state = lock(&self.state);
        if state.knows(runtime.id()) || state.is_used(index) {
            return Some(());
        }
        let worker = made.as_ref().map_or_else(Weak::new, |(_, worker, _)| Arc::downgrade(worker));
        state.add(RuntimeEntry { runtime: runtime.id(), worker, index });
        drop(state);
        if let Some((engine, worker, watch)) = made {
            guest.flushers.start(runtime);
            let driver = GuestDriver::new(engine, worker, Arc::clone(&guest), watch);
            runtime.spawn(driver);
        }
        drop(beginning);
        Some(())
    }
}

impl Worker {
    /// Makes a worker for a foreign runtime to drive, with the runtime's clock.
    fn new_guest(parts: &WorkerParts, index: u16, guest: Arc<Guest>) -> io::Result<Arc<Self>> {
        let clock = parts.clock.of_runtime();
        Self::with(parts, index, Spin::new(false, None), &clock, Some(guest))
    }

    /// Returns `true` if a task of a foreign runtime drives this worker.
    fn is_driven_by_runtime(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| !guest.has_ended())
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the runtime of this thread, unless the thread is in a worker's context, or waits beside one: the
/// runtime may wait for that thread.
fn runtime_here() -> Option<Runtime> {
    let runtime = Runtime::current()?;
    (!current::is_inside()).then_some(runtime)
}
