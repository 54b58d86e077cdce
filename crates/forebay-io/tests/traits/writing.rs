//! Writing through a trait: an item at a time, the waits that a poll leaves, errors with ours inside.

use std::io::{ErrorKind, IoSlice};

use forebay_io::{ByteWriteChannel, Error, pipe};
use forebay_testing::channels::Recorder;
use forebay_testing::{KIB, MIB, at_once, counted_waker, pattern, poll_once};

use crate::family::{Family, now, poll, poll_as, with_each_family};

with_each_family! {
    a_write_is_one_item_that_the_turn_sends;
    several_slices_are_one_item;
    of_more_than_an_item_the_first_mebibyte_is_accepted;
    a_write_waits_for_room_and_wakes_the_task_that_polled_last;
    a_write_that_is_not_repeated_has_written_nothing;
    nothing_to_write_is_accepted_at_once;
    a_flush_waits_until_all_is_sent;
    a_flush_after_another_write_waits_for_that_too;
    the_end_is_sent_once_and_waited_for;
    a_flush_after_the_end_has_nothing_to_wait_for;
    an_error_of_sending_has_ours_inside;
    a_reset_wakes_a_write_that_waits;
    a_dropped_channel_leaves_no_waker;
    a_full_pipe_is_as_a_slow_peer;
    half_a_message_is_not_flushed_as_whole;
}

/// A channel whose queue is full: its peer takes nothing yet.
fn full(peer: &Recorder) -> ByteWriteChannel {
    let (mut output, _) = peer.channel();
    at_once(output.write_all(&pattern(64 * KIB))).unwrap();
    output
}

fn a_write_is_one_item_that_the_turn_sends<F: Family>() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    for _ in 0..16 {
        assert_eq!(now(|cx| F::write(&mut output, cx, b"Hello, Ada!\n")).unwrap(), 12);
    }
    assert_eq!((peer.sent_len(), output.queued(), turns.defers()), (0, 16 * 12, 1));
    turns.end();
    assert_eq!((peer.sent_len(), peer.sends()), (16 * 12, 1));
}

fn several_slices_are_one_item<F: Family>() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    let slices = [&b"Hello"[..], b"", b", ", b"Ada!"].map(IoSlice::new);
    assert_eq!(now(|cx| F::write_vectored(&mut output, cx, &slices)).unwrap(), 11);
    turns.end();
    assert_eq!((peer.sent(), peer.sends()), (b"Hello, Ada!".to_vec(), 1));
}

fn of_more_than_an_item_the_first_mebibyte_is_accepted<F: Family>() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    let bytes = pattern(MIB + 10);
    assert_eq!(now(|cx| F::write(&mut output, cx, &bytes)).unwrap(), MIB);
    let slices = [&bytes[..10], &bytes].map(IoSlice::new);
    assert_eq!(now(|cx| F::write_vectored(&mut output, cx, &slices)).unwrap(), MIB);
    while output.queued() > 0 {
        now(|cx| F::flush(&mut output, cx)).unwrap();
    }
    turns.end();
    assert_eq!(peer.sent_len(), 2 * MIB);
    assert_eq!(peer.sent()[MIB..MIB + 10], bytes[..10]);
    assert_eq!(peer.sent()[MIB + 10..], bytes[..MIB - 10]);
}

fn a_write_waits_for_room_and_wakes_the_task_that_polled_last<F: Family>() {
    let peer = Recorder::limited(0);
    let mut output = full(&peer);
    let ((first, first_wakes), (second, second_wakes)) = (counted_waker(), counted_waker());
    assert!(poll_as(&first, |cx| F::write(&mut output, cx, b"more")).is_pending());
    assert!(poll_as(&second, |cx| F::write(&mut output, cx, b"more")).is_pending());
    peer.allow(KIB);
    // Its turns are the test's: the drain's waker has deferred the outbox, and a flush of another task
    // drives it.
    output.outbox().advance();
    assert_eq!((first_wakes.count(), second_wakes.count()), (0, 1));
    assert_eq!(now(|cx| F::write(&mut output, cx, b"more")).unwrap(), 4);
    assert_eq!(output.queued(), 63 * KIB + 4);
}

fn a_write_that_is_not_repeated_has_written_nothing<F: Family>() {
    let peer = Recorder::limited(0);
    let mut output = full(&peer);
    assert!(poll(|cx| F::write(&mut output, cx, b"given up")).is_pending());
    peer.allow(usize::MAX);
    assert_eq!(now(|cx| F::write(&mut output, cx, b"instead")).unwrap(), 7);
    at_once(output.flush()).unwrap();
    assert_eq!(peer.sent()[64 * KIB..], b"instead"[..]);
}

fn nothing_to_write_is_accepted_at_once<F: Family>() {
    let peer = Recorder::new();
    let (mut output, _turns) = peer.channel();
    assert_eq!(now(|cx| F::write(&mut output, cx, b"")).unwrap(), 0);
    assert_eq!(now(|cx| F::write_vectored(&mut output, cx, &[])).unwrap(), 0);
    at_once(output.finish()).unwrap();
    assert!(now(|cx| F::write(&mut output, cx, b"")).is_err());
}

fn a_flush_waits_until_all_is_sent<F: Family>() {
    let peer = Recorder::limited(3);
    let (mut output, turns) = peer.channel();
    assert_eq!(now(|cx| F::write(&mut output, cx, b"Hello")).unwrap(), 5);
    let ((first, first_wakes), (second, second_wakes)) = (counted_waker(), counted_waker());
    assert!(poll_as(&first, |cx| F::flush(&mut output, cx)).is_pending());
    assert!(poll_as(&second, |cx| F::flush(&mut output, cx)).is_pending());
    assert_eq!(peer.sent(), b"Hel");
    peer.allow(2);
    turns.end();
    assert_eq!((first_wakes.count(), second_wakes.count()), (0, 1));
    now(|cx| F::flush(&mut output, cx)).unwrap();
    assert_eq!(peer.sent(), b"Hello");
}

