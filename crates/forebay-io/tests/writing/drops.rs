//! Dropping a writer signs its tail off in the background, unless half a message would be signed
//! off with it: while a task unwinds, the other side sees an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use forebay_io::seam::{WorkerStage, end_poll, torn_down, unwinding};
use forebay_io::{ByteReadChannel, ByteWriteChannel, ErrorKind, pipe};
use forebay_testing::{
    KIB, at_once,
    channels::{Recorder, ledgered},
    finish, poll_once, scrambled,
};

fn assert_no_clean_end(input: &mut ByteReadChannel) {
    loop {
        match at_once(input.read_chunk()) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("half a message was signed off"),
            Err(error) => {
                assert!(error.is_panicked(), "{error}");
                return;
            }
        }
    }
}

#[test]
fn a_dropped_writer_sends_its_tail_and_the_end() {
    let peer = Recorder::limited(2);
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("tail")).expect("room");
    drop(output);
    assert_eq!((peer.sent(), peer.ended(), turns.background_closes()), (b"ta".to_vec(), 0, 1));
    peer.allow(2);
    turns.end();
    assert_eq!((peer.sent(), peer.ended(), turns.background_closes()), (b"tail".to_vec(), 1, 0));
}

#[test]
fn a_dropped_writer_with_nothing_to_send_is_finished_at_once() {
    let peer = Recorder::new();
    let (output, turns) = peer.channel();
    drop(output);
    assert_eq!((peer.ended(), turns.background_closes()), (1, 0));
    assert!(peer.is_dropped(), "nothing holds the transport any more");
}

#[test]
fn the_reader_of_a_full_pipe_gets_everything_from_a_dropped_writer_and_then_the_end() {
    for capacity in [1, 2, 7, 4 * KIB, 64 * KIB, 200 * KIB] {
        ledgered(|_| {
            let (mut input, mut output) = pipe(capacity);
            let bytes = scrambled(150 * KIB, capacity);
            at_once(output.write_all(&bytes)).expect("one item is accepted");
            drop(output);
            let all = finish(input.read_remaining(200 * KIB)).expect("a clean end");
            assert!(all.as_slice() == bytes);
            assert!(at_once(input.read_u8()).expect_err("the end").is_end());
        });
    }
}

#[test]
fn a_reader_that_goes_while_a_dropped_writer_still_finishes_frees_everything() {
    ledgered(|ledger| {
        let (mut input, mut output) = pipe(1);
        at_once(output.write_all(&scrambled(100 * KIB, 0))).expect("one item is accepted");
        drop(output);
        at_once(input.read_u8()).expect("a byte is there");
        assert!(ledger.in_use() > 0);
        drop(input);
        assert_eq!(ledger.in_use(), 0);
    });
}

#[test]
fn a_writer_that_goes_after_its_reader_bothers_nobody() {
    ledgered(|_| {
        let (input, mut output) = pipe(1);
        at_once(output.write_all(&scrambled(100 * KIB, 0))).expect("one item is accepted");
        drop(input);
        drop(output);
    });
}

#[test]
fn a_panic_resets_the_reader() {
    let (mut input, mut output) = pipe(KIB);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut output = output_of(&mut output);
        at_once(output.write_str("Content-Length: 1000\n")).expect("room");
        panic!("the handler");
    }));
    assert!(panicked.is_err());
    assert_no_clean_end(&mut input);
}

/// Moves the channel out, so that the unwinding closure owns it.
fn output_of(output: &mut ByteWriteChannel) -> ByteWriteChannel {
    std::mem::replace(output, pipe(1).1)
}

/// A future written by hand: its fields drop when the thread no longer counts as panicking.
struct Handler(ByteWriteChannel);

impl Future for Handler {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        at_once(self.0.write_str("half a message")).expect("room");
        panic!("the handler");
    }
}

#[test]
fn a_panic_in_a_hand_written_future_resets_the_reader_too() {
    let (mut input, output) = pipe(KIB);
    let mut handler = Box::pin(Handler(output));
    let panicked = catch_unwind(AssertUnwindSafe(|| poll_once(handler.as_mut())));
    assert!(panicked.is_err());
    assert!(!unwinding(), "the thread does not count as panicking");
    torn_down(|| drop(handler));
    assert!(!unwinding(), "the mark is gone");
    assert_no_clean_end(&mut input);
}

#[test]
fn the_mark_of_a_torn_down_task_is_restored_and_nests() {
    torn_down(|| {
        assert!(unwinding());
        torn_down(|| assert!(unwinding()));
        assert!(unwinding());
        let panicked = catch_unwind(|| torn_down(|| panic!("in a destructor")));
        assert!(panicked.is_err());
        assert!(unwinding());
    });
    assert!(!unwinding());
    let panicked = catch_unwind(|| torn_down(|| panic!("in a destructor")));
    assert!(panicked.is_err());
    assert!(!unwinding());
}

#[test]
fn a_finished_writer_may_unwind() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_str("whole")).expect("room");
    at_once(output.finish()).expect("a clean end");
    torn_down(|| drop(output));
    let all = finish(input.read_remaining(KIB)).expect("it was signed off before the panic");
    assert_eq!(all.as_slice(), b"whole");
}

#[test]
fn an_unwinding_writer_resets_its_transport_and_sends_no_end() {
    let peer = Recorder::limited(2);
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("half")).expect("room");
    torn_down(|| drop(output));
    turns.end();
    assert_eq!((peer.ended(), turns.background_closes()), (0, 0));
    assert_eq!(peer.aborted().expect("reset").kind(), ErrorKind::Panicked);
    assert!(peer.is_dropped());
}

#[test]
fn what_a_panicking_task_had_staged_is_signed_off_by_nobody() {
    let _stage = WorkerStage::enter();
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    for _ in 0..4 {
        at_once(output.write_str("half a message ")).expect("room");
    }
    torn_down(|| drop(output));
    end_poll();
    turns.end();
    assert_eq!((peer.ended(), turns.background_closes()), (0, 0));
    assert_eq!(peer.aborted().expect("reset").kind(), ErrorKind::Panicked);
    assert!(peer.is_dropped(), "the stage keeps it");
}

#[test]
fn what_a_worker_staged_is_sent_before_the_end_of_a_dropped_writer() {
    let _stage = WorkerStage::enter();
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    for item in ["1", "2", "3", "4"] {
        at_once(output.write_str(item)).expect("room");
    }
    drop(output);
    assert_eq!((peer.sent(), peer.ended(), turns.background_closes()), (b"1234".to_vec(), 1, 0));
    end_poll();
    turns.end();
    assert!(peer.is_dropped(), "the stage keeps it");
}
