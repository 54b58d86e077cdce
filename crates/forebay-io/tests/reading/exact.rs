//! `read_exact` fills the caller's memory, and gives back what it took when it is dropped: up to
//! 1 MiB. Beyond that, and when it is leaked, the gap is never passed over in silence.

use std::pin::pin;

use forebay_io::{ByteReadChannel, ErrorKind, Result};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Script, Step, hiccup, ledgered},
    cut_after, finish, poll_once, scrambled,
};

#[track_caller]
fn assert_incomplete<T: std::fmt::Debug>(answer: Result<T>, accepted: usize, of: usize) {
    let expected = ErrorKind::Incomplete { accepted: accepted as u64, of: of as u64 };
    assert_eq!(answer.expect_err("bytes are missing").kind(), expected);
}

fn assert_poisoned(input: &mut ByteReadChannel, accepted: usize, of: usize) {
    assert_incomplete(at_once(input.read_u8()), accepted, of);
    assert_incomplete(at_once(input.read_u64_le()), accepted, of);
    assert_incomplete(at_once(input.read(&mut [0; 4])), accepted, of);
    assert_incomplete(at_once(input.read_exact(&mut [0; 4])), accepted, of);
    assert_incomplete(at_once(input.read_line()), accepted, of);
    assert_incomplete(at_once(input.read_line_ref()), accepted, of);
    assert_incomplete(at_once(input.read_line_into(&mut String::new())), accepted, of);
    assert_incomplete(at_once(input.skip_line()), accepted, of);
    assert_incomplete(at_once(input.read_chunk()), accepted, of);
    assert_incomplete(at_once(input.read_packet(1)), accepted, of);
    assert_incomplete(at_once(input.read_remaining(9)), accepted, of);
    assert_incomplete(at_once(input.discard(1)), accepted, of);
    let (_, mut output) = forebay_io::pipe(KIB);
    assert_incomplete(at_once(input.copy_to(&mut output)), accepted, of);
}

/// Pieces that arrive one after the other, each after a Pending.
fn dripping(bytes: &[u8], piece: usize) -> (Script, ByteReadChannel) {
    let steps = bytes.chunks(piece).flat_map(|piece| [Step::Pause, Step::Bytes(piece.to_vec())]);
    Script::new(steps.collect::<Vec<_>>())
}

#[test]
fn dropped_at_any_poll_it_gives_back_what_it_took() {
    let bytes = scrambled(100 * KIB, 0);
    for size in [10, 16 * KIB - 1, 16 * KIB, 64 * KIB, 64 * KIB + 1, 100 * KIB] {
        for polls in 0..12 {
            let (script, mut input) = dripping(&bytes, 9000);
            script.then(Step::End);
            let mut slice = vec![0; size];
            if cut_after(polls, input.read_exact(&mut slice)).is_some() {
                continue;
            }
            assert_eq!(input.buffered() as u64, script.delivered());
            let all = finish(input.read_remaining(MIB)).expect("nothing is lost");
            assert!(all.as_slice() == bytes, "size {size}, dropped at poll {polls}");
        }
    }
}

#[test]
fn a_large_slice_is_received_into_directly_when_nothing_is_buffered() {
    let (script, mut input) = Script::new([Step::Bytes(scrambled(200 * KIB, 0))]);
    let mut slice = vec![0; 200 * KIB];
    at_once(input.read_exact(&mut slice)).expect("it is all there");
    assert!(slice == scrambled(200 * KIB, 0));
    assert_eq!(script.offered_max(), 200 * KIB, "through a block");

    let (script, mut input) = Script::new([Step::Bytes(vec![1; 100 * KIB])]);
    at_once(input.read_exact(&mut vec![0; 16 * KIB - 1])).expect("it is all there");
    assert_eq!(script.offered_max(), 64 * KIB, "a small slice is served from a block");
}

#[test]
fn an_error_on_the_way_leaves_what_was_taken_readable() {
    let (_, mut input) = Script::new([
        Step::Bytes(vec![1; 20 * KIB]),
        Step::Fail(hiccup()),
        Step::Bytes(vec![2; 20 * KIB]),
        Step::End,
    ]);
    let mut slice = vec![0; 40 * KIB];
    let error = at_once(input.read_exact(&mut slice)).expect_err("the hiccup");
    assert!(error.is_timeout());
    assert_eq!(input.buffered(), 20 * KIB);
    at_once(input.read_exact(&mut slice)).expect("all of it");
    assert_eq!((slice[0], slice[20 * KIB - 1], slice[20 * KIB]), (1, 1, 2));
}

