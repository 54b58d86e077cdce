//! A writer is dropped while the socket flushes.
//!
//! ```text
//!   writer                  socket                     transport
//!   write "ab"              mark = accepted            room for 2, in one step or two
//!   drop ──► finish         advance                      └─► wake ─► advance
//!        └─► linger?        wait Sent(mark)            takes the end mark
//!                           drop                         └─► wake ─► advance
//! ```
//!
//! Nobody holds the outbox in the end but who was asked to see it off, the transport only weakly. All
//! the same every byte is sent and then one end mark, and the outbox is gone when that is done.

use std::sync::Arc;

use forebay_io::ByteWriteChannel;
use forebay_io::seam::Until;
use forebay_models::{TestSchedule, Transport, When, block_on, explore, spawn};

#[test]
fn a_dropped_writer_is_seen_off_whatever_else_flushes() {
    explore("a flush and the drop of the writer", scenario);
}

fn scenario() {
    let transport = Transport::new(0, false);
    let turns = TestSchedule::new(When::AtOnce);
    let outbox = transport.outbox(&turns);
    let weak = Arc::downgrade(&outbox);
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);

    let writer = spawn({
        let outbox = Arc::clone(&outbox);
        move || {
            block_on(Some(&outbox), output.write_str("ab")).expect("open");
            drop(outbox);
            drop(output);
        }
    });
    let socket = spawn(move || {
        let mark = outbox.accepted();
        outbox.advance();
        block_on(Some(&outbox), outbox.wait(Until::Sent(mark))).expect("nobody gave up");
    });
    transport.give_room(1);
    transport.give_room(1);
    transport.take_end();

    writer.join().expect("no panic");
    socket.join().expect("no panic");
    assert_eq!(transport.sent(), b"ab");
    assert!(transport.is_ended(), "the end mark is lost");
    turns.finish_in_background();
    assert!(weak.upgrade().is_none(), "somebody still keeps it");
}
