//! An item that user code composes: it is made outside every lock, and not accepted if that code fails
//! or panics.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use forebay_io::seam::Outbox;
use forebay_io::{
    ByteReadChannel, ByteWriteChannel, Error, ErrorKind, pipe, write_fmt, write_line,
};
use forebay_testing::{
    KIB, at_once,
    channels::{Recorder, TestSchedule},
    lock, poll_once, watched,
};

/// Half of its text, then an error.
struct Refuses;

impl fmt::Display for Refuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of i")?;
        Err(fmt::Error)
    }
}

/// Half of its text, then a panic.
struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of i")?;
        panic!("a Display");
    }
}

#[test]
fn a_display_that_fails_leaves_nothing_in_the_queue() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    let failed = at_once(write_fmt!(output, "before {Refuses} behind"));
    assert_eq!(failed.expect_err("it was refused").kind(), ErrorKind::Other);
    let failed = at_once(write_line!(output, "before {Refuses} behind"));
    assert_eq!(failed.expect_err("it was refused").kind(), ErrorKind::Other);
    assert_eq!(output.queued(), 0);
    at_once(output.write_str("next")).expect("still usable");
    turns.end();
    assert_eq!(peer.sent(), b"next");
}

#[test]
fn a_display_that_panics_half_way_leaves_nothing_in_the_queue() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    let panicked =
        catch_unwind(AssertUnwindSafe(|| at_once(write_fmt!(output, "before {Panics} behind"))));
    assert!(panicked.is_err());
    assert_eq!(output.queued(), 0);
    // And nothing in the scratch that the next item is composed in.
    at_once(write_line!(output, "next")).expect("still usable");
    turns.end();
    assert_eq!(peer.sent(), b"next\n");
}

#[test]
fn an_error_of_the_closure_is_the_answer_and_leaves_nothing() {
    let (mut input, mut output) = pipe(KIB);
    let called_off = at_once(output.write_with(|out| {
        out.put_u64(1);
        Err(Error::new(ErrorKind::NotFound, "look up"))
    }));
    assert_eq!(called_off.expect_err("called off").kind(), ErrorKind::NotFound);
    let io =
        at_once(output.write_with(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut))));
    assert!(io.expect_err("called off").is_timeout());
    at_once(output.write_with(|out| {
        out.put_u8(7);
        Ok::<(), Error>(())
    }))
    .expect("composed");
    assert_eq!(at_once(input.read_u8()).expect("one byte"), 7);
    assert_eq!(input.buffered(), 0);
}

#[test]
fn a_closure_runs_once_and_only_when_there_is_room() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&vec![0; 64 * KIB])).expect("room");
    let mut runs = 0;
    {
        let mut write = pin!(output.write_with(|out| {
            runs += 1;
            out.put_str("composed");
        }));
        assert!(poll_once(write.as_mut()).is_pending());
        assert!(poll_once(write.as_mut()).is_pending());
        peer.allow(1);
        turns.end();
        assert!(matches!(poll_once(write.as_mut()), Poll::Ready(Ok(()))));
    }
    assert_eq!(runs, 1);
    runs = 0;
    // The queue is over its mark again, and this one is dropped while it waits.
    let mut write = Box::pin(output.write_with(|_| runs += 1));
    assert!(poll_once(write.as_mut()).is_pending());
    drop(write);
    assert_eq!(runs, 0);
}

#[test]
fn every_put_appends_what_its_name_says() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_with(|out| {
        assert!(out.is_empty());
        out.put_u8(1);
        out.put_u16(2);
        out.put_u16_le(2);
        out.put_u32(3);
        out.put_u32_le(3);
        out.put_u64(4);
        out.put_u64_le(4);
        out.put_slice(b"s");
        out.put_str("é");
        write!(out, "{}", 5);
        assert_eq!(out.len(), 33);
    }))
    .expect("room");
    let expected =
        b"\x01\0\x02\x02\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0\0\x04\x04\0\0\0\0\0\0\0s\xc3\xa95";
    let packet = at_once(input.read_packet(expected.len())).expect("all of it");
    assert_eq!(packet.as_slice(), expected);
    at_once(write_line!(output)).expect("room");
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some(""));
}

#[test]
fn composing_inside_composing_keeps_both_items_whole() {
    let (mut outer_input, mut outer) = pipe(KIB);
    let (mut inner_input, mut inner) = pipe(KIB);
    at_once(outer.write_with(|out| {
        out.put_str("outer ");
        at_once(inner.write_with(|out| out.put_str("inner\n"))).expect("room");
        out.put_str("item\n");
    }))
    .expect("room");
    let outer_line = at_once(outer_input.read_line()).expect("a line");
    assert_eq!(outer_line.as_deref(), Some("outer item"));
    let inner_line = at_once(inner_input.read_line()).expect("a line");
    assert_eq!(inner_line.as_deref(), Some("inner"));
}

/// Looks at the very outbox it is written to, and has it flushed.
struct TouchesOutbox(Arc<Outbox>);

impl fmt::Display for TouchesOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.0.queued();
        self.0.advance();
        write!(f, "{queued} of {} {:?}", self.0.accepted(), self.0)
    }
}

#[test]
fn a_display_that_touches_its_own_channel_does_not_deadlock() {
    watched(|| {
        let (peer, turns) = (Recorder::new(), Arc::new(TestSchedule::default()));
        let outbox = peer.outbox(&turns);
        let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);
        at_once(output.write_str("four")).expect("room");
        at_once(write_fmt!(output, ": {}", TouchesOutbox(outbox))).expect("room");
        turns.end();
        let sent = String::from_utf8(peer.sent()).expect("text");
        assert!(sent.starts_with("four: 4 of 4 Outbox"), "{sent}");
    });
}

/// Reads from the other end of the very pipe it is written to.
struct ReadsOtherEnd(Arc<Mutex<ByteReadChannel>>);

impl fmt::Display for ReadsOtherEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut input = lock(&self.0);
        let line = at_once(input.read_line()).expect("a line is there");
        assert!(poll_once(pin!(input.read_u8())).is_pending());
        f.write_str(&line.expect("not the end"))
    }
}

#[test]
fn a_display_that_reads_its_own_pipe_does_not_deadlock() {
    watched(|| {
        let (input, mut output) = pipe(4);
        let input = Arc::new(Mutex::new(input));
        at_once(output.write_str("abc\n")).expect("room");
        at_once(write_line!(output, "<{}>", ReadsOtherEnd(Arc::clone(&input)))).expect("room");
        let line = forebay_testing::finish(lock(&input).read_line()).expect("a line");
        assert_eq!(line.as_deref(), Some("<abc>"));
    });
}
