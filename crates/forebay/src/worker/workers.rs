//! The workers of a selector. The first one is made with the selector, each of the others when it gets its
//! first task: a worker that is never used holds no descriptor.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;

use forebay_io::seam::Outbox;

#[cfg(all(feature = "tokio", unix))]
use super::guest::Guests;
#[cfg(not(all(feature = "tokio", unix)))]
use super::no_guest::NoGuests as Guests;
use super::{Delay, Locks, Owner, Worker, WorkerParts, driver};
use crate::lock::lock;

/// The workers of a selector, and its guests: workers that foreign runtimes drive.
pub(crate) struct Workers {
    first: Arc<Worker>,
    others: Box<[OnceLock<Arc<Worker>>]>,
    guests: Guests,
    owner: OnceLock<Weak<Owner>>,
    /// Locked while another worker is made. `None` once no more are made.
    parts: Mutex<Option<WorkerParts>>,
}

impl Workers {
    /// Makes the first of `count` workers.
    pub(crate) fn new(count: u16, parts: WorkerParts) -> io::Result<Self> {
        let first = Worker::new(&parts, 0)?;
        let others = (1..count).map(|_| OnceLock::new()).collect();
        let guests = Guests::new(count);
        let parts = Mutex::new(Some(parts));
        Ok(Self { first, others, guests, owner: OnceLock::new(), parts })
    }

    /// Sets the value that the workers work for. Called once.
    pub(crate) fn set_owner(&self, owner: Weak<Owner>) {
        self.first.set_owner(Weak::clone(&owner));
        self.owner.get_or_init(|| owner);
    }

    fn get(&self, index: u16) -> Option<&Arc<Worker>> {
        match usize::from(index).checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.get(other)?.get(),
        }
    }

    /// Returns the worker with this index if it is made, and otherwise the first one.
    pub(crate) fn made(&self, index: u16) -> &Arc<Worker> {
        self.get(index).unwrap_or(&self.first)
    }

    /// Returns `true` if the worker with this index is made.
    pub(crate) fn is_made(&self, index: u16) -> bool {
        self.get(index).is_some()
    }

    /// Returns the worker with this index, which is made if necessary; `None` if it cannot be made, because
    /// no descriptor is left for it, or is not made any more.
    pub(crate) fn get_or_make(&self, index: u16) -> Option<&Arc<Worker>> {
        if let Some(worker) = self.get(index) {
            return Some(worker);
        }
        let place = self.others.get(usize::from(index).checked_sub(1)?)?;
        let parts = lock(&self.parts);
        if place.get().is_none() {
            let worker = Worker::new(parts.as_ref()?, index).ok()?;
            if let Some(owner) = self.owner.get() {
                worker.set_owner(Weak::clone(owner));
            }
            place.get_or_init(|| worker);
        }
        place.get()
    }

    /// Makes no more workers from now on, because no more tasks are accepted that would be theirs.
    pub(crate) fn make_no_more(&self) {
        let unneeded = lock(&self.parts).take();
        drop(unneeded);
    }

    /// Returns the guest of this thread's runtime, which is made if necessary. `None` on a worker's thread, on
    /// a thread without a runtime, and in a runtime that cannot drive a worker.
    pub(crate) fn guest_here(&self) -> Option<Arc<Worker>> {
        self.guests.here(&self.parts, &self.owner)
    }

    /// Flushes the outbox when this thread's runtime has polled the tasks that are ready. Returns `false` where
    /// there is no [guest](Self::guest_here).
    pub(crate) fn defer_to_guest(&self, outbox: &Arc<Outbox>, locks: Locks) -> bool {
        self.guests.defer(outbox, locks, (&self.parts, &self.owner))
    }

    /// Returns the workers that are made, without the guests.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Worker>> {
        std::iter::once(&self.first).chain(self.others.iter().filter_map(OnceLock::get))
    }

    /// Calls with each worker that is made, and with each guest.
    pub(crate) fn for_all(&self, mut call: impl FnMut(&Worker)) {
        self.iter().for_each(|worker| call(worker));
        self.guests.all().iter().for_each(|worker| call(worker));
    }

    /// Stops all workers. No further guest is made.
    pub(crate) fn stop(&self) {
        self.iter().for_each(|worker| worker.stop());
        self.guests.stop();
    }

    /// Returns how long a task has held up the others on this worker.
    pub(crate) fn delay(&self, index: u16, now: Instant) -> Delay {
        self.get(index).map_or(Delay::None, |worker| worker.delay(now))
    }

    /// Runs a future on this thread; see [`driver::block_on`].
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        driver::block_on(self.iter(), &self.first, future)
    }
}
