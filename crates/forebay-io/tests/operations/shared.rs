//! Many handles of one writing channel: whole items, their order, and the ends.

use std::future::Future;
use std::mem::forget;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use forebay_io::seam::{WorkerStage, end_poll, torn_down};
use forebay_io::{
    Error, ErrorKind, Packet, Result, SharedWriteChannel, pipe, write_fmt, write_line,
};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Recorder, ledgered},
    counted_waker, cut_after, finish, poll_once, poll_with,
};

use crate::shared_files::write_part;

type Write<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Every call that writes, and its item.
fn writes(output: &SharedWriteChannel) -> Vec<(Write<'_>, Vec<u8>)> {
    vec![
        (Box::pin(output.write_str("text\n")), b"text\n".to_vec()),
        (Box::pin(output.write_strs(&["one ", "two\n"])), b"one two\n".to_vec()),
        (Box::pin(output.write_all(b"slice\n")), b"slice\n".to_vec()),
        (Box::pin(output.write_bytes(Bytes::from(vec![b'b'; 40 * KIB]))), vec![b'b'; 40 * KIB]),
        (Box::pin(output.write_packet(Packet::from(b"packet".to_vec()))), b"packet".to_vec()),
        (Box::pin(write_part(output, b"of a file".to_vec())), b"of a file".to_vec()),
        (Box::pin(write_part(output, vec![b'd'; 70 * KIB])), vec![b'd'; 70 * KIB]),
        (Box::pin(output.write_with(|out| out.put_u32(7))), vec![0, 0, 0, 7]),
        (Box::pin(write_fmt!(output, "{:>3}", 1)), b"  1".to_vec()),
        (Box::pin(write_line!(output, "{}", 2)), b"2\n".to_vec()),
    ]
}

#[test]
fn each_call_writes_one_item() {
    ledgered(|_| {
        let peer = Recorder::new();
        let (output, turns) = peer.channel();
        let output = output.share();
        let mut expected = Vec::new();
        for (write, item) in writes(&output) {
            at_once(write).expect("room");
            expected.extend(item);
        }
        turns.end();
        assert!(peer.sent() == expected);
        assert_eq!(output.counted(), expected.len() as u64);
    });
}

#[test]
fn calls_that_wait_are_served_in_the_order_in_which_they_began() {
    ledgered(|_| {
        let peer = Recorder::limited(0);
        let (mut output, turns) = peer.channel();
        at_once(output.write_all(&vec![b'f'; 64 * KIB])).expect("room");
        let mut expected = vec![b'f'; 64 * KIB];
        let output = output.share();
        let mut waiting = Vec::new();
        for (mut write, item) in writes(&output) {
            assert!(poll_once(Pin::new(&mut write)).is_pending());
            expected.extend(item);
            waiting.push(write);
        }
        assert!(!output.try_write_str("overtakes").expect("open"));
        // A little room at a time: each time some of them are accepted, always from the front.
        for _ in 0..10_000 {
            peer.allow(700);
            turns.end();
            // Polled from the back, as by an executor that knows no order.
            let mut left = Vec::new();
            for mut write in waiting.drain(..).rev() {
                if poll_once(Pin::new(&mut write)).is_pending() {
                    left.push(write);
                }
            }
            left.reverse();
            waiting = left;
            if waiting.is_empty() {
                break;
            }
        }
        assert!(waiting.is_empty(), "never accepted");
        peer.allow(usize::MAX);
        at_once(output.flush()).expect("nothing is wrong with the peer");
        assert!(peer.sent() == expected, "out of order");
    });
}

#[test]
fn a_loop_of_writes_does_not_keep_the_others_waiting() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&vec![0; 64 * KIB])).expect("room");
    let output = output.share();
    let other = output.clone();
    let mut waits = pin!(other.write_str("patient"));
    assert!(poll_once(waits.as_mut()).is_pending());
    // Whatever this one tries, it comes behind the one that waits.
    peer.allow(1);
    turns.end();
    let mut greedy = pin!(output.write_all(&[1; 1000]));
    assert!(poll_once(greedy.as_mut()).is_pending());
    assert!(!output.try_write_str("!").expect("open"));
    assert!(matches!(poll_once(waits), Poll::Ready(Ok(()))));
    assert!(poll_once(greedy.as_mut()).is_pending(), "at the mark again");
    peer.allow(usize::MAX);
    turns.end();
    finish(greedy).expect("room");
}

#[test]
fn dropped_while_it_waits_a_call_writes_nothing_and_the_next_one_is_served() {
    for dropped in 0..3 {
        ledgered(|_| {
            let peer = Recorder::limited(0);
            let (mut output, turns) = peer.channel();
            at_once(output.write_all(&vec![b'f'; 64 * KIB])).expect("room");
            let output = output.share();
            let clones: Vec<_> = (0..3).map(|_| output.clone()).collect();
            let (waker, woken) = counted_waker();
            let mut waiting: Vec<_> = (clones.iter().zip(["0", "1", "2"]))
                .map(|(clone, text)| Some(Box::pin(clone.write_str(text))))
                .collect();
            for write in waiting.iter_mut().flatten() {
                assert!(poll_with(write.as_mut(), &waker).is_pending());
            }
            // After it was woken, which is the worst time.
            peer.allow(usize::MAX);
            turns.end();
            assert_eq!(woken.count(), 3);
            waiting[dropped] = None;
            let mut expected = vec![b'f'; 64 * KIB];
            for (number, write) in waiting.into_iter().enumerate() {
                if let Some(write) = write {
                    at_once(write).expect("room");
                    expected.extend(number.to_string().into_bytes());
                }
            }
            at_once(output.flush()).expect("nothing is wrong with the peer");
            assert!(peer.sent() == expected);
        });
    }
}

