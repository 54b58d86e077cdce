//! Copying exactly so much, to the end, and to a writer of the standard library.

use std::io::{self, Write};
use std::pin::pin;

use forebay_io::{ByteReadChannel, Error, ErrorKind, pipe};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Recorder, Script, Step, hiccup, ledgered},
    cut_after, finish, poll_once, property, scrambled, sizes, splits,
};

// ---- copy_exact_to -------------------------------------------------------------------------------------

#[test]
fn exactly_so_many_bytes_are_copied_and_the_rest_stays() {
    for size in [0, 1, 9, 4 * KIB, 40 * KIB, 64 * KIB, 300 * KIB] {
        for rest in [0, 1, 40 * KIB] {
            ledgered(|ledger| {
                let bytes = scrambled(size + rest, 0);
                let (_, mut input) = Script::new([Step::Bytes(bytes.clone()), Step::End]);
                let peer = Recorder::new();
                let (mut output, _turns) = peer.channel();
                finish(input.copy_exact_to(size as u64, &mut output)).expect("they are there");
                at_once(output.flush()).expect("nothing is wrong with the peer");
                assert!(peer.sent() == bytes[..size]);
                assert_eq!(output.counted(), size as u64);
                if rest == 0 {
                    assert_eq!(ledger.in_use(), 0, "a block is held for nothing");
                }
                let left = finish(input.read_remaining(MIB)).expect("the rest");
                assert!(left.as_slice() == &bytes[size..]);
            });
        }
    }
}

#[test]
fn a_short_input_is_an_error_and_what_came_is_in_the_output() {
    let (_, mut input) = Script::new([Step::Bytes(vec![7; 5]), Step::End]);
    let (mut reader, mut output) = pipe(KIB);
    let error = at_once(input.copy_exact_to(6, &mut output)).expect_err("a byte is missing");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed: 6, available: 5 });
    assert_eq!(at_once(reader.read_packet(5)).expect("five bytes").as_slice(), [7; 5]);
    // The output is the caller's to end.
    at_once(output.write_u8(1)).expect("still open");
}

#[test]
fn dropped_at_any_poll_an_exact_copy_goes_on_where_it_was() {
    let input = (splits(), splits(), 1..200 * KIB, sizes());
    property("copy_exact_to", 100, &input, |(splits, grants, size, rest)| {
        ledgered(|_| {
            let bytes = scrambled(size + rest, 0);
            let (script, mut input) = dripping(&bytes, &splits);
            let peer = Recorder::limited(0);
            let (mut output, turns) = peer.channel();
            let mut grants = grants.iter().cycle();
            let mut left = size as u64;
            while left > 0 {
                let copied = cut_after(2, input.copy_exact_to(left, &mut output));
                left = size as u64 - output.counted();
                let accepted = peer.sent_len() + output.queued();
                assert_eq!((accepted + input.buffered()) as u64, script.delivered());
                assert!(accepted <= size, "more than was asked for");
                match copied {
                    Some(Ok(())) => assert_eq!(left, 0),
                    Some(Err(error)) => assert!(error.is_timeout(), "{error}"),
                    None => {}
                }
                peer.allow(500 + *grants.next().expect("a cycle"));
                turns.end();
            }
            peer.allow(usize::MAX);
            at_once(output.flush()).expect("nothing is wrong with the peer");
            assert!(peer.sent() == bytes[..size]);
        });
    });
}

