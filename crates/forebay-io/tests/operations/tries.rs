//! Writes that do not wait: all of an item, or nothing of it.

use bytes::Bytes;
use forebay_io::{Error, ErrorKind, pipe};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Recorder, ledgered},
    cut_after,
};

#[test]
fn above_the_mark_nothing_is_accepted() {
    ledgered(|_| {
        let peer = Recorder::limited(0);
        let (mut output, turns) = peer.channel();
        assert!(output.try_write_all(&vec![1; 64 * KIB - 1]).expect("open"), "one byte is free");
        assert!(output.try_write_str("all of it").expect("open"));
        let queued = output.queued();
        assert!(!output.try_write_str("x").expect("open"));
        assert!(!output.try_write_all(b"x").expect("open"));
        assert!(!output.try_write_bytes(Bytes::from_static(b"x")).expect("open"));
        assert!(!output.try_write_bytes(Bytes::from(vec![1; 40 * KIB])).expect("open"));
        assert!(!output.try_write_str("").expect("open"), "it would wait, too");
        assert_eq!(output.queued(), queued, "a part was accepted");
        peer.allow(8);
        turns.end();
        assert!(!output.try_write_str("x").expect("open"), "still at the mark");
        peer.allow(1);
        turns.end();
        assert!(output.try_write_str("x").expect("open"), "one below");
        peer.allow(usize::MAX);
        at_once(output.flush()).expect("nothing is wrong with the peer");
        assert_eq!(peer.sent_len(), 64 * KIB - 1 + 9 + 1);
    });
}

#[test]
fn a_queue_that_is_full_only_since_the_last_turn_is_sent_first() {
    let peer = Recorder::new();
    let (mut output, _turns) = peer.channel();
    for _ in 0..3 {
        assert!(
            output.try_write_all(&vec![0; 50 * KIB]).expect("open"),
            "the peer takes everything"
        );
    }
}

#[test]
fn a_try_is_refused_like_any_write() {
    let (_input, mut output) = pipe(KIB);
    let limit = ErrorKind::LimitExceeded { limit: MIB as u64 };
    assert_eq!(output.try_write_all(&vec![0; MIB + 1]).expect_err("large").kind(), limit);
    assert!(output.try_write_bytes(Bytes::from(vec![0; MIB + 1])).expect("any size"));
    output.abort_with(Error::other("over"));
    for refused in [output.try_write_str("x"), output.try_write_str("")] {
        assert_eq!(refused.expect_err("aborted").to_string(), "over");
    }
    assert_eq!(output.try_write_bytes(Bytes::new()).expect_err("aborted").to_string(), "over");
}

#[test]
fn behind_half_a_slice_a_try_is_an_error() {
    let (_input, mut output) = pipe(KIB);
    assert!(cut_after(1, output.write_all(&vec![0; 3 * MIB])).is_none());
    for refused in [output.try_write_str("x"), output.try_write_str("")] {
        let error = refused.expect_err("half a slice");
        assert!(matches!(error.kind(), ErrorKind::Incomplete { .. }), "{error}");
    }
}
