//! A slice above 1 MiB goes in pieces. Dropped half-way it poisons the channel, and half a message
//! is never signed off with a clean end.

use std::pin::pin;

use forebay_io::{ByteReadChannel, ByteWriteChannel, ErrorKind, pipe};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Recorder, ledgered},
    cut_after, finish, poll_once, scrambled,
};

const HUGE: usize = 3 * MIB + 17;

#[track_caller]
fn assert_incomplete<T: std::fmt::Debug>(answer: forebay_io::Result<T>, accepted: usize) {
    let expected = ErrorKind::Incomplete { accepted: accepted as u64, of: HUGE as u64 };
    assert_eq!(answer.expect_err("half a message is out").kind(), expected);
}

/// Every call that must know of the half message, and its end.
fn assert_poisoned(output: &mut ByteWriteChannel, accepted: usize) {
    assert_incomplete(at_once(output.write_str("x")), accepted);
    assert_incomplete(at_once(output.write_strs(&["x"])), accepted);
    assert_incomplete(at_once(output.write_all(b"x")), accepted);
    assert_incomplete(at_once(output.write_all(&vec![1; 2 * MIB])), accepted);
    assert_incomplete(at_once(output.write_bytes("x".into())), accepted);
    assert_incomplete(at_once(output.write_u32(1)), accepted);
    assert_incomplete(at_once(output.write_with(|out| out.put_u8(1))), accepted);
    assert_incomplete(at_once(output.flush()), accepted);
    assert_incomplete(at_once(output.finish()), accepted);
    let mut input = ByteReadChannel::from("x");
    assert_incomplete(at_once(input.copy_to(output)), accepted);
    assert_eq!(at_once(input.read_u8()).expect("it is still here"), b'x');
}

#[test]
fn a_huge_slice_arrives_whole() {
    ledgered(|_| {
        let peer = Recorder::new();
        let (mut output, turns) = peer.channel();
        let bytes = scrambled(HUGE, 0);
        {
            let mut write = pin!(output.write_all(&bytes));
            while poll_once(write.as_mut()).is_pending() {
                turns.end();
            }
        }
        at_once(output.write_str("behind it")).expect("the channel is whole");
        turns.end();
        assert!(peer.sent() == [&bytes[..], b"behind it"].concat());
    });
}

#[test]
fn dropped_before_the_first_piece_it_has_written_nothing() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&scrambled(64 * KIB, 0))).expect("room");
    assert!(cut_after(3, output.write_all(&scrambled(HUGE, 1))).is_none());
    assert_eq!(output.queued(), 64 * KIB);
    peer.allow(usize::MAX);
    turns.end();
    finish(output.write_str("whole")).expect("nothing is half-way");
    finish(output.finish()).expect("a clean end");
    assert_eq!((peer.sent_len(), peer.ended()), (64 * KIB + 5, 1));
}

#[test]
fn dropped_half_way_it_poisons_the_channel_whichever_piece_it_waited_for() {
    for pieces in 1..=3 {
        let peer = Recorder::limited(0);
        let (mut output, turns) = peer.channel();
        {
            let bytes = scrambled(HUGE, 0);
            let mut write = pin!(output.write_all(&bytes));
            for _ in 1..pieces {
                assert!(poll_once(write.as_mut()).is_pending());
                peer.allow(MIB);
                turns.end();
                // A piece is more than a share: it gives way before the next.
                assert!(poll_once(write.as_mut()).is_pending());
            }
            assert!(poll_once(write.as_mut()).is_pending());
        }
        assert_poisoned(&mut output, pieces * MIB);
        drop(output);
        assert_eq!(peer.ended(), 0, "half a message was signed off");
        let cause = peer.aborted().expect("the connection is reset");
        assert!(matches!(cause.kind(), ErrorKind::Incomplete { .. }), "{cause}");
        assert_eq!(peer.sent_len(), (pieces - 1) * MIB);
    }
}

#[test]
fn the_reader_of_a_half_written_message_sees_an_error_and_no_end() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(4 * KIB);
        assert!(cut_after(2, output.write_all(&scrambled(HUGE, 0))).is_none());
        let mut start = [0; 100];
        finish(input.read_exact(&mut start)).expect("it has arrived");
        assert_poisoned(&mut output, MIB);
        drop(output);
        let rest = loop {
            match at_once(input.read_chunk()) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a clean end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(rest.kind(), ErrorKind::Incomplete { .. }), "{rest}");
    });
}

#[test]
fn an_error_between_two_pieces_is_reported_and_never_signed_off() {
    let (input, mut output) = pipe(4 * KIB);
    let bytes = scrambled(HUGE, 0);
    let error = {
        let mut write = pin!(output.write_all(&bytes));
        assert!(poll_once(write.as_mut()).is_pending());
        drop(input);
        finish(write).expect_err("nobody reads")
    };
    assert!(error.is_reset(), "{error}");
    at_once(output.write_str("x")).expect_err("nobody reads");
    at_once(output.finish()).expect_err("nobody reads");
}

#[test]
fn a_slice_of_exactly_the_limit_is_one_item() {
    let peer = Recorder::limited(0);
    let (mut output, _turns) = peer.channel();
    at_once(output.write_all(&vec![1; MIB])).expect("one step");
    assert_eq!(output.queued(), MIB);
}

#[test]
fn items_that_cannot_go_in_pieces_have_a_limit() {
    let (_input, mut output) = pipe(1);
    let half = "x".repeat(MIB / 2 + 1);
    let limit = ErrorKind::LimitExceeded { limit: MIB as u64 };
    let strs = at_once(output.write_strs(&[&half, &half]));
    assert_eq!(strs.expect_err("over 1 MiB").kind(), limit);
    let with = at_once(output.write_with(|out| {
        out.put_str(&half);
        out.put_str(&half);
    }));
    assert_eq!(with.expect_err("over 1 MiB").kind(), limit);
    assert_eq!(output.queued(), 0);
    at_once(output.write_str("still usable")).expect("nothing was written");
}
