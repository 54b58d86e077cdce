//! A burst of writes is on a worker's stage while other threads use the channel.
//!
//! ```text
//!   worker                            another thread
//!   write "1": queue, defer           finish ──► advance
//!   write "2": queue, stage begins      └─► no end mark while bytes are on a stage
//!   write "3": stage, no lock         wait Finished
//!   end of poll: settle ──► queue
//!   end of turn: advance
//! ```
//!
//! Nothing overtakes staged bytes: no end mark, no flush, and no item of another thread that the channel
//! was handed to. Accepted bytes are sent; once a thread knows that the channel was finished, nothing more
//! is accepted.

use std::sync::Arc;

use forebay_io::seam::Until;
use forebay_io::{ByteWriteChannel, Error};
use forebay_models::atomic::{AtomicBool, Ordering};
use forebay_models::{TestSchedule, Transport, When, block_on, explore, mpsc, spawn, work_on};

/// The items of a burst that begins a stage and leaves it empty, and of one that puts bytes on it.
const TWO: &[&str] = &["1", "2"];
const FOUR: &[&str] = &["1", "2", "3", "4"];

#[test]
fn no_end_mark_overtakes_what_is_staged() {
    explore("a stage and finish", || stage_and_finish(FOUR));
    explore("a stage with nothing on it, and finish", || stage_and_finish(TWO));
}

#[test]
fn no_flush_and_no_item_overtakes_what_is_staged() {
    explore("a stage, and a flush by the thread that was handed the channel", stage_and_flush);
}

#[test]
fn no_other_stage_overtakes_what_is_staged() {
    explore("a stage, and the stage of who was handed the channel", || stage_and_stage(FOUR));
    explore("a stage with nothing on it, and the same", || stage_and_stage(TWO));
}

#[test]
fn what_is_staged_is_dropped_with_a_channel_that_was_given_up() {
    explore("a stage and abort", stage_and_abort);
}

fn stage_and_finish(items: &'static [&'static str]) {
    let transport = Transport::open();
    let turns = TestSchedule::new(When::AtTurn);
    let outbox = transport.outbox(&turns);
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);
    let is_finished = Arc::new(AtomicBool::new(false));

    let worker = spawn({
        let (turns, is_finished) = (Arc::clone(&turns), Arc::clone(&is_finished));
        move || {
            let accepted = work_on(&turns, None, async {
                let mut accepted = Vec::new();
                for item in items {
                    // Pairs with the Release below: a writer that knows of the end is refused.
                    let knows = is_finished.load(Ordering::Acquire);
                    match output.write_str(item).await {
                        Ok(()) => {
                            assert!(!knows, "accepted after the end");
                            accepted.extend_from_slice(item.as_bytes());
                        }
                        Err(refused) => assert!(refused.is_closed(), "{refused}"),
                    }
                }
                accepted
            });
            (accepted, output)
        }
    });
    outbox.finish();
    is_finished.store(true, Ordering::Release);
    // A turn may end early: outboxes deferred until now are on no list any more.
    turns.end_turn();
    block_on(Some(&outbox), outbox.wait(Until::Finished)).expect("no call aborted");
    assert!(transport.is_ended());

    let (accepted, _output) = worker.join().expect("no panic");
    assert_eq!(transport.sent(), accepted);
}

fn stage_and_flush() {
    let transport = Transport::open();
    let turns = TestSchedule::new(When::AtTurn);
    let outbox = transport.outbox(&turns);
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);
    let (hand_over, handed) = mpsc::channel();

    let worker = spawn({
        let (outbox, turns) = (Arc::clone(&outbox), Arc::clone(&turns));
        move || {
            work_on(&turns, Some(&outbox), async {
                for item in ["1", "2", "3"] {
                    output.write_str(item).await.expect("open");
                }
                // In the same poll: the staged bytes are settled only after this.
                hand_over.send(output).expect("the other thread waits for it");
            });
        }
    });
    let mut output: ByteWriteChannel = handed.recv().expect("the worker sends it");
    block_on(Some(&outbox), output.flush()).expect("no call aborted");
    assert_eq!(transport.sent(), b"123", "flushed before it was sent");
    block_on(Some(&outbox), output.write_str("4")).expect("open");
    drop(output);
    worker.join().expect("no panic");
    while turns.end_turn() {}
    assert_eq!(transport.sent(), b"1234");
    assert!(transport.is_ended());
}

fn stage_and_stage(items: &'static [&'static str]) {
    let transport = Transport::open();
    let turns = TestSchedule::new(When::AtTurn);
    let outbox = transport.outbox(&turns);
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);
    let (hand_over, handed) = mpsc::channel();

    let worker = spawn({
        let (outbox, turns) = (Arc::clone(&outbox), Arc::clone(&turns));
        move || {
            work_on(&turns, Some(&outbox), async {
                for item in items {
                    output.write_str(item).await.expect("open");
                }
                hand_over.send(output).expect("the other thread waits for it");
            });
        }
    });
    let mut output: ByteWriteChannel = handed.recv().expect("the worker sends it");
    work_on(&turns, Some(&outbox), async {
        for item in ["7", "8", "9"] {
            output.write_str(item).await.expect("open");
        }
    });
    worker.join().expect("no panic");
    while turns.end_turn() {}
    assert_eq!(transport.sent(), [items, &["7", "8", "9"]].concat().concat().as_bytes());
}

fn stage_and_abort() {
    let transport = Transport::open();
    let turns = TestSchedule::new(When::AtTurn);
    let outbox = transport.outbox(&turns);
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);

    let worker = spawn({
        let (outbox, turns, transport) =
            (Arc::clone(&outbox), Arc::clone(&turns), Arc::clone(&transport));
        move || {
            let mut accepted = Vec::new();
            work_on(&turns, Some(&outbox), async {
                for item in ["1", "2", "3"] {
                    // Refused from the abort on, except for bytes that the stage takes before it knows.
                    if output.write_str(item).await.is_ok() {
                        accepted.extend_from_slice(item.as_bytes());
                    }
                }
            });
            if work_on(&turns, Some(&outbox), output.flush()).is_ok() {
                assert_eq!(transport.sent(), accepted, "flushed, but lost");
            }
            // Only later: dropping it would finish it.
            output
        }
    });
    outbox.abort(&Error::other("given up"));
    let _output = worker.join().expect("no panic");
    while turns.end_turn() {}
    assert!(b"123".starts_with(&transport.sent()));
    assert_eq!(transport.reset().as_deref(), Some("given up"));
    assert_eq!(outbox.queued(), 0, "kept for nobody");
}
