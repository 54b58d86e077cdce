//! All whole lines that have arrived, lent at once: the same lines as one by one, and what is not taken stays.

use std::pin::pin;

use forebay_io::{ByteReadChannel, ErrorKind, LineEnding, LineOptions, Result};
use forebay_testing::{
    KIB, at_once,
    channels::{Script, Step, hiccup},
    finish, poll_once, property, splits,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn channel(steps: impl IntoIterator<Item = Step>) -> ByteReadChannel {
    Script::new(steps).1
}

/// The lines of the next call.
fn next_lines(input: &mut ByteReadChannel) -> Result<Option<Vec<String>>> {
    finish(input.read_lines_ref())
        .map(|lines| lines.map(|lines| lines.map(str::to_owned).collect()))
}

#[track_caller]
fn assert_lines(input: &mut ByteReadChannel, expected: &[&str]) {
    let lines = next_lines(input).expect("lines").expect("no end yet");
    assert_eq!(lines, expected);
}

#[test]
fn all_whole_lines_come_at_once() {
    let mut input = Script::pieces(["a\nbb\r\n\n\r\n\rc\nhal", "f\nlast"]);
    assert_lines(&mut input, &["a", "bb", "", "", "\rc"]);
    assert_lines(&mut input, &["half"]);
    assert_lines(&mut input, &["last"]);
    for _ in 0..3 {
        assert!(next_lines(&mut input).expect("the end").is_none());
    }
}

#[test]
fn all_whole_lines_come_at_once_with_every_ending() {
    for (ending, text) in [
        (LineEnding::Default, "a\nb\r\nc\nrest"),
        (LineEnding::Lenient, "a\rb\nc\r\nrest"),
        (LineEnding::CrlfOnly, "a\r\nb\r\nc\r\nrest"),
        (LineEnding::LfOnly, "a\nb\nc\nrest"),
    ] {
        let mut input = ByteReadChannel::from(text);
        input.set_line_options(LineOptions::new().ending(ending));
        assert_lines(&mut input, &["a", "b", "c"]);
        assert_lines(&mut input, &["rest"]);
    }
}

#[test]
fn a_call_waits_for_a_whole_line() {
    let mut input = channel([
        Step::Bytes(b"no line".to_vec()),
        Step::Idle,
        Step::Bytes(b" yet\nand a half".to_vec()),
        Step::Idle,
        Step::End,
    ]);
    assert!(poll_once(pin!(input.read_lines_ref())).is_pending());
    assert_lines(&mut input, &["no line yet"]);
    assert_eq!(input.buffered(), "and a half".len());
    assert_lines(&mut input, &["and a half"]);
}

#[test]
fn lines_that_are_not_taken_stay_in_the_channel() {
    let mut input = ByteReadChannel::from("one\ntwo\r\nthree\nfour\n");
    let mut lines = at_once(input.read_lines_ref()).expect("lines").expect("no end yet");
    assert_eq!(lines.next(), Some("one"));
    assert_eq!(lines.next(), Some("two"));
    assert_eq!(input.buffered(), "three\nfour\n".len());
    assert!(at_once(input.read_lines_ref()).expect("lines").is_some());
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("three"));
    assert_lines(&mut input, &["four"]);
}

#[test]
fn a_line_with_a_fault_is_the_next_calls() {
    let mut bytes = b"good\nalso good\nb\xffd\nafter\n".to_vec();
    bytes.extend_from_slice("far too long\nend\n".as_bytes());
    let mut input = channel([Step::Bytes(bytes), Step::End]);
    input.set_line_options(LineOptions::new().limit(10));
    assert_lines(&mut input, &["good", "also good"]);
    for _ in 0..3 {
        let error = next_lines(&mut input).expect_err("not UTF-8");
        assert_eq!(error.kind(), ErrorKind::InvalidUtf8 { offset: 1 });
    }
    assert!(at_once(input.skip_line()).expect("a line"));
    assert_lines(&mut input, &["after"]);
    for _ in 0..3 {
        let error = next_lines(&mut input).expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::LineTooLong { limit: 10 });
    }
    assert!(at_once(input.skip_line()).expect("a line"));
    assert_lines(&mut input, &["end"]);
}

