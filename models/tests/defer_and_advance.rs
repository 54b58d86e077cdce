//! A write defers its flush to the end of the turn while other threads already flush.
//!
//! ```text
//!   writer                  worker                     socket
//!   write "a" ──► defer     end of turn:               advance
//!   write "b" ──► defer?      take the list              └─► nothing is due any more?
//!                             advance each
//! ```
//!
//! A write defers only if no thread is about to flush. In every order of the three, accepted bytes are
//! sent, or the outbox is on a list, or the transport has its waker: no bytes remain for which no thread is
//! responsible.

use std::sync::Arc;

use forebay_io::ByteWriteChannel;
use forebay_models::{TestSchedule, Transport, When, block_on, explore, spawn};

#[test]
fn no_deferred_flush_is_lost() {
    explore("defer and advance", || scenario(&Transport::open()));
}

#[test]
fn no_deferred_flush_is_lost_when_the_transport_makes_it_wait() {
    explore("defer and advance, with a transport that is full", || {
        scenario(&Transport::new(1, true));
    });
}

fn scenario(transport: &Arc<Transport>) {
    let turns = TestSchedule::new(When::AtTurn);
    let outbox = transport.outbox(&turns);
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);

    let writer = spawn({
        let outbox = Arc::clone(&outbox);
        move || {
            block_on(Some(&outbox), output.write_str("a")).expect("open");
            block_on(Some(&outbox), output.write_str("b")).expect("open");
            output
        }
    });
    let socket = spawn({
        let (outbox, transport) = (Arc::clone(&outbox), Arc::clone(transport));
        move || {
            outbox.advance();
            transport.give_room(1);
        }
    });
    turns.end_turn();

    let _output = writer.join().expect("no panic");
    socket.join().expect("no panic");
    while turns.end_turn() {}
    assert_eq!(transport.sent(), b"ab", "no thread is responsible for queued bytes");
    assert_eq!(outbox.queued(), 0);
}
