//! Text split anywhere is read right; what is not UTF-8 is an error with its offset, told
//! again in no time, and its bytes stay readable.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{ByteReadChannel, Error, ErrorKind};
use forebay_testing::{
    at_once,
    channels::{Script, Step},
    counted_waker, finish, poll_once, poll_with,
};

/// Every way to cut an input into two pieces that both hold something, and the uncut input.
fn splits_of(input: &[u8]) -> impl Iterator<Item = ByteReadChannel> + '_ {
    (0..input.len()).map(move |cut| {
        let pieces = [&input[..cut], &input[cut..]];
        Script::pieces(pieces.into_iter().filter(|piece| !piece.is_empty()))
    })
}

fn invalid_at(error: &Error) -> u64 {
    match error.kind() {
        ErrorKind::InvalidUtf8 { offset } => offset,
        _ => panic!("{error}"),
    }
}

#[test]
fn characters_of_every_length_at_every_split() {
    for text in
        ["a", "é", "ン", "😀", "aéン😀", "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}"]
    {
        let input = format!("{text}\n{text}\r\n{text}");
        for mut channel in splits_of(input.as_bytes()) {
            for _ in 0..3 {
                let line = finish(channel.read_line()).expect("it is text");
                assert_eq!(line.as_deref(), Some(text));
            }
            assert_eq!(finish(channel.read_line()).expect("the end"), None);
        }
    }
}

/// Bytes that are no UTF-8, and where in them that shows.
const INVALID: [(&[u8], u64); 12] = [
    (b"\xff", 0),
    (b"ab\xfe", 2),
    (b"\x80", 0),
    (b"a\xc0\x80", 1),        // overlong NUL
    (b"\xc1\xbf", 0),         // overlong DEL
    (b"\xe0\x80\xaf", 0),     // overlong slash
    (b"\xf0\x80\x80\xaf", 0), // overlong slash
    (b"x\xed\xa0\x80", 1),    // a surrogate
    (b"\xf4\x90\x80\x80", 0), // beyond U+10FFFF
    ("é\u{30f3}\u{1f600}".as_bytes().split_at(8).0, 5),
    (b"\xe3\x83", 0),
    (b"Hello\xc2", 5),
];

#[test]
fn what_is_not_text_is_an_error_with_its_offset_at_every_split() {
    for (invalid, offset) in INVALID {
        for ending in [&b"\n"[..], b"\r\n"] {
            let input = [b"before\n", invalid, ending, b"behind\n"].concat();
            for mut channel in splits_of(&input) {
                let before = finish(channel.read_line()).expect("it is text");
                assert_eq!(before.as_deref(), Some("before"));
                let error = finish(channel.read_line()).expect_err("it is no text");
                assert_eq!(invalid_at(&error), offset, "{invalid:?}");
                // Told again, by every line call.
                let error = finish(channel.read_line_ref()).expect_err("it is still no text");
                assert_eq!(invalid_at(&error), offset);
                let mut line = "kept".to_owned();
                let error = finish(channel.read_line_into(&mut line)).expect_err("nor now");
                assert_eq!((invalid_at(&error), line.as_str()), (offset, "kept"));
                // For a reader of bytes nothing is lost.
                let length = invalid.len() + ending.len();
                let bytes = finish(channel.read_packet(length)).expect("they are there");
                assert_eq!(bytes.as_slice(), [invalid, ending].concat());
                let behind = finish(channel.read_line()).expect("it is text");
                assert_eq!(behind.as_deref(), Some("behind"));
            }
        }
    }
}

#[test]
fn skip_line_gets_past_what_is_not_text() {
    for (invalid, _) in INVALID {
        let input = [invalid, b"\nbehind\n"].concat();
        for mut channel in splits_of(&input) {
            finish(channel.read_line()).expect_err("it is no text");
            assert!(finish(channel.skip_line()).expect("it ends"));
            let behind = finish(channel.read_line()).expect("it is text");
            assert_eq!(behind.as_deref(), Some("behind"));
        }
    }
}

#[test]
fn charset_decoder_test_a_truncated_last_line_terminates_and_keeps_its_bytes() {
    let rows = [(&b"\xc2"[..], 0), (b"\xe0\xa0", 0), (b"\xf0\x90\x80", 0), (b"Hello\xc2", 5)];
    for (truncated, offset) in rows {
        for mut channel in splits_of(truncated) {
            let error = finish(channel.read_line()).expect_err("it is cut off");
            assert_eq!(invalid_at(&error), offset);
            let rest = finish(channel.read_remaining(9)).expect("they stay readable");
            assert_eq!(rest.as_slice(), truncated);
        }
    }
}

#[test]
fn the_third_equal_answer_in_a_row_gives_way() {
    let mut channel = ByteReadChannel::from(&b"\xff\n"[..]);
    at_once(channel.read_line()).expect_err("the first");
    at_once(channel.read_line()).expect_err("the second");
    let (waker, woken) = counted_waker();
    {
        let mut third = pin!(channel.read_line());
        assert!(poll_with(third.as_mut(), &waker).is_pending(), "a loop would spin");
        assert_eq!(woken.count(), 1, "and sleeps for ever");
        assert!(matches!(poll_once(third), Poll::Ready(Err(_))));
    }
    at_once(channel.skip_line()).expect("it ends");
    assert_eq!(at_once(channel.read_line()).expect("the end"), None);
}

#[test]
fn a_hiccup_inside_a_character_loses_nothing() {
    let (_, mut channel) = Script::new([
        Step::Bytes(b"\xf0\x9f".to_vec()),
        Step::Fail(forebay_testing::channels::hiccup()),
        Step::Bytes(b"\x98\x80\n".to_vec()),
    ]);
    assert!(at_once(channel.read_line()).expect_err("the hiccup").is_timeout());
    assert_eq!(at_once(channel.read_line()).expect("a line").as_deref(), Some("😀"));
}
