//! Threads that push to a worker, beside one that drives it, sleeps, and stops driving.
//!
//! ```text
//!   pusher: push ─► driven? ─► asleep? ring      driver: look ─► asleep ─► look ─► sleep; leave ─► look
//! ```
//!
//! Everything that was pushed is done when all threads have returned: by the driver, or by the thread that
//! found no driver. A lost wake-up is a driver that sleeps forever, which the checkers report.

use std::sync::Arc;

use forebay_models::seat::Driven;
use forebay_models::{explore, spawn};

#[test]
fn a_sleeping_driver_is_woken_for_everything() {
    explore("seat: a driver that waits for two, two threads that push one", || {
        let worker = Arc::new(Driven::default());
        let pushers = [(); 2].map(|()| {
            let worker = Arc::clone(&worker);
            spawn(move || worker.push())
        });
        worker.drive_until(2);
        for pusher in pushers {
            pusher.join().expect("no panic");
        }
        assert_eq!(worker.done(), 2);
    });
}

#[test]
fn what_is_pushed_while_a_driver_leaves_is_done() {
    explore("seat: a driver that leaves after one, two pushes of a thread", || {
        let worker = Arc::new(Driven::default());
        let pusher = spawn({
            let worker = Arc::clone(&worker);
            move || {
                worker.push();
                worker.push();
            }
        });
        worker.drive_until(1);
        pusher.join().expect("no panic");
        assert_eq!(worker.done(), 2);
    });
}

/// A ring that comes after the driver has left is left over; the next driver only looks once more.
#[test]
fn two_drivers_take_turns() {
    explore("seat: two drivers, and a push", || {
        let worker = Arc::new(Driven::default());
        let other = spawn({
            let worker = Arc::clone(&worker);
            move || worker.drive_until(1)
        });
        worker.push();
        worker.drive_until(1);
        other.join().expect("no panic");
        assert_eq!(worker.done(), 1);
    });
}