/// A source that is pending before each piece, and fails once for a moment before its end.
fn dripping(bytes: &[u8], splits: &[usize]) -> (Script, ByteReadChannel) {
    let mut rest = bytes;
    let mut steps = Vec::new();
    for piece in splits.iter().cycle() {
        let (piece, later) = rest.split_at(rest.len().min(*piece));
        steps.extend([Step::Idle, Step::Bytes(piece.to_vec())]);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    steps.extend([Step::Fail(hiccup()), Step::End]);
    Script::new(steps)
}

#[test]
fn a_full_output_stops_an_exact_copy() {
    let (script, mut input) = Script::new((0..100).map(|_| Step::Bytes(vec![0; 10 * KIB])));
    let peer = Recorder::limited(0);
    let (mut output, _turns) = peer.channel();
    assert!(cut_after(10, input.copy_exact_to(u64::MAX, &mut output)).is_none());
    assert!(script.delivered() <= 80 * KIB as u64);
    assert_eq!(input.buffered(), 0, "nothing is held while the output is full");
}

// ---- copy_and_close ------------------------------------------------------------------------------------

#[test]
fn copy_and_close_ends_the_output_behind_the_last_byte() {
    let peer = Recorder::new();
    let (mut output, _turns) = peer.channel();
    let mut input = Script::pieces(["one ", "two ", "three"]);
    assert_eq!(finish(input.copy_and_close(&mut output)).expect("a clean end"), 13);
    assert_eq!((peer.sent(), peer.ended()), (b"one two three".to_vec(), 1));
    assert!(output.is_closed_for_write());
    // Once more: nothing is left to copy, and the end mark is sent once.
    assert_eq!(finish(input.copy_and_close(&mut output)).expect("it is finished"), 0);
    assert_eq!(peer.ended(), 1);
    assert!(peer.aborted().is_none(), "the end was in order");
}

#[test]
fn an_error_of_the_source_is_never_a_clean_end_of_the_output() {
    for error in [Error::new(ErrorKind::Reset, "recv"), hiccup()] {
        let peer = Recorder::new();
        let (mut output, turns) = peer.channel();
        let steps = [Step::Bytes(b"half a mess".to_vec()), Step::Fail(error.clone()), Step::End];
        let (_, mut input) = Script::new(steps);
        let returned = finish(input.copy_and_close(&mut output)).expect_err("no clean end");
        assert_eq!(returned.kind(), error.kind());
        drop(output);
        turns.end();
        assert_eq!((peer.ended(), turns.background_closes()), (0, 0));
        assert_eq!(peer.aborted().expect("reset").kind(), error.kind());
    }
}

/// KTOR.md G10: there it returns 0, and closes in order.
#[test]
fn copying_from_a_source_that_was_aborted_before_is_an_error() {
    let mut input = ByteReadChannel::from("never read");
    input.abort_with(Error::other("aborted before"));
    let (mut reader, mut output) = pipe(KIB);
    for error in [
        at_once(input.copy_to(&mut output)).expect_err("copy_to"),
        at_once(input.copy_exact_to(1, &mut output)).expect_err("copy_exact_to"),
        at_once(input.copy_to_writer(&mut Vec::new(), 1)).expect_err("copy_to_writer"),
        finish(input.copy_and_close(&mut output)).expect_err("copy_and_close"),
    ] {
        assert_eq!(error.to_string(), "aborted before");
    }
    let cause = at_once(reader.read_chunk()).expect_err("no clean end");
    assert_eq!(cause.to_string(), "aborted before");
}

#[test]
fn a_dropped_copy_and_close_has_no_clean_end_unless_it_is_called_again() {
    for again in [false, true] {
        let peer = Recorder::new();
        let (mut output, turns) = peer.channel();
        let (script, mut input) = Script::new([Step::Bytes(b"half".to_vec())]);
        assert!(cut_after(3, input.copy_and_close(&mut output)).is_none());
        if again {
            script.bytes(" whole");
            script.then(Step::End);
            assert_eq!(finish(input.copy_and_close(&mut output)).expect("a clean end"), 6);
        }
        drop(output);
        turns.end();
        assert_eq!((peer.ended(), peer.aborted().is_some()), (usize::from(again), !again));
    }
}

#[test]
fn copy_and_close_waits_for_a_slow_end_mark_and_may_be_dropped_there() {
    let peer = Recorder::new();
    peer.hold_end(true);
    let (mut output, turns) = peer.channel();
    let mut input = ByteReadChannel::from("all");
    assert!(cut_after(5, input.copy_and_close(&mut output)).is_none());
    assert_eq!((peer.sent(), peer.ended()), (b"all".to_vec(), 0));
    assert!(cut_after(5, input.copy_and_close(&mut output)).is_none(), "it waits for the end mark");
    drop(output);
    assert_eq!(turns.background_closes(), 1, "the whole stream is there: the end goes on");
    peer.hold_end(false);
    turns.end();
    assert_eq!((peer.ended(), peer.aborted().is_some()), (1, false));
}

#[test]
fn an_output_that_was_finished_before_is_not_reset_by_a_copy_to_it() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_str("queued")).expect("room");
    assert!(cut_after(1, output.finish()).is_none());
    let (_, mut input) = Script::new([Step::Bytes(b"late".to_vec()), Step::End]);
    let error = finish(input.copy_and_close(&mut output)).expect_err("it is finished");
    assert!(error.is_closed(), "{error}");
    assert_eq!(finish(input.read_remaining(KIB)).expect("not taken").as_slice(), b"late");
    peer.allow(usize::MAX);
    turns.end();
    assert_eq!((peer.sent(), peer.ended()), (b"queued".to_vec(), 1));
    assert!(peer.aborted().is_none());
}

