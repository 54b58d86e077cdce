//! Copying to two channels at once: each byte is in the source or in both.

use forebay_io::{ByteReadChannel, Error, ErrorKind, pipe};
use forebay_testing::{
    KIB, at_once,
    channels::{Recorder, Script, Step, ledgered},
    cut_after, finish, property, scrambled, splits,
};

#[test]
fn dropped_at_any_poll_each_byte_is_in_the_source_or_in_both() {
    let input = (splits(), splits(), 1..100 * KIB);
    property("copy_to_both", 100, &input, |(splits, grants, size)| {
        ledgered(|_| {
            let bytes = scrambled(size, 0);
            let mut rest = &bytes[..];
            let mut steps = Vec::new();
            for split in splits.iter().cycle() {
                let (piece, later) = rest.split_at(rest.len().min(*split));
                steps.extend([Step::Idle, Step::Bytes(piece.to_vec())]);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            steps.push(Step::End);
            let (script, mut input) = Script::new(steps);
            let peers = [Recorder::limited(0), Recorder::limited(0)];
            let [(mut first, turns), (mut second, other_turns)] =
                [peers[0].channel(), peers[1].channel()];
            let mut grants = grants.iter().cycle();
            for step in 0.. {
                let copied = cut_after(2, input.copy_to_both(&mut first, &mut second));
                assert_eq!(first.counted(), second.counted(), "one is ahead");
                assert_eq!(first.counted() + input.buffered() as u64, script.delivered());
                assert!(first.queued().max(second.queued()) < 128 * KIB);
                if let Some(copied) = copied {
                    assert!(copied.expect("nothing is wrong") <= size as u64);
                    break;
                }
                // Now the one is slow, and now the other.
                peers[step % 2].allow(500 + *grants.next().expect("a cycle"));
                turns.end();
                other_turns.end();
            }
            for peer in &peers {
                assert!(peer.sent() == bytes);
                assert_eq!(peer.ended(), 1);
            }
        });
    });
}

/// SCENARIOS 3.8 ChannelTest#testCopyToBoth.
#[test]
fn channel_test_copy_to_both() {
    let bytes = scrambled(16 * KIB, 0);
    let (mut left, mut to_left) = pipe(32 * KIB);
    let (mut right, mut to_right) = pipe(32 * KIB);
    let mut source = ByteReadChannel::from(bytes.clone());
    let copied = finish(source.copy_to_both(&mut to_left, &mut to_right)).expect("room for all");
    assert_eq!(copied, 16 * KIB as u64);
    for reader in [&mut left, &mut right] {
        assert!(finish(reader.read_remaining(32 * KIB)).expect("a clean end").as_slice() == bytes);
    }
    // Once more: nothing is left, and both are finished.
    assert_eq!(finish(source.copy_to_both(&mut to_left, &mut to_right)).expect("the end"), 0);
}

/// SCENARIOS 3.8 ChannelTest#testCopyToBothCancelFirstReader and `SecondReader`. Ours: the error is returned, and the
/// source can be read on.
#[test]
fn channel_test_copy_to_both_cancel_one_reader() {
    for cancelled in [0, 1] {
        let (left, mut to_left) = pipe(KIB);
        let (right, mut to_right) = pipe(KIB);
        let (mut source, mut writer) = pipe(KIB);
        at_once(writer.write_all(&vec![1; 100 * KIB])).expect("one item is accepted");
        let mut readers = vec![left, right];
        assert!(cut_after(5, source.copy_to_both(&mut to_left, &mut to_right)).is_none());
        let mut gone = readers.remove(cancelled);
        gone.abort_with(Error::other("not any more"));
        let error = finish(source.copy_to_both(&mut to_left, &mut to_right)).expect_err("gone");
        assert_eq!(error.to_string(), "not any more");
        let other = &mut readers[0];
        let error = finish(async { other.discard(u64::MAX).await }).expect_err("half a stream");
        assert_eq!(error.to_string(), "not any more");
        assert!(finish(source.discard(10)).expect("still there") > 0);
        drop(source);
        assert!(at_once(writer.write_u8(1)).expect_err("nothing reads").is_reset());
    }
}

#[test]
fn an_error_of_the_source_is_a_clean_end_of_neither() {
    let broken = Error::new(ErrorKind::Reset, "recv");
    let (_, mut source) = Script::new([Step::Bytes(vec![1; 9]), Step::Broken(broken)]);
    let peers = [Recorder::new(), Recorder::new()];
    let [(mut first, _turns), (mut second, _other)] = [peers[0].channel(), peers[1].channel()];
    finish(source.copy_to_both(&mut first, &mut second)).expect_err("no clean end");
    drop((first, second));
    for peer in &peers {
        assert_eq!(peer.ended(), 0);
        assert!(peer.aborted().expect("reset").is_reset());
    }
}
