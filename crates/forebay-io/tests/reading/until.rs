//! Reading up to a delimiter: overlaps, limits at their borders, the end in the middle, and what stays after an error.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{ByteReadChannel, Delimiter, Error, ErrorKind};
use forebay_testing::{
    KIB, at_once,
    channels::{Script, Step, hiccup},
    cut_after, finish, poll_once,
};

fn pieces_of(text: &[u8], cut: usize) -> ByteReadChannel {
    let pieces = [&text[..cut], &text[cut..]];
    Script::pieces(pieces.into_iter().filter(|piece| !piece.is_empty()))
}

#[track_caller]
fn assert_item<'d>(input: &mut ByteReadChannel, delimiter: impl Into<Delimiter<'d>>, item: &[u8]) {
    let found = finish(input.read_until(delimiter, usize::MAX)).expect("an item");
    assert_eq!(found.as_deref(), Some(item));
}

#[test]
fn the_delimiter_is_found_at_every_split() {
    for (text, delimiter, item, rest) in [
        (&b"one,two"[..], &b","[..], &b"one"[..], &b"two"[..]),
        (b"This is a test----done", b"--done", b"This is a test--", b""),
        (b"aabaaabaaaab!", b"aaaab", b"aabaaab", b"!"),
        (b"\r\r\n\r\r\n\r\n.", b"\r\n\r\n", b"\r\r\n\r", b"."),
        (b",first", b",", b"", b"first"),
    ] {
        for cut in 0..=text.len() {
            let mut input = pieces_of(text, cut);
            assert_item(&mut input, delimiter, item);
            let left = finish(input.read_remaining(99)).expect("the rest");
            assert_eq!(left.as_slice(), rest, "{text:?} cut at {cut}");
        }
        let mut input = Script::pieces(text.chunks(1));
        assert_item(&mut input, delimiter, item);
    }
}

#[test]
fn the_limit_is_that_of_the_content() {
    for delimiter in ["\n", "--", "-----"] {
        for limit in [0, 1, 5, 64 * KIB] {
            for (length, fits) in [(limit, true), (limit + 1, false)] {
                let text = format!("{}{delimiter}rest", "x".repeat(length));
                for cut in [0, limit, limit + 1, text.len() - 4] {
                    let mut input = pieces_of(text.as_bytes(), cut.min(text.len()));
                    let answer = finish(input.read_until(delimiter, limit));
                    if fits {
                        let item = answer.expect("at the limit").expect("no end");
                        assert_eq!(item.len(), limit);
                        continue;
                    }
                    let kind = ErrorKind::LimitExceeded { limit: limit as u64 };
                    assert_eq!(answer.expect_err("beyond").kind(), kind);
                    let item = finish(input.read_until(delimiter, limit + 1));
                    assert_eq!(item.expect("a larger limit").expect("no end").len(), limit + 1);
                }
            }
        }
    }
}

/// One byte too many is known before the delimiter comes, unless it may be the beginning of that.
#[test]
fn the_limit_is_exceeded_as_soon_as_it_is_known() {
    let (script, mut input) = Script::new([Step::Bytes(b"12345-".to_vec())]);
    assert!(cut_after(1, input.read_until("--", 5)).is_none());
    script.bytes("-6");
    let item = at_once(input.read_until("--", 5)).expect("five bytes");
    assert_eq!(item.as_deref(), Some(&b"12345"[..]));
    script.bytes("12345-");
    assert!(at_once(input.read_until("--", 5)).is_err(), "six bytes");
    assert_eq!(input.buffered(), 7);
}

#[test]
fn a_peer_without_delimiter_fills_no_more_than_the_limit() {
    let (script, mut input) = Script::new([]);
    for _ in 0..100 {
        script.bytes(vec![b'x'; 10 * KIB]);
    }
    for _ in 0..4 {
        finish(input.read_until("\r\n", 128 * KIB)).expect_err("too many");
    }
    assert!(script.delivered() <= 128 * KIB as u64 + 64 * KIB as u64, "it went on reading");
}

#[test]
fn the_end_in_front_of_a_delimiter_is_an_error_and_its_bytes_stay() {
    for (text, delimiter, needed) in
        [(&b"abc"[..], "\n", 4), (b"abc--", "--done", 9), (b"abc--", "--", 0), (b"", "--", 0)]
    {
        for cut in 0..=text.len() {
            let mut input = pieces_of(text, cut);
            if needed == 0 {
                for _ in 0..4 {
                    if text.is_empty() {
                        assert_eq!(finish(input.read_until(delimiter, 9)).expect("the end"), None);
                        let mut out = Vec::new();
                        assert!(
                            !finish(input.read_until_into(delimiter, &mut out, 9)).expect("end")
                        );
                    }
                }
                continue;
            }
            for _ in 0..4 {
                let error = finish(input.read_until(delimiter, 9)).expect_err("no delimiter");
                let available = text.len() as u64;
                assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed, available });
                assert_eq!(input.buffered(), text.len());
            }
            let rest = finish(input.read_until(Delimiter::from(delimiter).or_end(), 9));
            assert_eq!(rest.expect("the rest").as_deref(), Some(text));
        }
    }
}

#[test]
fn the_rest_has_the_same_limit() {
    let comma = Delimiter::new(b",,").or_end();
    let mut input = ByteReadChannel::from("12345");
    assert_eq!(finish(input.read_until(comma, 5)).expect("five").as_deref(), Some(&b"12345"[..]));
    // Its last byte could be the beginning of a delimiter as long as the input went on.
    let mut input = ByteReadChannel::from("12345,");
    let limit = 5;
    for _ in 0..3 {
        let error = finish(input.read_until(comma, 5)).expect_err("six");
        assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit });
    }
    assert_eq!(finish(input.read_until(comma, 6)).expect("six").as_deref(), Some(&b"12345,"[..]));
    assert_eq!(finish(input.read_until(comma, 6)).expect("the end"), None);
}

