//! The limit of a line: its content may reach it, terminator not counted; beyond it the channel
//! stands before the line, says so again in no time, and gives way to others.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{ByteReadChannel, ErrorKind, LineOptions};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Script, Step},
    counted_waker, cut_after, finish, poll_once, poll_with,
};

fn limited(pieces: &[&str], limit: usize) -> ByteReadChannel {
    let mut input = Script::pieces(pieces);
    input.set_line_options(LineOptions::new().limit(limit));
    input
}

#[track_caller]
fn assert_line(input: &mut ByteReadChannel, expected: &str) {
    assert_eq!(finish(input.read_line()).expect("a line").as_deref(), Some(expected));
}

#[track_caller]
fn assert_too_long(input: &mut ByteReadChannel, limit: usize) {
    let error = finish(input.read_line()).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::LineTooLong { limit: limit as u64 });
    assert!(error.to_string().contains("LineOptions::limit"), "the knob is named: {error}");
}

#[test]
fn the_default_is_64_kib_of_content() {
    let content = "x".repeat(64 * KIB);
    for ending in ["\n", "\r\n", ""] {
        let mut input = ByteReadChannel::from(format!("{content}{ending}"));
        assert_line(&mut input, &content);
        assert_eq!(finish(input.read_line()).expect("the end"), None);
        let mut input = ByteReadChannel::from(format!("{content}x{ending}"));
        assert_too_long(&mut input, 64 * KIB);
    }
}

#[test]
fn a_line_of_exactly_the_limit_fits_however_its_terminator_arrives() {
    for limit in [0, 1, 5, 4 * KIB, 16 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 100 * KIB] {
        let content = "x".repeat(limit);
        for pieces in [
            &[&content, "\nnext\n"][..],
            &[&content, "\r\nnext\n"],
            &[&content, "\r", "\nnext\n"],
            &[&content, "\r", "\n", "next\n"],
        ] {
            let pieces: Vec<_> = pieces.iter().copied().filter(|piece| !piece.is_empty()).collect();
            let mut input = limited(&pieces, limit);
            assert_line(&mut input, &content);
            input.set_line_options(LineOptions::new());
            assert_line(&mut input, "next");
        }
        for pieces in [
            &[&content, "x"][..],
            &[&content, "\r", "x\n"],
            &[&content, "x\r\n"],
            &[&content, "\r"],
        ] {
            let pieces: Vec<_> = pieces.iter().copied().filter(|piece| !piece.is_empty()).collect();
            let mut input = limited(&pieces, limit);
            assert_too_long(&mut input, limit);
        }
    }
}

#[test]
fn a_lone_cr_behind_the_limit_waits_for_what_follows_it() {
    let (script, mut input) = Script::new([Step::Bytes(b"12345\r".to_vec())]);
    input.set_line_options(LineOptions::new().limit(5));
    assert!(cut_after(1, input.read_line()).is_none(), "it may be half of the terminator");
    script.bytes("\n");
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("12345"));
}

#[test]
fn a_line_is_too_long_before_its_end_is_seen() {
    let (script, mut input) = Script::new([Step::Bytes(b"123456".to_vec())]);
    input.set_line_options(LineOptions::new().limit(5));
    assert!(at_once(input.read_line()).expect_err("whatever follows").is_line_too_long());
    assert_eq!(script.calls(), 1, "nothing more was waited for");
}

#[test]
fn the_same_answer_comes_again_and_the_third_in_a_row_gives_way() {
    let (script, mut input) = Script::new([Step::Bytes(vec![b'x'; 65 * KIB])]);
    at_once(input.read_line()).expect_err("the first");
    let asked = script.calls();
    for round in 0..10 {
        at_once(input.read_line()).expect_err("the second");
        let (waker, woken) = counted_waker();
        let mut third = pin!(input.read_line());
        assert!(poll_with(third.as_mut(), &waker).is_pending(), "round {round}: a loop would spin");
        assert_eq!(woken.count(), 1, "round {round}: it would sleep for ever");
        assert!(matches!(poll_once(third), Poll::Ready(Err(error)) if error.is_line_too_long()));
    }
    assert_eq!(script.calls(), asked, "the source was asked again");
}

#[test]
fn each_line_call_counts_towards_the_third_answer() {
    let mut input = limited(&["too long\n"], 3);
    finish(input.read_line()).expect_err("the first");
    at_once(input.read_line_ref()).expect_err("the second");
    assert!(cut_after(1, input.read_line_into(&mut String::new())).is_none());
    at_once(input.read_line_into(&mut String::new())).expect_err("the third");
}

#[test]
fn bytes_of_a_too_long_line_stay_readable() {
    let mut input = limited(&["too long\nok\n"], 3);
    assert_too_long(&mut input, 3);
    let all = finish(input.read_remaining(MIB)).expect("a reader of bytes has no limit of lines");
    assert_eq!(all.as_slice(), b"too long\nok\n");
}

#[test]
fn reading_some_of_a_too_long_line_starts_anew_behind_it() {
    let mut input = limited(&["too long\nok\n"], 3);
    assert_too_long(&mut input, 3);
    finish(input.discard(4)).expect("they are there");
    assert_too_long(&mut input, 3);
    finish(input.discard(1)).expect("they are there");
    assert_line(&mut input, "ong");
}

#[test]
fn skip_line_gets_past_a_too_long_line_of_any_length() {
    for length in [4, 64 * KIB, 65 * KIB, 300 * KIB] {
        let long = "x".repeat(length);
        let mut input = limited(&[&long[..length / 2], &long[length / 2..], "\nok\nok"], 3);
        assert_too_long(&mut input, 3);
        assert!(finish(input.skip_line()).expect("it ends"));
        assert_line(&mut input, "ok");
        assert_line(&mut input, "ok");
        assert_eq!(finish(input.read_line()).expect("the end"), None);
    }
}

#[test]
fn a_higher_limit_makes_the_line_readable() {
    let mut input = limited(&["123456\n"], 5);
    assert_too_long(&mut input, 5);
    input.set_line_options(LineOptions::new().limit(6));
    assert_line(&mut input, "123456");
}

#[test]
fn no_limit_is_a_limit_too() {
    let long = "x".repeat(300 * KIB);
    let mut input = limited(&[&long[..100 * KIB], &long[100 * KIB..], "\r\nok"], usize::MAX);
    assert_line(&mut input, &long);
    assert_line(&mut input, "ok");
}

#[test]
fn a_peer_that_sends_no_newline_fills_no_more_than_the_limit() {
    let (script, mut input) = Script::new([]);
    for _ in 0..100 {
        script.bytes(vec![b'x'; 10 * KIB]);
    }
    assert!(at_once(input.read_line()).expect_err("too long").is_line_too_long());
    assert!(input.buffered() <= 64 * KIB + 2);
    at_once(input.read_line()).expect_err("too long");
    assert!(script.delivered() <= 64 * KIB as u64 + 2, "it went on reading");
}

#[test]
fn a_line_that_drips_in_byte_by_byte_is_read_in_linear_time() {
    // With a second look at every byte this would be two thousand million steps.
    let (script, mut input) = Script::new([]);
    for _ in 0..64 * KIB {
        script.bytes(*b"x");
        assert!(cut_after(1, input.read_line()).is_none());
    }
    script.bytes("\n");
    assert_eq!(at_once(input.read_line()).expect("a line").map(|line| line.len()), Some(64 * KIB));
}
