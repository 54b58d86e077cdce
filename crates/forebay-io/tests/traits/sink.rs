//! The writing channel as a `Sink<Bytes>`.

use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use forebay_io::{ByteWriteChannel, ErrorKind, Result, pipe};
use forebay_testing::channels::Recorder;
use forebay_testing::{KIB, at_once, counted_waker, pattern};
use futures_sink::Sink;

use crate::family::{poll, poll_as};

fn start(output: &mut ByteWriteChannel, bytes: impl Into<Bytes>) -> Result<()> {
    Pin::new(output).start_send(bytes.into())
}

fn ready(output: &mut ByteWriteChannel) -> Poll<Result<()>> {
    poll(|cx| Pin::new(&mut *output).poll_ready(cx))
}

fn is_ok(polled: &Poll<Result<()>>) -> bool {
    matches!(polled, Poll::Ready(Ok(())))
}

#[test]
fn values_are_sent_by_the_turn_and_the_end_by_close() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    for _ in 0..100 {
        assert!(is_ok(&ready(&mut output)), "there is room");
        start(&mut output, "item").unwrap();
    }
    assert_eq!((peer.sent_len(), turns.defers()), (0, 1));
    turns.end();
    assert_eq!(peer.sent_len(), 400);
    assert!(is_ok(&poll(|cx| Sink::poll_flush(Pin::new(&mut output), cx))));
    assert!(is_ok(&poll(|cx| Sink::poll_close(Pin::new(&mut output), cx))));
    assert_eq!(peer.ended(), 1);
    let Poll::Ready(Err(error)) = ready(&mut output) else { panic!("finished") };
    assert!(error.is_closed());
    assert!(start(&mut output, "late").unwrap_err().is_closed());
}

#[test]
fn a_large_value_is_one_item_and_the_next_waits_for_room() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    assert!(is_ok(&ready(&mut output)));
    start(&mut output, pattern(300 * KIB)).unwrap();
    let ((first, first_wakes), (second, second_wakes)) = (counted_waker(), counted_waker());
    assert!(poll_as(&first, |cx| Sink::poll_ready(Pin::new(&mut output), cx)).is_pending());
    assert!(poll_as(&second, |cx| Sink::poll_ready(Pin::new(&mut output), cx)).is_pending());
    let error = start(&mut output, "too early").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    peer.allow(300 * KIB - 1);
    turns.end();
    while output.queued() > 1 {
        output.outbox().advance();
    }
    assert_eq!((first_wakes.count(), second_wakes.count()), (0, 1));
    while !is_ok(&ready(&mut output)) {}
    start(&mut output, "next").unwrap();
    assert_eq!(output.queued(), 5);
}

#[test]
fn an_empty_value_is_nothing() {
    let (mut input, mut output) = pipe(KIB);
    assert!(is_ok(&ready(&mut output)));
    start(&mut output, Bytes::new()).unwrap();
    start(&mut output, "x").unwrap();
    drop(output);
    assert_eq!(at_once(input.read_line()).unwrap().as_deref(), Some("x"));
}

#[test]
fn a_thread_without_turns_sends_on_for_as_long_as_there_is_room() {
    // The outbox of a pipe pauses after its share there, and `poll_ready` gives way.
    let (mut input, mut output) = pipe(1024 * KIB);
    let mut sent = 0;
    while sent < 1000 {
        if is_ok(&ready(&mut output)) {
            start(&mut output, "x").unwrap();
            sent += 1;
        }
    }
    let read = at_once(input.read_packet(1000)).unwrap();
    assert_eq!(read.len(), 1000);
}