#[test]
fn a_leaked_call_holds_up_the_others_for_a_moment_only() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&vec![b'f'; 64 * KIB])).expect("room");
    let output = output.share();
    for _ in 0..3 {
        let clone = Box::leak(Box::new(output.clone()));
        let mut leaked = Box::pin(clone.write_str("leaked"));
        assert!(poll_once(leaked.as_mut()).is_pending());
        forget(leaked);
    }
    peer.allow(usize::MAX);
    turns.end();
    let polls = (1..100).find(|polls| cut_after(*polls, output.write_str("x")).is_some());
    assert!(polls.is_some_and(|polls| polls < 30), "{polls:?} polls");
    assert!(cut_after(2, output.write_str("y")).is_some(), "the places are free again");
    assert!(output.try_write_str("z").expect("open"));
    at_once(output.flush()).expect("nothing is wrong with the peer");
    assert!(peer.sent().ends_with(b"fxyz"));
}

#[test]
fn nothing_above_the_limit_of_an_item_is_accepted_in_pieces() {
    let peer = Recorder::new();
    let (output, _turns) = peer.channel();
    let output = output.share();
    let large = "x".repeat(MIB + 1);
    let limit = ErrorKind::LimitExceeded { limit: MIB as u64 };
    let composed = output.write_with(|out| out.put_str(&large));
    for refused in [
        at_once(output.write_str(&large)),
        at_once(output.write_strs(&["x", &large[1..], ""])),
        at_once(composed),
        at_once(write_fmt!(output, "{large}")),
        output.try_write_str(&large).map(drop),
    ] {
        assert_eq!(refused.expect_err("too large").kind(), limit);
    }
    assert_eq!(output.counted(), 0);
    at_once(output.write_str(&large[1..])).expect("exactly at the limit");
    at_once(output.write_bytes(large.into_bytes().into())).expect("any size");
    at_once(output.flush()).expect("nothing is wrong with the peer");
    assert_eq!(peer.sent_len(), 2 * MIB + 1);
}

#[test]
fn an_item_that_is_called_off_leaves_nothing_behind() {
    let peer = Recorder::new();
    let (output, turns) = peer.channel();
    let output = output.share();
    let called_off = output.write_with(|out| {
        out.put_str("half an item");
        Err::<(), _>(Error::other("called off"))
    });
    assert_eq!(at_once(called_off).expect_err("called off").to_string(), "called off");
    at_once(output.write_str("whole")).expect("room");
    turns.end();
    assert_eq!(peer.sent(), b"whole");
}

// ---- the ends ------------------------------------------------------------------------------------------

#[test]
fn the_end_mark_goes_out_when_the_last_clone_drops() {
    let peer = Recorder::new();
    let (output, turns) = peer.channel();
    let output = output.share();
    let clones: Vec<_> = (0..5).map(|_| output.clone()).collect();
    for clone in &clones {
        at_once(clone.write_str("x")).expect("room");
    }
    drop(output);
    for clone in clones {
        assert_eq!(peer.ended(), 0);
        drop(clone);
    }
    assert_eq!((peer.sent(), peer.ended(), turns.background_closes()), (b"xxxxx".to_vec(), 1, 0));
    turns.end();
    assert!(peer.is_dropped(), "nothing holds the transport any more");
}

#[test]
fn a_clone_that_drops_while_another_waits_changes_nothing() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&vec![b'f'; 64 * KIB])).expect("room");
    let output = output.share();
    let other = output.clone();
    {
        let mut write = pin!(other.write_str("waits"));
        assert!(poll_once(write.as_mut()).is_pending());
        drop(output);
        assert!(poll_once(write.as_mut()).is_pending());
        peer.allow(usize::MAX);
        turns.end();
        at_once(write).expect("room");
    }
    drop(other);
    assert!(peer.sent().ends_with(b"fwaits"));
    assert_eq!(peer.ended(), 1);
}

#[test]
fn finish_ends_the_writes_of_all_clones() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&vec![b'f'; 64 * KIB])).expect("room");
    let output = output.share();
    let other = output.clone();
    let (waker, woken) = counted_waker();
    {
        let mut write = pin!(other.write_str("too late"));
        assert!(poll_with(write.as_mut(), &waker).is_pending());
        let mut end = pin!(output.finish());
        assert!(poll_once(end.as_mut()).is_pending());
        assert_eq!(woken.count(), 1, "the one that waits is told");
        let Poll::Ready(Err(error)) = poll_once(write) else { panic!("accepted behind the end") };
        assert!(error.is_closed(), "{error}");
        assert!(at_once(other.write_str("x")).expect_err("finished").is_closed());
        assert!(other.try_write_str("x").expect_err("finished").is_closed());
        peer.allow(usize::MAX);
        turns.end();
        at_once(end).expect("a clean end");
    }
    at_once(other.finish()).expect("idempotent");
    assert!(other.is_closed_for_write());
    assert!(other.closed_cause().is_none());
    drop((output, other));
    assert_eq!((peer.sent_len(), peer.ended()), (64 * KIB, 1));
    assert!(peer.aborted().is_none());
}

