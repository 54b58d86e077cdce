//! The seat of the thread that drives a worker: which one has the engine, and whether it sleeps.
//!
//! ```text
//!   other thread: push ─► is it driven? ─ yes ─► does it sleep? ─ yes ─► ring
//!                              └── no ─► take the engine, drive
//!   driver: take the engine ─► look at the queues ─► asleep ─► look again ─► sleep ─► awake
//!           put the engine back ─► look at the queues once more ─► take it again
//! ```
//!
//! In both pairs each side first takes its step and then looks for the other's, and all of these are
//! sequentially consistent, so at least one of the two sees the other. `models/tests/seat.rs` runs this source
//! in every order of the threads.

use crate::lock::lock;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The engine `E` of a worker, while no thread drives it, and the state of the thread that does.
pub(crate) struct Seat<E> {
    engine: Mutex<Option<E>>,
    /// A thread has the engine. Written before that thread looks at the queues one last time, and read after
    /// another thread has pushed to them.
    driven: AtomicBool,
    /// The driver sleeps, or is about to; paired in the same way.
    sleeping: AtomicBool,
}

impl<E> Seat<E> {
    /// Makes a seat that no thread has taken.
    pub(crate) fn new(engine: E) -> Self {
        Self {
            engine: Mutex::new(Some(engine)),
            driven: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
        }
    }

    /// Takes the engine; `None` if another thread has it.
    pub(crate) fn take(&self) -> Option<E> {
        let mut engine = lock(&self.engine);
        let taken = engine.take();
        if taken.is_some() {
            self.driven.store(true, Ordering::SeqCst);
        }
        taken
    }

    /// Puts the engine back, under the same lock as taking it: a thread that takes it from here on counts
    /// as driving.
    pub(crate) fn put_back(&self, taken: Option<E>) {
        let mut engine = lock(&self.engine);
        *engine = taken;
        self.driven.store(false, Ordering::SeqCst);
    }

    /// Returns `true` if a thread drives. Asked after something was pushed for it.
    pub(crate) fn is_driven(&self) -> bool {
        self.driven.load(Ordering::SeqCst)
    }

    /// Records that the driver is about to sleep. It looks at its queues once more after this.
    pub(crate) fn fall_asleep(&self) {
        // An exchange, as everywhere: the checkers order no plain store behind another thread's exchange.
        self.sleeping.swap(true, Ordering::SeqCst);
    }

    /// Records that the driver is awake.
    pub(crate) fn wake_up(&self) {
        self.sleeping.swap(false, Ordering::SeqCst);
    }

    /// Returns `true` if the driver sleeps and no other thread ends that sleep: then the caller must.
    pub(crate) fn must_be_roused(&self) -> bool {
        self.sleeping.swap(false, Ordering::SeqCst)
    }
}
