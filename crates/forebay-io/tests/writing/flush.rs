//! When bytes are sent: by the end of the turn, by `flush`, by `finish`; and what these report.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use bytes::Bytes;
use forebay_io::seam::WorkerStage;
use forebay_io::{ByteWriteChannel, Error, ErrorKind, pipe};
use forebay_testing::{
    KIB, at_once,
    channels::{Recorder, TestSchedule},
    counted_waker, cut_after, finish, poll_once, poll_with,
};

#[test]
fn what_a_turn_writes_leaves_at_its_end_in_one_piece() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    for _ in 0..16 {
        at_once(output.write_str("Hello, Ada!\n")).expect("room");
    }
    assert_eq!((peer.sent_len(), output.queued(), turns.defers()), (0, 16 * 12, 1));
    turns.end();
    assert_eq!((peer.sent_len(), peer.sends()), (16 * 12, 1));
}

#[test]
fn with_manual_flush_a_turn_sends_nothing() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    output.manual_flush();
    at_once(output.write_str("kept ")).expect("room");
    at_once(output.write_bytes(Bytes::from_static(b"back"))).expect("room");
    turns.end();
    assert_eq!((peer.sent_len(), turns.defers()), (0, 0));
    at_once(output.flush()).expect("sent");
    assert_eq!(peer.sent(), b"kept back");
}

#[test]
fn with_manual_flush_a_full_queue_sends_and_so_does_the_end() {
    let peer = Recorder::new();
    let (mut output, _turns) = peer.channel();
    output.manual_flush();
    at_once(output.write_all(&vec![1; 64 * KIB])).expect("room");
    assert_eq!(peer.sent_len(), 0);
    at_once(output.write_all(&[2])).expect("room is made by sending");
    assert_eq!(peer.sent_len(), 64 * KIB);
    drop(output);
    assert_eq!((peer.sent_len(), peer.ended()), (64 * KIB + 1, 1));
}

#[test]
fn with_manual_flush_the_reader_of_a_pipe_sees_nothing_before_the_flush() {
    let (mut input, mut output) = pipe(KIB);
    output.manual_flush();
    at_once(output.write_u8(42)).expect("room");
    let mut read = pin!(input.read_u8());
    let (waker, woken) = counted_waker();
    assert!(poll_with(read.as_mut(), &waker).is_pending());
    at_once(output.flush()).expect("sent");
    assert_eq!(woken.count(), 1);
    assert!(matches!(poll_once(read), Poll::Ready(Ok(42))));
}

#[test]
fn flush_waits_until_everything_written_before_it_is_sent() {
    let peer = Recorder::limited(3);
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("hello")).expect("room");
    {
        let mut flush = pin!(output.flush());
        let (waker, woken) = counted_waker();
        assert!(poll_with(flush.as_mut(), &waker).is_pending());
        assert_eq!(peer.sent(), b"hel");
        peer.allow(1);
        turns.end();
        assert_eq!(woken.count(), 0, "woken with a byte to go");
        peer.allow(1);
        turns.end();
        assert_eq!(woken.count(), 1);
        assert!(matches!(poll_once(flush), Poll::Ready(Ok(()))));
    }
    at_once(output.flush()).expect("nothing to wait for");
}

#[test]
fn a_dropped_flush_goes_on_sending() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    output.manual_flush();
    at_once(output.write_str("hello")).expect("room");
    assert!(cut_after(1, output.flush()).is_none());
    peer.allow(5);
    turns.end();
    assert_eq!(peer.sent(), b"hello");
}

#[test]
fn a_flush_that_cannot_come_true_reports_the_cause_whenever_it_is_called() {
    let peer = Recorder::limited(2);
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("hello")).expect("room");
    peer.fail(Error::new(ErrorKind::Reset, "send"));
    turns.end();
    let flushed = at_once(output.flush());
    assert!(flushed.expect_err("bytes are lost").is_reset());
    assert!(at_once(output.finish()).expect_err("bytes are lost").is_reset());

    let peer = Recorder::limited(2);
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("hello")).expect("room");
    let mut flush = pin!(output.flush());
    assert!(poll_once(flush.as_mut()).is_pending());
    peer.fail(Error::new(ErrorKind::Reset, "send"));
    turns.end();
    let Poll::Ready(Err(error)) = poll_once(flush) else {
        panic!("flushed without having sent");
    };
    assert!(error.is_reset());
}

#[test]
fn a_flush_of_a_pipe_whose_reader_left_bytes_behind_is_an_error() {
    let (input, mut output) = pipe(1);
    at_once(output.write_str("two")).expect("room");
    assert_eq!(output.queued(), 2, "no more than the capacity is in the pipe");
    drop(input);
    let error = at_once(output.flush()).expect_err("two bytes went nowhere");
    assert!(error.is_reset(), "{error}");
    at_once(output.flush()).expect_err("and stays so");
}

#[test]
fn an_error_of_the_sending_surfaces_on_the_next_call() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    peer.fail(Error::new(ErrorKind::Reset, "send"));
    at_once(output.write_str("accepted")).expect("not sent yet");
    assert!(!output.is_closed_for_write());
    turns.end();
    assert!(output.is_closed_for_write());
    assert!(at_once(output.write_str("x")).expect_err("reset").is_reset());
    assert!(at_once(output.write_with(|out| out.put_u8(1))).expect_err("reset").is_reset());
}

#[test]
fn finish_sends_the_end_once_and_says_so_again() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("tail")).expect("room");
    assert!(cut_after(2, output.finish()).is_none(), "finished with bytes in the queue");
    assert!(output.is_closed_for_write());
    assert!(at_once(output.write_str("x")).expect_err("finishing").is_closed());
    peer.allow(4);
    turns.end();
    finish(output.finish()).expect("a clean end");
    finish(output.finish()).expect("idempotent");
    at_once(output.flush()).expect("everything is sent");
    drop(output);
    assert_eq!((peer.sent(), peer.ended()), (b"tail".to_vec(), 1));
    assert!(peer.aborted().is_none());
}

#[test]
fn empty_writes_are_items_of_nothing() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("")).expect("room");
    at_once(output.write_strs(&[])).expect("room");
    at_once(output.write_strs(&["", ""])).expect("room");
    at_once(output.write_all(&[])).expect("room");
    at_once(output.write_bytes(Bytes::new())).expect("room");
    at_once(output.write_with(|_| ())).expect("room");
    at_once(output.flush()).expect("nothing to send");
    turns.end();
    assert_eq!((output.queued(), turns.defers(), peer.sends()), (0, 0, 0));
    at_once(output.finish()).expect("a clean end");
    assert_eq!(peer.ended(), 1);
}

#[test]
fn a_pipe_passes_on_in_the_call_itself_also_on_a_worker() {
    let _stage = WorkerStage::enter();
    let (mut input, mut output) = pipe(KIB);
    for item in 1..=5 {
        at_once(output.write_u8(item)).expect("room");
        assert_eq!(at_once(input.read_u8()).expect("it is there"), item);
    }
}

#[test]
fn a_worker_that_stops_leaves_nothing_on_its_stage() {
    let stage = WorkerStage::enter();
    let peer = Recorder::new();
    let turns = Arc::new(TestSchedule::default());
    let outbox = peer.outbox(&turns);
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);
    for _ in 0..4 {
        at_once(output.write_str("burst")).expect("room");
    }
    drop(stage);
    // Counted by a thread that cannot settle what this one has staged.
    let queued = thread::spawn(move || outbox.queued()).join().expect("no panic");
    assert_eq!(queued, 4 * 5);
}
