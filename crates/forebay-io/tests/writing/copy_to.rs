//! `copy_to`: every byte is either still in the source or accepted by the output.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{ByteReadChannel, Error, ErrorKind, pipe};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Recorder, Script, Step, hiccup, ledgered},
    cut_after, finish, poll_once, property, scrambled, splits,
};

#[test]
fn a_closed_output_takes_nothing_from_the_source() {
    for size in [10, 40 * KIB, 300 * KIB] {
        let bytes = scrambled(size, 0);
        let (script, mut input) = Script::new([Step::Bytes(bytes.clone()), Step::End]);
        let (_reader, mut output) = pipe(KIB);
        at_once(output.finish()).expect("nothing was written");
        let error = finish(input.copy_to(&mut output)).expect_err("it is finished");
        assert!(error.is_closed(), "{error}");
        assert_eq!(input.buffered() as u64, script.delivered(), "bytes fell between the two");
        let rest = finish(input.read_remaining(MIB)).expect("all of it is here");
        assert!(rest.as_slice() == bytes);
    }
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn dropped_at_any_poll_no_byte_is_between_the_two() {
    let input = (splits(), splits(), 1..300 * KIB);
    property("copy_to", 100, &input, |(splits, grants, size)| {
        ledgered(|_| {
            let bytes = scrambled(size, 0);
            let mut rest = &bytes[..];
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
            let (script, mut input) = Script::new(steps);
            let peer = Recorder::limited(0);
            let (mut output, turns) = peer.channel();
            let mut grants = grants.iter().cycle();
            loop {
                let copied = cut_after(2, input.copy_to(&mut output));
                let accepted = peer.sent_len() + output.queued();
                assert_eq!((accepted + input.buffered()) as u64, script.delivered());
                assert!(output.queued() < 128 * KIB, "more than a queue and a block");
                match copied {
                    Some(Ok(_)) => break,
                    Some(Err(error)) => assert!(error.is_timeout(), "{error}"),
                    None => {}
                }
                peer.allow(500 + *grants.next().expect("a cycle"));
                turns.end();
            }
            peer.allow(usize::MAX);
            at_once(output.flush()).expect("nothing is wrong with the peer");
            assert!(peer.sent() == bytes);
        });
    });
}

#[test]
fn it_says_how_much_it_copied_and_leaves_the_output_open() {
    let (mut reader, mut output) = pipe(KIB);
    let mut input = ByteReadChannel::from(vec![1, 2, 3]);
    assert_eq!(at_once(input.copy_to(&mut output)).expect("a clean end"), 3);
    assert_eq!(at_once(input.copy_to(&mut output)).expect("still the end"), 0);
    at_once(output.write_u8(4)).expect("still open");
    assert_eq!(at_once(reader.read_u32()).expect("four bytes"), 0x0102_0304);
}

#[test]
fn an_error_of_the_source_is_an_error_and_never_a_short_count() {
    let broken = Error::new(ErrorKind::Reset, "recv");
    let (_, mut input) = Script::new([Step::Bytes(vec![1; 9]), Step::Broken(broken)]);
    let (_reader, mut output) = pipe(KIB);
    let error = at_once(input.copy_to(&mut output)).expect_err("no clean end");
    assert!(error.is_reset());
}

#[test]
fn a_full_output_stops_the_reading() {
    let (script, mut input) = Script::new((0..100).map(|_| Step::Bytes(vec![0; 10 * KIB])));
    let peer = Recorder::limited(0);
    let (mut output, _turns) = peer.channel();
    assert!(cut_after(10, input.copy_to(&mut output)).is_none());
    assert!(script.delivered() <= 80 * KIB as u64);
    assert_eq!(input.buffered(), 0, "nothing is held while the output is full");
}

// ---- what Ktor's tests pin -------------------------------------------------------------------------

#[test]
fn copy_to_does_not_throw_on_normal_close() {
    let (mut input, mut writer) = pipe(KIB);
    at_once(writer.write_all(&[1, 2, 3])).expect("room");
    at_once(writer.finish()).expect("a clean end");
    let (_reader, mut output) = pipe(KIB);
    assert_eq!(at_once(input.copy_to(&mut output)).expect("a clean end"), 3);
}

#[test]
fn copy_to_propagates_closed_cause_cancelled_mid_await() {
    let (mut input, mut writer) = pipe(KIB);
    let (_reader, mut output) = pipe(KIB);
    {
        let mut copy = pin!(input.copy_to(&mut output));
        assert!(poll_once(copy.as_mut()).is_pending());
        writer.abort_with(Error::other("source cancelled"));
        let Poll::Ready(Err(error)) = poll_once(copy) else {
            panic!("no error");
        };
        assert_eq!(error.to_string(), "source cancelled");
    }
    at_once(input.copy_to(&mut output)).expect_err("and stays so");
}

#[test]
fn channel_test_copy_to_flushes_destination() {
    let (mut input, mut writer) = pipe(KIB);
    let (mut destination, mut output) = pipe(KIB);
    let mut copy = pin!(input.copy_to(&mut output));
    assert!(poll_once(copy.as_mut()).is_pending());
    at_once(writer.write_u8(1)).expect("room");
    assert!(poll_once(copy.as_mut()).is_pending());
    assert_eq!(at_once(destination.read_u8()).expect("without a close"), 1);
}

#[test]
fn reader_and_writer_wait_for_a_nested_copy() {
    let (mut incoming, mut output) = pipe(KIB);
    let (mut input, mut writer) = pipe(KIB);
    let mut nested = Box::pin(async move {
        input.copy_to(&mut output).await?;
        output.finish().await
    });
    assert!(poll_once(nested.as_mut()).is_pending());
    at_once(writer.write_u8(42)).expect("room");
    at_once(writer.finish()).expect("a clean end");
    finish(nested).expect("copied and closed");
    assert_eq!(at_once(incoming.read_u8()).expect("it was copied"), 42);
    assert!(at_once(incoming.read_u8()).expect_err("closed").is_end());
}