/// The letter is in two pieces, the second of which comes with the end of its line.
#[test]
fn a_letter_that_arrives_in_two_pieces_is_whole() {
    let text = "eins\nzw\u{f6}lf\n";
    let cut = text.find('\u{f6}').expect("it is there") + 1;
    let (first, second) = text.as_bytes().split_at(cut);
    let mut input =
        channel([Step::Bytes(first.to_vec()), Step::Idle, Step::Bytes(second.to_vec()), Step::End]);
    assert_lines(&mut input, &["eins"]);
    assert_lines(&mut input, &["zw\u{f6}lf"]);
}

#[test]
fn an_error_that_passes_loses_nothing() {
    let mut input = channel([
        Step::Bytes(b"one\ntw".to_vec()),
        Step::Fail(hiccup()),
        Step::Bytes(b"o\n".to_vec()),
        Step::End,
    ]);
    assert_lines(&mut input, &["one"]);
    assert!(next_lines(&mut input).expect_err("a hiccup").is_timeout());
    assert_lines(&mut input, &["two"]);
}

/// A block full of lines, and one that is cut by the end of the block.
#[test]
fn a_whole_block_of_lines_is_lent() {
    let text = "0123456789abcde\n".repeat(10 * KIB);
    let mut input = ByteReadChannel::from(text.clone());
    let (mut calls, mut lines) = (0, 0);
    while let Some(lent) = next_lines(&mut input).expect("lines") {
        calls += 1;
        lines += lent.len();
    }
    assert_eq!(lines, 10 * KIB);
    assert!(calls < 10, "{calls} calls");
}

/// Long ones, of letters of several bytes, with faults among them; some of each call are taken.
#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn the_lines_are_those_that_are_read_one_by_one() {
    let piece = prop_oneof![
        8 => (0..1_200_usize).prop_map(|count| "\u{fc}".repeat(count).into_bytes()),
        8 => (0..40_usize).prop_map(|count| "a\u{1f600}".repeat(count).into_bytes()),
        12 => Just(b"\n".to_vec()),
        4 => Just(b"\r\n".to_vec()),
        1 => Just(b"\xc3".to_vec()),
        1 => Just(b"\r".to_vec()),
    ];
    let limit = prop_oneof![Just(usize::MAX), Just(64 * KIB), 0..3_000_usize];
    let text = vec(piece, 0..60);
    let values = (text, splits(), vec((limit, 0..30_usize), 1..8));
    property("lent lines", 2_000, &values, |(text, splits, calls)| {
        let text = text.concat();
        let mut unsent = &text[..];
        let pieces: Vec<_> = splits
            .iter()
            .cycle()
            .map_while(|split| {
                let (piece, rest) = unsent.split_at(unsent.len().min(*split));
                unsent = rest;
                (!piece.is_empty()).then_some(piece)
            })
            .collect();
        let (mut lent, mut single) = (Script::pieces(&pieces), Script::pieces(&pieces));
        for (limit, most) in calls.iter().cycle() {
            let options = LineOptions::new().limit(*limit);
            lent.set_line_options(options);
            single.set_line_options(options);
            let fault = match finish(lent.read_lines_ref()) {
                Ok(Some(lines)) => {
                    // One at least, so that the end is reached.
                    for line in lines.take(most + 1) {
                        assert_eq!(finish(single.read_line()).unwrap().as_deref(), Some(line));
                    }
                    continue;
                }
                Ok(None) => {
                    assert_eq!(finish(single.read_line()).unwrap(), None);
                    break;
                }
                Err(fault) => fault,
            };
            assert_eq!(finish(single.read_line()).unwrap_err().kind(), fault.kind());
            assert!(finish(lent.skip_line()).unwrap() && finish(single.skip_line()).unwrap());
        }
    });
}
