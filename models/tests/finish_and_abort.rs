//! Finishing and aborting at once.
//!
//! ```text
//!   writer                  closer                     transport
//!   write "a"               abort(cause)               takes the end mark
//!   finish ──► advance        └─► release waiters        └─► wake ─► advance
//!   wait Finished                                      wait Finished
//! ```
//!
//! The outbox ends in one of two ways, and every wait returns the same one: the end mark and no reset, or
//! one reset and no end mark, for one cause.

use std::sync::Arc;

use forebay_io::seam::{Cause, Outbox, Until};
use forebay_io::{ByteWriteChannel, Error, Result};
use forebay_models::{TestSchedule, Transport, When, block_on, explore, spawn};

#[test]
fn an_outbox_finishes_or_is_given_up() {
    explore("finish and abort", finish_and_abort);
}

#[test]
fn an_outbox_is_given_up_for_one_cause() {
    explore("two aborts", two_aborts);
}

#[test]
fn both_halves_are_given_up_for_one_cause() {
    explore("an abort, and a cause that the reading half meets", shared_cause);
}

fn finish_and_abort() {
    let transport = Transport::new(1, false);
    let outbox = transport.outbox(&TestSchedule::new(When::AtOnce));
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);

    let writer = spawn({
        let outbox = Arc::clone(&outbox);
        move || {
            // Refused if the closer was first.
            let written = block_on(Some(&outbox), output.write_str("a"));
            let finished = block_on(Some(&outbox), output.finish());
            assert!(written.is_ok() || finished.is_err(), "refused and then finished");
            // Only now: dropping it would finish it.
            (finished, output)
        }
    });
    let closer = spawn({
        let outbox = Arc::clone(&outbox);
        move || outbox.abort(&Error::other("the closer's"))
    });
    transport.take_end();
    let watched = block_on(Some(&outbox), outbox.wait(Until::Finished));

    let (finished, _output) = writer.join().expect("no panic");
    closer.join().expect("no panic");
    assert!(outbox.is_settled());
    assert_eq!(transport.is_ended(), transport.reset().is_none(), "both ends, or neither");
    assert_told(&finished, &transport);
    assert_told(&watched, &transport);
    assert_eq!(outbox.queued(), 0);
}

/// The result of a call agrees with what happened to the transport.
fn assert_told(returned: &Result<()>, transport: &Transport) {
    let told = returned.as_ref().err().map(ToString::to_string);
    assert_eq!(told, transport.reset(), "told something else than what happened");
}

/// ```text
///   closer                  another closer             writer
///   abort("one")            abort("two")               write "a"
///   wait Finished           wait Finished              flush
/// ```
fn two_aborts() {
    let transport = Transport::new(0, false);
    let outbox = transport.outbox(&TestSchedule::new(When::AtOnce));
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);

    let closers = ["one", "two"].map(|cause| spawn(closer(Arc::clone(&outbox), cause)));
    let flushed = match block_on(Some(&outbox), output.write_str("a")) {
        Ok(()) => block_on(Some(&outbox), output.flush()),
        Err(refused) => Err(refused),
    };
    let told = closers.map(|closer| closer.join().expect("no panic"));
    assert!(transport.reset().is_some());
    assert_told(&flushed, &transport);
    for told in &told {
        assert_told(told, &transport);
    }
}

fn closer(outbox: Arc<Outbox>, cause: &'static str) -> impl FnOnce() -> Result<()> {
    move || {
        outbox.abort(&Error::other(cause));
        block_on(Some(&outbox), outbox.wait(Until::Finished))
    }
}

/// ```text
///   closer                            reader
///   abort("the closer's")             meets an error: cause.record("the reader's")
///   wait Finished                     abort(what counts)
/// ```
fn shared_cause() {
    let transport = Transport::new(0, false);
    let cause = Cause::default();
    let outbox = transport.outbox_sharing(cause.clone(), &TestSchedule::new(When::AtOnce));

    let closer = spawn(closer(Arc::clone(&outbox), "the closer's"));
    let reader = spawn({
        let (outbox, cause) = (Arc::clone(&outbox), cause.clone());
        move || {
            let counts = cause.record(Error::other("the reader's"));
            outbox.abort(&counts);
            counts
        }
    });
    let told = closer.join().expect("no panic");
    let counts = reader.join().expect("no panic");
    assert_told(&told, &transport);
    assert_told(&Err(counts), &transport);
    assert_eq!(cause.get().map(ToString::to_string), transport.reset());
}