// ---- copy_to_writer ------------------------------------------------------------------------------------

/// SCENARIOS 3.5 #testReadToSinkAll.
#[test]
fn read_to_sink_all() {
    let mut input = ByteReadChannel::from(vec![1, 2, 3, 4, 5]);
    let mut sink = Vec::new();
    assert_eq!(at_once(input.copy_to_writer(&mut sink, u64::MAX)).expect("all"), 5);
    assert_eq!(at_once(input.copy_to_writer(&mut sink, u64::MAX)).expect("the end"), 0);
    assert_eq!(sink, [1, 2, 3, 4, 5]);
}

/// SCENARIOS 3.5 #testReadToSinkPartial; KTOR.md G8: there, `copyTo(OutputStream, limit)` ignores its limit.
#[test]
fn read_to_sink_partial() {
    let mut input = ByteReadChannel::from((0..10).collect::<Vec<u8>>());
    let mut sink = Vec::new();
    for limit in [2, 2, 5, 1] {
        assert_eq!(at_once(input.copy_to_writer(&mut sink, limit)).expect("there"), limit);
    }
    assert_eq!(at_once(input.copy_to_writer(&mut sink, u64::MAX)).expect("the end"), 0);
    assert_eq!(sink, (0..10).collect::<Vec<u8>>());
}

/// SCENARIOS 3.5 #testReadToFromCancelled.
#[test]
fn read_to_from_cancelled() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_all(&[1, 2, 3])).expect("room");
    output.abort_with(Error::other("cancelled"));
    let mut sink = Vec::new();
    let error = at_once(input.copy_to_writer(&mut sink, u64::MAX)).expect_err("cancelled");
    assert_eq!(error.to_string(), "cancelled");
    assert!(input.is_closed_for_read());
}

/// A writer that takes so much of each slice, and fails when it has taken all that it has room for.
struct Narrow {
    taken: Vec<u8>,
    bite: usize,
    room: usize,
    interrupted: bool,
}

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let left = self.room - self.taken.len();
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
        }
        let count = bytes.len().min(self.bite).min(left);
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        panic!("nothing asked for a flush")
    }
}

#[test]
fn what_a_writer_has_not_taken_stays_readable() {
    for (bite, room) in [(1, 7), (3, 7), (100, 7), (100, 0), (100, 40 * KIB)] {
        let bytes = scrambled(100 * KIB, 0);
        let (_, mut input) = Script::new([Step::Bytes(bytes.clone()), Step::End]);
        let mut narrow = Narrow { taken: Vec::new(), bite, room, interrupted: false };
        let error = finish(input.copy_to_writer(&mut narrow, u64::MAX)).expect_err("full");
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert!(narrow.taken == bytes[..room]);
        let rest = finish(input.read_remaining(MIB)).expect("the rest");
        assert!(rest.as_slice() == &bytes[room..]);
    }
}

#[test]
fn a_writer_that_takes_nothing_is_an_error_and_no_spin() {
    let mut input = ByteReadChannel::from("abc");
    let error = at_once(input.copy_to_writer(&mut &mut [][..], 3)).expect_err("it takes nothing");
    assert_eq!(error.to_string(), "copy_to_writer: the writer takes no more");
    assert_eq!(at_once(input.read_u8()).expect("all is here"), b'a');
}

#[test]
fn a_loop_that_ignores_the_errors_of_a_writer_gives_way() {
    let mut input = ByteReadChannel::from("abc");
    let mut waits = 0;
    for _ in 0..9 {
        let mut none: &mut [u8] = &mut [];
        let mut copy = pin!(input.copy_to_writer(&mut none, 3));
        while poll_once(copy.as_mut()).is_pending() {
            waits += 1;
        }
    }
    assert!(waits >= 3, "{waits} waits in nine answers");
}

