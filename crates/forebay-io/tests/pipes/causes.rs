//! Either end of a pipe sees why the other gave up.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{Error, ErrorKind, Result, pipe};
use forebay_testing::{
    KIB, at_once,
    channels::{duplex, ledgered},
    counted_waker, poll_once, poll_with,
};

#[track_caller]
fn assert_cause<T: std::fmt::Debug>(answer: Result<T>, cause: &str) {
    let error = answer.expect_err("it was given up");
    assert!(error.to_string().contains(cause), "{error}");
}

fn disk_full() -> Error {
    Error::other("the disk is full").context("saving the upload")
}

#[test]
fn the_reader_sees_the_cause_of_the_writer_and_no_end() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(KIB);
        at_once(output.write_str("half a message")).expect("room");
        output.abort_with(disk_full());
        assert_cause(at_once(input.read_line()), "saving the upload: the disk is full");
        assert_cause(at_once(input.read(&mut vec![0; 64 * KIB])), "the disk is full");
        assert_cause(at_once(input.read_chunk()), "the disk is full");
        assert_eq!(at_once(input.read_u8()).expect_err("it stays").kind(), ErrorKind::Other);
        drop(output);
        assert_cause(at_once(input.read_u8()), "the disk is full");
    });
}

#[test]
fn a_reader_that_waits_is_woken_with_the_cause() {
    let (mut input, mut output) = pipe(KIB);
    let mut read = pin!(input.read_u8());
    let (waker, woken) = counted_waker();
    assert!(poll_with(read.as_mut(), &waker).is_pending());
    output.abort_with(disk_full());
    assert_eq!(woken.count(), 1);
    let Poll::Ready(answer) = poll_once(read) else {
        panic!("still waiting");
    };
    assert_cause(answer, "the disk is full");
}

#[test]
fn what_the_reader_has_already_comes_before_the_cause() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_str("one\ntwo\n")).expect("room");
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("one"));
    output.abort_with(disk_full());
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("two"));
    assert_cause(at_once(input.read_line()), "the disk is full");
}

#[test]
fn the_writer_sees_the_cause_of_the_reader_whatever_it_was_doing() {
    ledgered(|_| {
        // Waiting for room.
        let (mut input, mut output) = pipe(1);
        at_once(output.write_str("two")).expect("one item is accepted");
        {
            let mut write = pin!(output.write_str("more"));
            let (waker, woken) = counted_waker();
            assert!(poll_with(write.as_mut(), &waker).is_pending());
            input.abort_with(disk_full());
            assert_eq!(woken.count(), 1);
            let Poll::Ready(answer) = poll_once(write) else {
                panic!("still waiting");
            };
            assert_cause(answer, "the disk is full");
        }
        assert_cause(at_once(output.write_str("x")), "the disk is full");
        assert_cause(at_once(output.flush()), "the disk is full");
        assert_cause(at_once(output.finish()), "the disk is full");
        assert!(output.is_closed_for_write());
        // Doing nothing: the first write is accepted, and its sending meets the cause.
        let (mut input, mut output) = pipe(KIB);
        input.abort_with(disk_full());
        at_once(output.write_str("x")).ok();
        assert_cause(at_once(output.write_str("x")), "the disk is full");
    });
}

#[test]
fn a_finish_after_the_reader_gave_up_is_no_clean_end() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_str("never read")).expect("room");
    input.abort_with(disk_full());
    assert_cause(at_once(output.finish()), "the disk is full");
}

#[test]
fn a_finish_after_the_reader_left_bytes_behind_is_no_clean_end() {
    let (input, mut output) = pipe(KIB);
    at_once(output.write_str("never read")).expect("room");
    drop(input);
    assert!(at_once(output.finish()).expect_err("ten bytes went nowhere").is_reset());
}

#[test]
fn a_finish_after_the_reader_left_with_everything_read_is_a_clean_end() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_str("bye\n")).expect("room");
    at_once(input.read_line()).expect("a line");
    drop(input);
    at_once(output.finish()).expect("nothing was lost");
}

#[test]
fn a_dropped_reader_is_an_error_of_the_writer() {
    let (input, mut output) = pipe(KIB);
    drop(input);
    at_once(output.write_str("x")).ok();
    let error = at_once(output.write_str("x")).expect_err("nobody reads");
    assert!(error.is_reset(), "{error}");
    assert!(error.to_string().contains("reader of this pipe is gone"), "{error}");
}

#[test]
fn a_reader_that_gave_up_says_why_and_nothing_else() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_str("thrown away")).expect("room");
    at_once(input.read_u8()).expect("a byte");
    assert!(input.closed_cause().is_none());
    input.abort_with(disk_full());
    input.abort_with(Error::other("the second cause"));
    assert_eq!((input.buffered(), input.is_closed_for_read()), (0, true));
    assert_cause(at_once(input.read_u8()), "the disk is full");
    assert_cause(at_once(input.read_line()), "the disk is full");
    assert_cause(at_once(input.discard(1)), "the disk is full");
    let cause = input.closed_cause().expect("it was given");
    assert_eq!(cause.to_string(), "saving the upload: the disk is full");
}

#[test]
fn the_first_cause_of_the_two_ends_wins() {
    let (mut input, mut output) = pipe(KIB);
    output.abort_with(Error::other("the writer's"));
    input.abort_with(Error::other("the reader's"));
    assert_cause(at_once(output.write_str("x")), "the writer's");
    // The reader said it itself, so that is what it hears.
    assert_cause(at_once(input.read_u8()), "the reader's");

    let (mut input, mut output) = pipe(KIB);
    input.abort_with(Error::other("the reader's"));
    output.abort_with(Error::other("the writer's"));
    assert_cause(at_once(output.write_str("x")), "the reader's");
}

#[test]
fn a_cause_after_a_clean_end_changes_nothing() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_str("whole\n")).expect("room");
    at_once(output.finish()).expect("a clean end");
    output.abort_with(Error::other("too late"));
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("whole"));
    assert_eq!(at_once(input.read_line()).expect("the end"), None);
    input.abort_with(Error::other("too late as well"));
    at_once(output.finish()).expect("it was clean");
}

#[test]
fn the_two_directions_of_a_duplex_end_apart() {
    let (mut left, mut right) = duplex(KIB);
    left.output.abort_with(disk_full());
    assert_cause(at_once(right.input.read_u8()), "the disk is full");
    at_once(right.output.write_str("still there\n")).expect("room");
    let line = at_once(left.input.read_line()).expect("a line");
    assert_eq!(line.as_deref(), Some("still there"));
}

/// An error that lasts is final, as the end is, once a read has told it.
#[test]
fn a_channel_that_has_failed_for_good_is_closed_for_reading() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(KIB);
        at_once(output.write_str("before\n")).expect("room");
        output.abort_with(disk_full());
        assert!(!input.is_closed_for_read(), "nothing was told yet");
        assert_cause(at_once(input.read_line()), "the disk is full");
        assert!(input.is_closed_for_read(), "it says the same forever");
    });
}