#[test]
fn abort_reaches_all_clones_with_its_cause() {
    let (mut input, output) = pipe(1);
    let output = output.share();
    at_once(output.write_str("full")).expect("room");
    let other = output.clone();
    let mut write = pin!(other.write_str("waits"));
    let (waker, woken) = counted_waker();
    assert!(poll_with(write.as_mut(), &waker).is_pending());
    output.abort_with(Error::other("the cause"));
    assert!(woken.count() > 0);
    let Poll::Ready(Err(error)) = poll_once(write) else { panic!("accepted after the abort") };
    assert_eq!(error.to_string(), "the cause");
    assert_eq!(other.closed_cause().expect("aborted").to_string(), "the cause");
    assert_eq!(at_once(other.flush()).expect_err("aborted").to_string(), "the cause");
    assert_eq!(at_once(other.finish()).expect_err("aborted").to_string(), "the cause");
    let read = finish(async { input.discard(u64::MAX).await });
    assert_eq!(read.expect_err("aborted").to_string(), "the cause");
}

#[test]
fn a_reader_that_goes_is_told_to_all_that_wait() {
    let (input, output) = pipe(1);
    let output = output.share();
    at_once(output.write_str("full")).expect("room");
    let clones: Vec<_> = (0..3).map(|_| output.clone()).collect();
    let mut waiting: Vec<_> = clones.iter().map(|clone| Box::pin(clone.write_str("x"))).collect();
    for write in &mut waiting {
        assert!(poll_once(write.as_mut()).is_pending());
    }
    drop(input);
    for write in waiting {
        assert!(finish(write).expect_err("nobody reads").is_reset());
    }
}

#[test]
fn after_a_panic_of_one_task_only_finish_ends_in_order() {
    for finishes in [false, true] {
        let peer = Recorder::new();
        let (output, turns) = peer.channel();
        let output = output.share();
        let panicking = output.clone();
        at_once(panicking.write_str("half of two items, ")).expect("room");
        torn_down(|| drop(panicking));
        at_once(output.write_str("the others go on")).expect("room");
        turns.end();
        assert_eq!(peer.sent(), b"half of two items, the others go on");
        if finishes {
            at_once(output.finish()).expect("its word");
        }
        drop(output);
        turns.end();
        assert_eq!((peer.ended(), peer.aborted().is_some()), (usize::from(finishes), !finishes));
    }
}

#[test]
fn the_last_clone_that_drops_in_a_panic_resets() {
    let peer = Recorder::new();
    let (output, _turns) = peer.channel();
    let output = output.share();
    at_once(output.write_str("half")).expect("room");
    torn_down(|| drop(output));
    assert_eq!(peer.ended(), 0);
    assert_eq!(peer.aborted().expect("reset").kind(), ErrorKind::Panicked);
}

#[test]
fn what_was_set_before_stays() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    output.manual_flush();
    output.abort_on_drop();
    let output = output.share();
    at_once(output.write_str("unflushed")).expect("room");
    turns.end();
    assert_eq!(peer.sent_len(), 0);
    at_once(output.flush()).expect("nothing is wrong with the peer");
    assert_eq!(peer.sent(), b"unflushed");
    drop(output);
    assert!(peer.aborted().is_some() && peer.ended() == 0);
}

#[test]
fn a_burst_of_clones_on_a_worker_keeps_its_order() {
    let _stage = WorkerStage::enter();
    let peer = Recorder::new();
    let (output, turns) = peer.channel();
    let output = output.share();
    let clones: Vec<_> = (0..4).map(|_| output.clone()).collect();
    let mut expected = Vec::new();
    for round in 0..50 {
        for (number, clone) in clones.iter().enumerate() {
            at_once(write_line!(clone, "{round} {number}")).expect("room");
            expected.extend(format!("{round} {number}\n").into_bytes());
        }
    }
    end_poll();
    turns.end();
    assert!(peer.sent() == expected);
}

#[test]
fn loops_that_ignore_errors_or_write_nothing_give_way() {
    let (_input, output) = pipe(KIB);
    let output = output.share();
    let waits = |output: &SharedWriteChannel, text: &str| {
        let mut waits = 0;
        for _ in 0..9 {
            let mut write = pin!(output.write_str(text));
            while poll_once(write.as_mut()).is_pending() {
                waits += 1;
            }
        }
        waits
    };
    assert!(waits(&output, "") >= 3);
    output.abort_with(Error::other("over"));
    assert!(waits(&output, "text") >= 3);
    assert!(waits(&output, "") >= 3);
}