#[test]
fn an_early_end_says_what_was_needed_and_what_there_is_and_keeps_it() {
    for (there, needed) in
        [(0, 1), (1, 2), (5, 16 * KIB), (20 * KIB, 20 * KIB + 1), (2 * MIB, 3 * MIB)]
    {
        let mut input = ByteReadChannel::from(scrambled(there, 0));
        let kind = ErrorKind::UnexpectedEnd { needed: needed as u64, available: there as u64 };
        for _ in 0..2 {
            let error = at_once(input.read_exact(&mut vec![0; needed])).expect_err("too short");
            assert_eq!(error.kind(), kind);
        }
        let rest = at_once(input.read_remaining(4 * MIB)).expect("it stays readable");
        assert!(rest.as_slice() == scrambled(there, 0));
    }
}

#[test]
fn an_empty_slice_is_full_already() {
    let (script, mut input) = Script::new([]);
    at_once(input.read_exact(&mut [])).expect("nothing is needed");
    assert_eq!(at_once(input.read(&mut [])).expect("nothing is needed"), 0);
    assert_eq!(at_once(input.discard(0)).expect("nothing is needed"), 0);
    assert!(at_once(input.read_packet(0)).expect("nothing is needed").is_empty());
    assert_eq!(script.calls(), 0, "the source was asked for nothing");
}

#[test]
fn a_slice_of_one_mebibyte_is_still_given_back() {
    ledgered(|_| {
        let bytes = scrambled(MIB - 1, 0);
        let (script, mut input) = dripping(&bytes, 100 * KIB);
        assert!(cut_after(100, input.read_exact(&mut vec![0; MIB])).is_none());
        assert_eq!(input.buffered(), MIB - 1);
        script.then(Step::End);
        let all = at_once(input.read_remaining(MIB)).expect("nothing is lost");
        assert!(all.as_slice() == bytes);
    });
}

#[test]
fn a_larger_slice_dropped_half_way_poisons_the_channel() {
    let (_, mut input) = dripping(&scrambled(2 * MIB, 0), 100 * KIB);
    assert!(cut_after(3, input.read_exact(&mut vec![0; MIB + 1])).is_none());
    assert_poisoned(&mut input, 200 * KIB, MIB + 1);
}

#[test]
fn a_larger_slice_dropped_before_it_took_anything_harms_nothing() {
    let (_, mut input) = dripping(&scrambled(2 * MIB, 0), 100 * KIB);
    assert!(cut_after(1, input.read_exact(&mut vec![0; MIB + 1])).is_none());
    let mut slice = vec![0; 2 * MIB];
    finish(input.read_exact(&mut slice)).expect("the whole input");
    assert!(slice == scrambled(2 * MIB, 0));
}

#[test]
fn a_leaked_read_is_noticed_by_the_next_call() {
    let (_, mut input) = dripping(&scrambled(100 * KIB, 0), 20 * KIB);
    let mut slice = vec![0; 50 * KIB];
    let mut read = input.read_exact(&mut slice);
    assert!(poll_once(pin!(&mut read)).is_pending());
    assert!(poll_once(pin!(&mut read)).is_pending());
    std::mem::forget(read);
    assert_poisoned(&mut input, 20 * KIB, 50 * KIB);

    let (_, mut input) = dripping(&scrambled(100 * KIB, 0), 20 * KIB);
    let mut read = input.read_exact(&mut slice);
    assert!(poll_once(pin!(&mut read)).is_pending());
    std::mem::forget(read);
    assert_eq!(finish(input.read_packet(9)).expect("it had taken nothing").len(), 9);
}

#[test]
fn a_channel_read_to_its_end_may_have_been_given_back_to() {
    let mut input = ByteReadChannel::from(vec![7; 30 * KIB]);
    at_once(input.read_exact(&mut vec![0; 40 * KIB])).expect_err("too short");
    assert!(!input.is_closed_for_read());
    at_once(input.read_exact(&mut vec![0; 30 * KIB])).expect("it is there");
    assert!(input.is_closed_for_read());
}
