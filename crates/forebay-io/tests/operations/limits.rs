//! The limits that can be set, each at its border.

use std::pin::pin;

use forebay_io::seam::WriteLimits;
use forebay_io::{ErrorKind, pipe, write_fmt};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Recorder, ledgered},
    counted_waker, cut_after, finish, poll_once, poll_with,
};

fn limits(high_water: usize, item: usize) -> WriteLimits {
    WriteLimits { high_water, item }
}

#[test]
fn a_writer_waits_at_the_mark_that_was_set_and_is_woken_by_a_higher_one() {
    ledgered(|_| {
        let peer = Recorder::limited(0);
        let (mut output, turns) = peer.channel();
        output.set_limits(limits(100, MIB));
        assert_eq!(output.free_space(), 100);
        at_once(output.write_all(&[0; 99])).expect("one byte is free");
        at_once(output.write_all(&[0; 50])).expect("room");
        assert!(!output.try_write_str("x").expect("open"));
        assert!(cut_after(3, output.write_str("x")).is_none());
        output.set_limits(limits(150, MIB));
        assert!(output.try_write_str("x").expect("open"));
        // A lower mark than what is queued.
        output.set_limits(limits(0, MIB));
        assert_eq!(output.free_space(), 0);
        peer.allow(148);
        turns.end();
        assert_eq!(output.free_space(), 0, "two bytes are queued, and that is the least mark");
        peer.allow(1);
        turns.end();
        assert!(output.try_write_str("y").expect("open"));
        // A shared channel keeps its mark.
        peer.allow(usize::MAX);
        output.set_limits(limits(10, 20));
        let output = output.share();
        assert_eq!(output.free_space(), 8);
        at_once(output.write_str("exactly twenty bytes")).expect("at the limit");
        let error = at_once(output.write_str("now twenty-one bytes!")).expect_err("one above");
        assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: 20 });
    });
}

#[test]
fn a_higher_mark_wakes_what_waits_on_another_channel_of_the_outbox() {
    let peer = Recorder::limited(0);
    let turns = std::sync::Arc::default();
    let outbox = peer.outbox(&turns);
    let mut output = forebay_io::ByteWriteChannel::lent(outbox.clone());
    let mut other = forebay_io::ByteWriteChannel::lent(outbox);
    at_once(output.write_all(&vec![0; 64 * KIB])).expect("room");
    let mut write = pin!(output.write_str("x"));
    let (waker, woken) = counted_waker();
    assert!(poll_with(write.as_mut(), &waker).is_pending());
    other.set_limits(limits(65 * KIB, MIB));
    assert_eq!(woken.count(), 1);
    assert!(poll_once(write).is_ready());
}

#[test]
fn an_item_is_accepted_up_to_the_limit_that_was_set() {
    let peer = Recorder::new();
    let (mut output, _turns) = peer.channel();
    output.set_limits(limits(64 * KIB, 5));
    let kind = ErrorKind::LimitExceeded { limit: 5 };
    at_once(output.write_strs(&["12", "345"])).expect("at the limit");
    for refused in [
        at_once(output.write_strs(&["12", "3456"])),
        at_once(output.write_with(|out| out.put_str("123456"))),
        at_once(write_fmt!(output, "123456")),
        output.try_write_str("123456").map(drop),
    ] {
        assert_eq!(refused.expect_err("one above").kind(), kind);
    }
    // Longer slices go in pieces of it.
    finish(output.write_str("123456789ab")).expect("in pieces");
    finish(output.flush()).expect("nothing is wrong with the peer");
    assert_eq!(peer.sent(), b"12345123456789ab");
    // A piece that is dropped before the last one poisons, as above a mebibyte.
    let peer = Recorder::limited(0);
    let (mut output, _turns) = peer.channel();
    output.set_limits(limits(2, 5));
    assert!(cut_after(3, output.write_str("123456")).is_none());
    let incomplete = ErrorKind::Incomplete { accepted: 5, of: 6 };
    assert_eq!(output.try_write_str("x").expect_err("half a slice").kind(), incomplete);
    // None is one.
    let (mut input, mut output) = pipe(100);
    output.set_limits(limits(64 * KIB, 0));
    finish(output.write_str("abc")).expect("in pieces of a byte");
    assert_eq!(finish(input.read_packet(3)).expect("all of it").as_slice(), b"abc");
}

#[test]
fn a_pipe_has_its_capacity_whatever_the_mark_is() {
    let (_input, mut output) = pipe(100);
    output.set_limits(limits(MIB, MIB));
    at_once(output.write_all(&[0; 100])).expect("room");
    at_once(output.write_all(&[0; 50])).expect("an item on top");
    assert!(!output.try_write_str("x").expect("open"));
}
