//! Two flushes at once.
//!
//! ```text
//!   writer                  socket                     transport
//!   write "ab"
//!   flush ──► advance       mark = accepted            room for 1
//!   wait Sent(2)            advance                      └─► wake ─► advance
//!                           wait Sent(mark)            room for 1
//!                                                        └─► wake ─► advance
//! ```
//!
//! Both resolve, neither before its bytes are sent, and every byte is sent once and in order.

use std::pin::pin;
use std::sync::Arc;

use forebay_io::ByteWriteChannel;
use forebay_io::seam::Until;
use forebay_models::{TestSchedule, Transport, When, block_on, explore, poll_once, spawn};

#[test]
fn two_flushes_resolve_and_send_every_byte_once() {
    explore("two flushes", scenario);
}

#[test]
fn a_flush_that_moves_to_another_task_and_is_dropped_leaves_nothing_behind() {
    explore("a flush that moves to another task and is dropped", moving_flush);
}

fn scenario() {
    let transport = Transport::new(0, true);
    let outbox = transport.outbox(&TestSchedule::new(When::AtOnce));
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);

    let writer = spawn({
        let (outbox, transport) = (Arc::clone(&outbox), Arc::clone(&transport));
        move || {
            block_on(Some(&outbox), output.write_str("ab")).expect("open");
            block_on(Some(&outbox), output.flush()).expect("the transport takes everything");
            assert_eq!(transport.sent(), b"ab", "flushed before it was sent");
            output
        }
    });
    let socket = spawn({
        let (outbox, transport) = (Arc::clone(&outbox), Arc::clone(&transport));
        move || {
            let mark = outbox.accepted();
            outbox.advance();
            block_on(Some(&outbox), outbox.wait(Until::Sent(mark))).expect("no call aborted");
            assert!(transport.sent_bytes() as u64 >= mark, "flushed before it was sent");
        }
    });
    transport.give_room(1);
    transport.give_room(1);

    let _output = writer.join().expect("no panic");
    socket.join().expect("no panic");
    assert_eq!(transport.sent(), b"ab");
    assert_eq!(outbox.queued(), 0);
}

/// One flush that is polled by one task and then by another, and dropped; then one that is awaited. The
/// waker of a task stays in the outbox until the next task's waker replaces it, or the flush is dropped.
///
/// ```text
///   writer                            transport
///   flush, polled by one task         room for 1
///   flush, polled by another; drop    room for 1
///   flush
/// ```
fn moving_flush() {
    let transport = Transport::new(0, true);
    let outbox = transport.outbox(&TestSchedule::new(When::AtOnce));
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);
    block_on(Some(&outbox), output.write_str("ab")).expect("open");

    let writer = spawn({
        let outbox = Arc::clone(&outbox);
        move || {
            {
                let mut flush = pin!(output.flush());
                if poll_once(Some(&outbox), flush.as_mut()).is_pending() {
                    drop(poll_once(Some(&outbox), flush.as_mut()));
                }
            }
            block_on(Some(&outbox), output.flush()).expect("no call aborted");
        }
    });
    transport.give_room(1);
    transport.give_room(1);
    writer.join().expect("no panic");
    assert_eq!(transport.sent(), b"ab");
}
