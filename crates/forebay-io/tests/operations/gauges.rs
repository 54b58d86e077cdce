//! Free space, counts and causes of a writing channel.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{Error, ErrorKind, pipe};
use forebay_testing::{
    KIB, MIB, at_once, channels::Recorder, counted_waker, cut_after, finish, poll_once, poll_with,
};

#[test]
fn free_space_is_what_the_mark_leaves() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    assert_eq!(output.free_space(), 64 * KIB);
    at_once(output.write_all(&[0; 10])).expect("room");
    assert_eq!(output.free_space(), 64 * KIB - 10);
    at_once(output.write_all(&vec![0; 64 * KIB - 11])).expect("room");
    assert_eq!(output.free_space(), 1);
    // One byte is free, so an item of any size is accepted.
    at_once(output.write_all(&vec![0; 100 * KIB])).expect("room");
    assert_eq!(output.free_space(), 0);
    peer.allow(100 * KIB + 10);
    turns.end();
    assert_eq!(output.free_space(), 11);
    output.abort_with(Error::other("over"));
    assert_eq!(output.free_space(), 0, "nothing is accepted any more");
}

#[test]
fn free_space_of_a_pipe_is_what_its_capacity_leaves() {
    let (mut input, mut output) = pipe(100);
    assert_eq!(output.free_space(), 100);
    at_once(output.write_all(&[0; 60])).expect("room");
    assert_eq!(output.free_space(), 40);
    at_once(output.write_all(&[0; 40])).expect("room");
    assert_eq!(output.free_space(), 1, "one more item is accepted");
    at_once(output.write_all(&[0; 5])).expect("room");
    assert_eq!(output.free_space(), 0);
    at_once(input.discard(50)).expect("they are there");
    // What the reader's channel has taken out of the pipe is not in the pipe any more.
    assert_eq!(output.free_space(), 95);
}

#[test]
fn a_producer_waits_for_free_space_and_is_woken_once_there_is_some() {
    let (mut input, mut output) = pipe(10);
    at_once(output.await_free_space()).expect("room");
    at_once(output.write_all(&[0; 30])).expect("room");
    {
        let (waker, woken) = counted_waker();
        let mut wait = pin!(output.await_free_space());
        assert!(poll_with(wait.as_mut(), &waker).is_pending());
        at_once(input.discard(10)).expect("they are there");
        assert_eq!(woken.count(), 0, "the item in front still waits");
        at_once(input.discard(10)).expect("they are there");
        assert!(woken.count() > 0);
        assert!(matches!(poll_once(wait), Poll::Ready(Ok(()))));
    }
    // A dropped wait leaves nothing behind.
    at_once(output.write_all(&[0; 20])).expect("room");
    assert!(cut_after(3, output.await_free_space()).is_none());
    input.abort_with(Error::other("gone"));
    assert_eq!(at_once(output.await_free_space()).expect_err("gone").to_string(), "gone");
}

#[test]
fn a_loop_over_free_space_gives_way() {
    let (_input, mut output) = pipe(10);
    let mut waits = 0;
    for _ in 0..9 {
        let mut wait = pin!(output.await_free_space());
        while poll_once(wait.as_mut()).is_pending() {
            waits += 1;
        }
    }
    assert!(waits >= 3, "{waits} waits in nine answers");
}

/// KTOR.md G12: a count of 64 bits, of everything accepted whether or not it was sent.
#[test]
fn counted_is_what_was_accepted() {
    let peer = Recorder::limited(3);
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("hello")).expect("room");
    assert_eq!(output.counted(), 5);
    turns.end();
    assert_eq!((output.counted(), output.queued()), (5, 2));
    at_once(output.write_u64(1)).expect("room");
    assert!(output.try_write_str("!").expect("room"));
    assert_eq!(output.counted(), 14);
    // A refused item does not count.
    at_once(output.write_strs(&["x", &"y".repeat(MIB)])).expect_err("too large");
    assert_eq!(output.counted(), 14);
    let over_four_gib = u64::from(u32::MAX) + 10;
    let (mut input, mut output) = pipe(MIB);
    let piece = bytes::Bytes::from(vec![0; 16 * MIB]);
    for _ in 0..257 {
        finish(output.write_bytes(piece.clone())).expect("room");
        finish(input.discard(piece.len() as u64)).expect("they are there");
    }
    assert!(output.counted() > over_four_gib);
    assert_eq!(output.counted(), 257 * 16 * MIB as u64);
}

#[test]
fn the_cause_of_a_writer_is_the_error_that_writes_return() {
    // Open, and after an end in order: none.
    let (_input, mut output) = pipe(KIB);
    assert!(output.closed_cause().is_none());
    at_once(output.finish()).expect("nothing to send");
    assert!(output.closed_cause().is_none());
    // The writer's own, and the reader's.
    let (_input, mut output) = pipe(KIB);
    output.abort_with(Error::other("mine"));
    assert_eq!(output.closed_cause().expect("aborted").to_string(), "mine");
    let (mut input, output) = pipe(KIB);
    input.abort_with(Error::other("theirs"));
    drop(input);
    assert_eq!(output.closed_cause().expect("aborted").to_string(), "theirs");
    // A connection that failed.
    let peer = Recorder::new();
    peer.fail(Error::new(ErrorKind::Reset, "send"));
    let (mut output, turns) = peer.channel();
    at_once(output.write_u8(1)).expect("room");
    turns.end();
    assert!(output.closed_cause().expect("reset").is_reset());
    // Half a slice.
    let (_input, mut output) = pipe(KIB);
    assert!(cut_after(1, output.write_all(&vec![0; 3 * MIB])).is_none());
    let cause = output.closed_cause().expect("half a slice");
    assert!(matches!(cause.kind(), ErrorKind::Incomplete { .. }), "{cause}");
}
