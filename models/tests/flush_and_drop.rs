//! A writer is dropped while the socket flushes.
//!
//! ```text
//!   writer                  socket                     transport
//!   write "ab"              mark = accepted            room for 2, in one step or two
//!   drop ──► finish         advance                      └─► wake ─► advance
//!        └─► in background? wait Sent(mark)            takes the end mark
//!                           drop                         └─► wake ─► advance
//! ```
//!
//! In the end the only strong handle of the outbox belongs to the turns that were asked to keep it alive;
//! the transport holds it weakly. Nevertheless every byte is sent and then one end mark, and after that the
//! outbox is gone.

use std::sync::Arc;

use forebay_io::ByteWriteChannel;
use forebay_io::seam::Until;
use forebay_models::{TestSchedule, Transport, When, block_on, explore, spawn};

#[test]
fn a_dropped_writer_finishes_whatever_else_flushes() {
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
        block_on(Some(&outbox), outbox.wait(Until::Sent(mark))).expect("no call aborted");
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