#[test]
fn an_empty_delimiter_is_refused_at_once() {
    let (script, mut input) = Script::new([Step::Bytes(b"abc".to_vec())]);
    for _ in 0..4 {
        let error = finish(input.read_until("", 9)).expect_err("nothing to look for");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(script.calls(), 0);
}

/// Every third equal answer gives way: beyond the limit, at the end, and for an empty delimiter.
#[test]
fn equal_answers_give_way() {
    for (text, delimiter, limit) in [("too long,", ",", 3), ("no end", ",", 99), ("x", "", 9)] {
        let mut input = ByteReadChannel::from(text);
        finish(input.read_until(delimiter, limit)).expect_err("an error");
        let gave_way = (0..4).any(|_| {
            let call = pin!(input.read_until(delimiter, limit));
            matches!(poll_once(call), Poll::Pending)
        });
        assert!(gave_way, "{text}");
    }
}

#[test]
fn errors_on_the_way_lose_nothing() {
    let (_, mut input) = Script::new([
        Step::Bytes(b"abc-".to_vec()),
        Step::Fail(hiccup()),
        Step::Bytes(b"-def-".to_vec()),
        Step::Broken(Error::new(ErrorKind::Reset, "recv")),
    ]);
    assert!(finish(input.read_until("--", 99)).expect_err("a hiccup").is_timeout());
    assert_item(&mut input, "--", b"abc");
    let or_end = Delimiter::from("--").or_end();
    for _ in 0..3 {
        assert!(finish(input.read_until(or_end, 99)).expect_err("no end").is_reset());
    }
    assert_eq!(finish(input.read_packet(4)).expect("they are here").as_slice(), b"def-");
}

#[test]
fn a_dropped_call_leaves_the_search_to_the_next() {
    let (script, mut input) = Script::new([]);
    let mut out = b"kept".to_vec();
    for byte in b"abc--d" {
        script.bytes([*byte]);
        assert!(cut_after(1, input.read_until("--done", 99)).is_none());
        assert!(cut_after(1, input.read_until_into("--done", &mut out, 99)).is_none());
    }
    assert_eq!(out, b"kept");
    script.bytes("one");
    assert!(at_once(input.read_until_into("--done", &mut out, 99)).expect("an item"));
    assert_eq!(out, b"keptabc");
}

/// A search for one delimiter says nothing about another one, or about other bytes.
#[test]
fn a_search_is_for_one_delimiter_at_one_place() {
    let (script, mut input) = Script::new([Step::Bytes(b"a;b,c-".to_vec())]);
    assert!(cut_after(1, input.read_until("--", 99)).is_none());
    assert_item(&mut input, ";", b"a");
    assert!(cut_after(1, input.read_until("--", 99)).is_none());
    assert_item(&mut input, ",", b"b");
    assert!(cut_after(1, input.read_until("--", 99)).is_none());
    assert_eq!(at_once(input.read_u16()).expect("two bytes"), u16::from_be_bytes(*b"c-"));
    script.bytes("-x--");
    assert_item(&mut input, "--", b"-x");
}

#[test]
fn a_slice_that_is_given_back_is_searched_again() {
    let (script, mut input) = Script::new([Step::Bytes(b"ab-".to_vec())]);
    assert!(cut_after(1, input.read_until("--", 99)).is_none());
    let mut slice = vec![0; 64 * KIB];
    assert!(cut_after(1, input.read_exact(&mut slice)).is_none());
    script.bytes("-c");
    assert_item(&mut input, "--", b"ab");
}

/// Large items keep the memory they arrived in.
#[test]
fn items_of_any_size_are_read() {
    for size in [16 * KIB, 64 * KIB, 300 * KIB] {
        let text = [vec![b'x'; size], b"\0rest\0".to_vec()].concat();
        let mut input = ByteReadChannel::from(text);
        assert_item(&mut input, &[0], &vec![b'x'; size]);
        assert_item(&mut input, &[0], b"rest");
    }
}

// ---- what Ktor's ByteReadChannelOperationsTest pins ------------------------------------------------

#[test]
fn read_until_single() {
    let mut input = ByteReadChannel::from("test some more");
    assert_item(&mut input, "o", b"test s");
}

#[test]
fn read_until_substring() {
    let mut input = Script::pieces(["This is a test--", "--done"]);
    assert_item(&mut input, "--done", b"This is a test--");
}

#[test]
fn read_until_every_line_of_a_poem() {
    let lines = [
        "There once was a stream of bytes",
        "Flowing through many nights",
        "With reading so keen",
        "It stayed ever so lean",
        "Parsing data in all sorts of lights.",
    ];
    let mut input = ByteReadChannel::from(lines.join(", \n"));
    for line in lines {
        assert_item(&mut input, Delimiter::from(", \n").or_end(), line.as_bytes());
    }
    assert_eq!(
        finish(input.read_until(Delimiter::from(", \n").or_end(), 9)).expect("the end"),
        None
    );
}

#[test]
fn read_until_limit() {
    let mut input = ByteReadChannel::from("This is a test of the readUntil limit");
    let error = finish(input.read_until(Delimiter::from("abc").or_end(), 10)).expect_err("beyond");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: 10 });
}

#[test]
fn read_until_missing() {
    let mut input = ByteReadChannel::from("It's not in here");
    assert!(finish(input.read_until("note", usize::MAX)).expect_err("missing").is_end());
}