fn a_flush_after_another_write_waits_for_that_too<F: Family>() {
    let peer = Recorder::limited(3);
    let (mut output, turns) = peer.channel();
    now(|cx| F::write(&mut output, cx, b"Hello")).unwrap();
    assert!(poll(|cx| F::flush(&mut output, cx)).is_pending());
    // By the inherent call, which does not know of the wait that was kept.
    at_once(output.write_str(", Ada")).unwrap();
    peer.allow(2);
    turns.end();
    assert!(poll(|cx| F::flush(&mut output, cx)).is_pending(), "', Ada' is not sent");
    peer.allow(usize::MAX);
    turns.end();
    now(|cx| F::flush(&mut output, cx)).unwrap();
    assert_eq!(peer.sent(), b"Hello, Ada");
}

fn the_end_is_sent_once_and_waited_for<F: Family>() {
    let peer = Recorder::new();
    peer.hold_end(true);
    let (mut output, turns) = peer.channel();
    now(|cx| F::write(&mut output, cx, b"last")).unwrap();
    let ((first, first_wakes), (second, second_wakes)) = (counted_waker(), counted_waker());
    assert!(poll_as(&first, |cx| F::finish(&mut output, cx)).is_pending());
    assert!(poll_as(&second, |cx| F::finish(&mut output, cx)).is_pending());
    assert!(now(|cx| F::write(&mut output, cx, b"late")).is_err());
    assert!(poll_as(&second, |cx| F::finish(&mut output, cx)).is_pending());
    peer.hold_end(false);
    turns.end();
    assert_eq!((first_wakes.count(), second_wakes.count()), (0, 1));
    for _ in 0..10 {
        now(|cx| F::finish(&mut output, cx)).unwrap();
    }
    drop(output);
    assert_eq!((peer.sent(), peer.ended()), (b"last".to_vec(), 1));
}

fn a_flush_after_the_end_has_nothing_to_wait_for<F: Family>() {
    let peer = Recorder::new();
    let (mut output, _turns) = peer.channel();
    now(|cx| F::write(&mut output, cx, b"last")).unwrap();
    now(|cx| F::finish(&mut output, cx)).unwrap();
    now(|cx| F::flush(&mut output, cx)).unwrap();
    let error = now(|cx| F::write(&mut output, cx, b"late")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(Error::from(error).is_closed());
}

fn an_error_of_sending_has_ours_inside<F: Family>() {
    let peer = Recorder::new();
    let (mut output, _turns) = peer.channel();
    now(|cx| F::write(&mut output, cx, b"lost")).unwrap();
    peer.fail(Error::new(forebay_io::ErrorKind::Reset, "write").with_detail("by the test"));
    for _ in 0..3 {
        let error = now(|cx| F::flush(&mut output, cx)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(Error::from(error).to_string().contains("by the test"));
    }
    for _ in 0..10 {
        let error = now(|cx| F::write(&mut output, cx, b"more")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = now(|cx| F::finish(&mut output, cx)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

fn a_reset_wakes_a_write_that_waits<F: Family>() {
    let peer = Recorder::limited(0);
    let mut output = full(&peer);
    let (waker, wakes) = counted_waker();
    assert!(poll_as(&waker, |cx| F::write(&mut output, cx, b"more")).is_pending());
    output.outbox().abort(&Error::new(forebay_io::ErrorKind::Reset, "read"));
    assert_eq!(wakes.count(), 1);
    let error = now(|cx| F::write(&mut output, cx, b"more")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

fn a_dropped_channel_leaves_no_waker<F: Family>() {
    let peer = Recorder::limited(0);
    let mut output = full(&peer);
    let outbox = std::sync::Arc::clone(output.outbox());
    let (waker, wakes) = counted_waker();
    assert!(poll_as(&waker, |cx| F::write(&mut output, cx, b"more")).is_pending());
    drop(waker);
    drop(output);
    assert_eq!(std::sync::Arc::strong_count(&wakes), 1, "a waker is left in the outbox");
    drop(outbox);
}

fn a_full_pipe_is_as_a_slow_peer<F: Family>() {
    let (mut input, mut output) = pipe(8);
    let (waker, wakes) = counted_waker();
    let mut written = 0;
    while let std::task::Poll::Ready(count) =
        poll_as(&waker, |cx| F::write(&mut output, cx, b"12345678"))
    {
        written += count.unwrap();
        assert!(written < KIB, "a pipe has a capacity");
    }
    assert_eq!(wakes.count(), 0);
    let read = at_once(input.read_packet(written)).unwrap();
    assert_eq!(read.len(), written);
    assert_eq!(wakes.count(), 1);
    assert_eq!(now(|cx| F::write(&mut output, cx, b"more")).unwrap(), 4);
}

fn half_a_message_is_not_flushed_as_whole<F: Family>() {
    let peer = Recorder::limited(0);
    let (mut output, _turns) = peer.channel();
    {
        let bytes = pattern(3 * MIB);
        let mut write = std::pin::pin!(output.write_all(&bytes));
        assert!(poll_once(write.as_mut()).is_pending());
    }
    for answer in [
        now(|cx| F::flush(&mut output, cx)).unwrap_err(),
        now(|cx| F::finish(&mut output, cx)).unwrap_err(),
        now(|cx| F::write(&mut output, cx, b"more")).unwrap_err(),
    ] {
        let kind = Error::from(answer).kind();
        assert!(matches!(kind, forebay_io::ErrorKind::Incomplete { .. }), "{kind:?}");
    }
}
