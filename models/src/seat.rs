//! A worker that threads push to and take turns to drive, around the shipped seat.

#[path = "../../crates/forebay/src/worker/seat.rs"]
mod shipped;

use self::shipped::Seat;
use crate::checker::{Condvar, Mutex, lock};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// A worker without tasks: what is pushed is counted by the thread that drives.
pub struct Driven {
    seat: Seat<()>,
    injected: Mutex<usize>,
    done: AtomicUsize,
    /// The worker's wake-up, in the place of the kernel's.
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Default for Driven {
    fn default() -> Self {
        Self {
            seat: Seat::new(()),
            injected: Mutex::new(0),
            done: AtomicUsize::new(0),
            rung: Mutex::new(false),
            bell: Condvar::new(),
        }
    }
}

impl Driven {
    /// Pushes one thing to do, and makes sure that a thread does it: as `Worker::schedule` does.
    pub fn push(&self) {
        *lock(&self.injected) += 1;
        if self.seat.is_driven() {
            if self.seat.must_be_roused() {
                *lock(&self.rung) = true;
                self.bell.notify_one();
            }
        } else {
            self.drive_until_idle();
        }
    }

    /// Drives until so much is done, and sleeps in between: as a thread in `block_on`. Does nothing if
    /// another thread drives.
    pub fn drive_until(&self, count: usize) {
        if self.seat.take().is_none() {
            return;
        }
        while self.done() < count {
            self.work();
            if self.done() < count {
                self.sleep();
            }
        }
        self.leave();
    }

    /// Returns how much is done.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Drives until nothing is left: in the place of a thread of the worker's own.
    fn drive_until_idle(&self) {
        if self.seat.take().is_some() {
            self.work();
            self.leave();
        }
    }

    fn work(&self) {
        let taken = std::mem::take(&mut *lock(&self.injected));
        self.done.fetch_add(taken, Ordering::Relaxed);
    }

    fn sleep(&self) {
        self.seat.fall_asleep();
        let has_more = *lock(&self.injected) > 0;
        if !has_more {
            let mut rung = lock(&self.rung);
            while !*rung {
                rung = self.bell.wait(rung).expect("no model poisons it");
            }
            *rung = false;
        }
        self.seat.wake_up();
    }

    /// Puts the engine back and, if something was pushed before that was known, goes on.
    fn leave(&self) {
        self.seat.put_back(Some(()));
        let has_more = *lock(&self.injected) > 0;
        if has_more {
            self.drive_until_idle();
        }
    }
}
