//! An outbox over an outbox, as TLS lies over a connection.
//!
//! ```text
//!   writer ──► upper outbox ──► layer (its own lock) ──► lower outbox ──► transport
//!                 ▲                ▲                        ▲
//!               turns            opens                    room, wakes
//! ```
//!
//! Locks are taken downwards only, and nothing is woken under any of them: the wakers of the tasks
//! look at the upper outbox.

use std::sync::Arc;

use forebay_io::seam::{Outbox, Until};
use forebay_io::{ByteWriteChannel, Error};
use forebay_models::{Layer, TestSchedule, Transport, When, block_on, explore, spawn};

/// Both outboxes over a transport.
struct Two {
    transport: Arc<Transport>,
    layer: Arc<Layer>,
    lower: Arc<Outbox>,
    upper: Arc<Outbox>,
}

impl Two {
    fn new(transport: Arc<Transport>, turns: &Arc<TestSchedule>) -> Self {
        let layer = Layer::new();
        let lower = transport.outbox(turns);
        let upper = layer.outbox(&lower);
        Self { transport, layer, lower, upper }
    }

    fn writer(&self) -> ByteWriteChannel {
        ByteWriteChannel::new(Arc::clone(&self.upper), None)
    }
}

#[test]
fn a_flush_ends_when_the_transport_has_everything() {
    explore("a flush through two outboxes", flush);
}

#[test]
fn what_is_written_before_the_layer_opens_is_sent_when_it_does() {
    explore("a write while the layer opens", opening);
}

#[test]
fn both_outboxes_finish_or_both_are_given_up() {
    explore("finish and abort through two outboxes", finish_and_abort);
}

#[test]
fn a_dropped_writer_finishes_through_both() {
    explore("the drop of a writer over two outboxes", dropped);
}

/// ```text
///   writer                  worker                     transport
///   write "abc", flush      ends turns                 room for 3, then for all
/// ```
fn flush() {
    let turns = TestSchedule::new(When::AtTurn);
    let two = Two::new(Transport::new(0, false), &turns);
    two.layer.open();
    let mut output = two.writer();

    let worker = spawn({
        let turns = Arc::clone(&turns);
        move || turns.end_turns()
    });
    let writer = spawn({
        let (transport, upper) = (Arc::clone(&two.transport), Arc::clone(&two.upper));
        move || {
            block_on(Some(&upper), output.write_str("abc")).expect("open");
            block_on(Some(&upper), output.flush()).expect("no call aborted");
            assert_eq!(Layer::read(&transport.sent()).0, b"abc", "told before it was sent");
            output
        }
    });
    two.transport.give_room(3);
    two.transport.give_room(usize::MAX);

    drop(writer.join().expect("no panic"));
    turns.close();
    worker.join().expect("no panic");
    assert_eq!(Layer::read(&two.transport.sent()), (b"abc".to_vec(), true));
}

/// ```text
///   writer                  handshake                  another
///   write "ab"              open ──► wake              advance
///   finish
/// ```
fn opening() {
    let turns = TestSchedule::new(When::AtOnce);
    let two = Two::new(Transport::open(), &turns);
    let mut output = two.writer();

    let writer = spawn({
        let upper = Arc::clone(&two.upper);
        move || {
            block_on(Some(&upper), output.write_str("ab")).expect("open");
            block_on(Some(&upper), output.finish()).expect("no call aborted");
        }
    });
    let handshake = spawn({
        let layer = Arc::clone(&two.layer);
        move || layer.open()
    });
    two.upper.advance();

    writer.join().expect("no panic");
    handshake.join().expect("no panic");
    assert_eq!(Layer::read(&two.transport.sent()), (b"ab".to_vec(), true));
    assert!(two.transport.is_ended(), "the end mark is lost");
}

/// ```text
///   writer                  closer                     transport
///   write "a"               abort(cause)               takes the end mark
///   finish
/// ```
fn finish_and_abort() {
    let turns = TestSchedule::new(When::AtOnce);
    let two = Two::new(Transport::new(2, false), &turns);
    two.layer.open();
    let mut output = two.writer();

    let writer = spawn({
        let upper = Arc::clone(&two.upper);
        move || {
            // Refused when the closer was first.
            block_on(Some(&upper), output.write_str("a")).ok();
            let finished = block_on(Some(&upper), output.finish());
            // Only now: dropping it would finish it.
            (finished, output)
        }
    });
    let closer = spawn({
        let upper = Arc::clone(&two.upper);
        move || upper.abort(&Error::other("the closer's"))
    });
    two.transport.give_room(1);
    two.transport.take_end();
    let lower = block_on(Some(&two.upper), two.lower.wait(Until::Finished));

    let (finished, _output) = writer.join().expect("no panic");
    closer.join().expect("no panic");
    assert!(two.upper.is_settled() && two.lower.is_settled());
    assert_eq!(two.transport.is_ended(), two.transport.reset().is_none(), "both, or neither");
    let told = |error: &Error| error.to_string();
    assert_eq!(lower.as_ref().err().map(told), two.transport.reset());
    // Below, the end mark may have been out before the upper outbox was given up.
    assert!(finished.is_err() || two.transport.is_ended(), "finished and reset");
    assert_eq!(two.upper.queued(), 0);
}

/// ```text
///   writer                  transport
///   write "ab", drop        room, takes the end mark
/// ```
fn dropped() {
    let turns = TestSchedule::new(When::AtOnce);
    let two = Two::new(Transport::new(1, false), &turns);
    let (upper, lower) = (Arc::downgrade(&two.upper), Arc::downgrade(&two.lower));
    let mut output = two.writer();
    let Two { transport, layer, upper: given, lower: below } = two;
    drop((given, below));

    let writer = spawn(move || {
        block_on(None, output.write_str("ab")).expect("open");
        drop(output);
    });
    layer.open();
    transport.give_room(usize::MAX);
    transport.take_end();

    writer.join().expect("no panic");
    assert_eq!(Layer::read(&transport.sent()), (b"ab".to_vec(), true));
    assert!(transport.is_ended(), "the end mark is lost");
    turns.finish_in_background();
    drop(layer);
    assert!(upper.upgrade().is_none() && lower.upgrade().is_none(), "somebody still keeps it");
}