#[test]
fn dropped_at_any_poll_a_copy_to_a_writer_loses_nothing() {
    let input = (splits(), 1..100 * KIB, sizes());
    property("copy_to_writer", 100, &input, |(splits, size, limit)| {
        let bytes = scrambled(size, 0);
        let (script, mut input) = dripping(&bytes, &splits);
        let mut sink = Vec::new();
        loop {
            let before = sink.len();
            let copied = cut_after(2, input.copy_to_writer(&mut sink, limit as u64));
            assert_eq!((sink.len() + input.buffered()) as u64, script.delivered());
            assert!(sink.len() - before <= limit, "the limit");
            match copied {
                Some(Ok(count)) => {
                    assert_eq!(count, (sink.len() - before) as u64);
                    if count < limit as u64 {
                        break;
                    }
                }
                Some(Err(error)) => assert!(error.is_timeout(), "{error}"),
                None => {}
            }
        }
        assert!(sink == bytes);
    });
}

// ---- what Ktor's tests pin -----------------------------------------------------------------------------

/// SCENARIOS 3.5 #copyTo with limit propagates closedCause cancelled mid-await.
#[test]
fn copy_to_with_limit_propagates_closed_cause_cancelled_mid_await() {
    let (mut input, mut writer) = pipe(KIB);
    let (_reader, mut output) = pipe(KIB);
    {
        let mut copy = pin!(input.copy_exact_to(1024, &mut output));
        assert!(poll_once(copy.as_mut()).is_pending());
        writer.abort_with(Error::other("source cancelled"));
        let error = finish(copy).expect_err("no short count");
        assert_eq!(error.to_string(), "source cancelled");
    }
    assert!(input.is_closed_for_read());
}

/// SCENARIOS 3.8 #raw sink is not closed on channel close. Ours: the writer is its caller's to flush and close.
#[test]
fn raw_sink_is_not_closed_on_channel_close() {
    #[derive(Default)]
    struct Recording(Vec<u8>, usize);
    impl Write for Recording {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.1 += 1;
            Ok(())
        }
    }
    let mut sink = Recording::default();
    let mut input = ByteReadChannel::from(vec![42]);
    assert_eq!(at_once(input.copy_to_writer(&mut sink, u64::MAX)).expect("a clean end"), 1);
    drop(input);
    assert_eq!((&sink.0[..], sink.1), (&[42][..], 0));
    sink.flush().expect("it is still there");
}

/// SCENARIOS 3.4 #testReadAndWriteConcurrentWithCopyTo, with `copy_and_close`.
#[test]
fn read_and_write_concurrent_with_copy_and_close() {
    forebay_testing::watched(|| {
        for _ in 0..1000 {
            let (mut input, mut writer) = pipe(KIB);
            let (mut result, mut output) = pipe(KIB);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    futures_lite::future::block_on(input.copy_and_close(&mut output))
                        .expect("a clean end");
                });
                futures_lite::future::block_on(async {
                    writer.write_u8(1).await.expect("room");
                    writer.write_u8(2).await.expect("room");
                    writer.finish().await.expect("a clean end");
                    let bytes = result.read_remaining(KIB).await.expect("a clean end");
                    assert_eq!(bytes.as_slice(), [1, 2]);
                });
            });
        }
    });
}

/// SCENARIOS 3.4 CoroutinesTest#testWriterWaitsNestedLaunch and #testReaderWaitsNestedLaunch, without tasks.
#[test]
fn a_nested_copy_and_close_passes_the_end_on() {
    let (mut incoming, mut output) = pipe(KIB);
    let (mut input, mut writer) = pipe(KIB);
    let mut nested = pin!(input.copy_and_close(&mut output));
    assert!(poll_once(nested.as_mut()).is_pending());
    at_once(writer.write_u8(42)).expect("room");
    at_once(writer.finish()).expect("a clean end");
    assert_eq!(finish(nested).expect("copied and closed"), 1);
    assert_eq!(at_once(incoming.read_u8()).expect("it was copied"), 42);
    assert!(at_once(incoming.read_u8()).expect_err("closed").is_end());
}
