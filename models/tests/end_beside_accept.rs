//! An end from outside during a write: the idle limit, and a close.
//!
//! ```text
//!   writer                  idle limit                    closer
//!   write "a"               end_or_abort(cause)           finish
//!   (accepted or refused)     └─ in order, or a reset       └─ the end mark, or a reset
//! ```
//!
//! Accepted bytes were sent when the end mark is sent, and half of a slice is never followed by an end
//! mark.

use std::sync::Arc;

use forebay_io::{ByteWriteChannel, Error};
use forebay_models::{TestSchedule, Transport, When, block_on, explore, spawn};

#[test]
fn an_idle_limit_signs_off_nothing_that_was_accepted() {
    for when in [When::AtOnce, When::AtTurn] {
        explore("an idle limit beside a write", move || idle_limit(when));
    }
}

#[test]
fn a_close_signs_off_no_half_of_a_slice() {
    explore("a close beside a write in pieces", close_beside_pieces);
}

fn idle_limit(when: When) {
    let transport = Transport::open();
    let turns = TestSchedule::new(when);
    let outbox = transport.outbox(&turns);
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);

    let writer = spawn({
        let outbox = Arc::clone(&outbox);
        move || (block_on(Some(&outbox), output.write_str("a")).is_ok(), output)
    });
    let in_order = outbox.end_or_abort(&Error::other("nothing moved"));
    let (accepted, _output) = writer.join().expect("no panic");

    assert!(outbox.is_settled());
    assert_eq!(in_order, transport.is_ended(), "what is returned is what happened");
    assert_ne!(in_order, transport.reset().is_some(), "one of the two");
    if in_order {
        assert_eq!(transport.sent_bytes(), usize::from(accepted), "signed off and not sent");
    }
}

/// Two pieces, the first of which fills the queue: the second waits for room, and the close comes before,
/// between or after them.
fn close_beside_pieces() {
    const PIECE_BYTES: usize = 1024 * 1024;
    let transport = Transport::open();
    let outbox = transport.outbox(&TestSchedule::new(When::AtOnce));
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);

    let writer = spawn({
        let outbox = Arc::clone(&outbox);
        move || {
            let slice = vec![7; PIECE_BYTES + 1];
            (block_on(Some(&outbox), output.write_all(&slice)).is_ok(), output)
        }
    });
    outbox.finish();
    let (written, _output) = writer.join().expect("no panic");

    assert!(outbox.is_settled());
    let sent = transport.sent_bytes();
    if transport.is_ended() {
        let whole = if written { PIECE_BYTES + 1 } else { 0 };
        assert_eq!(sent, whole, "half of the slice was signed off");
        assert!(!outbox.was_cut());
    } else {
        assert!(outbox.was_cut() && !written, "reset, and nothing says so");
    }
}
