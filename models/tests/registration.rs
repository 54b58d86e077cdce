//! A descriptor that is waited for, registered at the first wait, and released or woken at the same time.
//!
//! ```text
//!   reader: attempt ─► register ─► wait     writer: the same     watcher: register ─► watch
//!   closer: release the descriptor, or close the selector
//!   kernel: something arrives, room is made
//! ```
//!
//! Every wait ends, not only the one in progress: a release ends each wait that comes after it. Each unit
//! that arrived is read exactly once.

use std::sync::Arc;

use forebay_models::readiness::{Outcome, Watched};
use forebay_models::{block_on, explore, spawn};

fn read(watched: &Watched) -> Outcome {
    block_on(None, watched.read())
}

#[test]
fn a_read_beside_a_release_is_answered_and_so_is_the_next() {
    explore("registration: read, read again, release", || {
        let watched = Arc::new(Watched::default());
        let reader = spawn({
            let watched = Arc::clone(&watched);
            move || [read(&watched), read(&watched)]
        });
        assert!(watched.release());
        assert_eq!(reader.join().expect("no panic"), [Outcome::Released; 2]);
        assert!(watched.is_released() && !watched.release());
    });
}

#[test]
fn a_read_after_watching_for_the_end_beside_a_release_is_answered() {
    explore("registration: watch, read, release", || {
        let watched = Arc::new(Watched::default());
        let reader = spawn({
            let watched = Arc::clone(&watched);
            move || {
                watched.watch_hangup();
                read(&watched)
            }
        });
        watched.release();
        assert_eq!(reader.join().expect("no panic"), Outcome::Released);
    });
}

#[test]
fn two_waits_register_once_and_a_release_is_told_to_both() {
    explore("registration: read, watch and read, release", || {
        let watched = Arc::new(Watched::default());
        let reader = spawn({
            let watched = Arc::clone(&watched);
            move || read(&watched)
        });
        let other = spawn({
            let watched = Arc::clone(&watched);
            move || watched.watch_hangup()
        });
        watched.release();
        assert_eq!(reader.join().expect("no panic"), Outcome::Released);
        other.join().expect("no panic");
    });
}

#[test]
fn what_arrives_beside_the_first_wait_is_read() {
    explore("registration: read twice, two arrive", || {
        let watched = Arc::new(Watched::default());
        let reader = spawn({
            let watched = Arc::clone(&watched);
            move || [read(&watched), read(&watched)]
        });
        watched.arrive();
        watched.arrive();
        assert_eq!(reader.join().expect("no panic"), [Outcome::Done; 2]);
    });
}

// Not under loom, which treats the sequentially consistent accesses of `Slot::writer_waits` as acquiring
// and releasing ones, and finds orders that no machine has.
#[cfg(shuttle)]
#[test]
fn room_that_is_made_beside_the_first_wait_is_taken() {
    explore("registration: write twice, room is made twice", || {
        let watched = Arc::new(Watched::default());
        let writer = spawn({
            let watched = Arc::clone(&watched);
            move || [(); 2].map(|()| block_on(None, watched.write()))
        });
        watched.make_room();
        watched.make_room();
        assert_eq!(writer.join().expect("no panic"), [Outcome::Done; 2]);
    });
}

#[cfg(shuttle)]
#[test]
fn a_read_and_a_write_beside_a_release_are_answered() {
    explore("registration: read, write, release", || {
        let watched = Arc::new(Watched::default());
        let reader = spawn({
            let watched = Arc::clone(&watched);
            move || read(&watched)
        });
        let writer = spawn({
            let watched = Arc::clone(&watched);
            move || block_on(None, watched.write())
        });
        watched.release();
        assert_eq!(reader.join().expect("no panic"), Outcome::Released);
        assert_eq!(writer.join().expect("no panic"), Outcome::Released);
    });
}

#[test]
fn what_arrives_beside_a_release_is_read_at_most_once() {
    explore("registration: read until released, one arrives, release", || {
        let watched = Arc::new(Watched::default());
        let reader = spawn({
            let watched = Arc::clone(&watched);
            move || [read(&watched), read(&watched), read(&watched)]
        });
        watched.arrive();
        watched.release();
        let read = reader.join().expect("no panic");
        assert_eq!(read[1..], [Outcome::Released; 2], "{read:?}");
        assert_ne!(read[0], Outcome::Refused);
    });
}

#[test]
fn a_read_beside_a_closing_selector_is_answered_and_so_is_the_next() {
    explore("registration: read, read again, close the selector", || {
        let watched = Arc::new(Watched::default());
        let reader = spawn({
            let watched = Arc::clone(&watched);
            move || [read(&watched), read(&watched)]
        });
        watched.close_selector();
        assert_eq!(reader.join().expect("no panic"), [Outcome::Refused; 2]);
    });
}

#[test]
fn a_last_drop_that_discards_beside_a_closing_selector_ends() {
    explore("registration: two arrive, discard, close the selector", || {
        let watched = Arc::new(Watched::default());
        watched.arrive();
        watched.arrive();
        let dropper = spawn({
            let watched = Arc::clone(&watched);
            move || watched.discard()
        });
        watched.close_selector();
        assert!(dropper.join().expect("no panic") <= 2);
        assert_eq!(watched.discard(), 0);
    });
}

#[test]
fn a_close_that_discards_beside_an_arrival_and_a_release_ends() {
    explore("registration: discard, one arrives, release", || {
        let watched = Arc::new(Watched::default());
        let closer = spawn({
            let watched = Arc::clone(&watched);
            move || watched.discard()
        });
        watched.arrive();
        watched.release();
        assert!(closer.join().expect("no panic") <= 1);
        assert_eq!(watched.discard(), 0);
    });
}
