//! Lines that are too long, cut off or not UTF-8, and the treatments that can be chosen. What follows each error, and
//! where the channel stands then.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{ByteReadChannel, Error, ErrorKind, LineEnding, LineOptions, TooLong};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Script, Step, hiccup, ledgered},
    cut_after, finish, poll_once,
};

const SKIP: LineOptions = LineOptions::new().limit(5).too_long(TooLong::Skip);
const CUT: LineOptions = LineOptions::new().limit(5).too_long(TooLong::Cut);
const STRICT: LineOptions = LineOptions::new().strict(true);

fn channel(options: LineOptions, pieces: &[&[u8]]) -> ByteReadChannel {
    let mut input = Script::pieces(pieces.iter().filter(|piece| !piece.is_empty()));
    input.set_line_options(options);
    input
}

#[track_caller]
fn assert_line(input: &mut ByteReadChannel, expected: &str) {
    assert_eq!(finish(input.read_line()).expect("a line").as_deref(), Some(expected));
}

#[track_caller]
fn assert_end(input: &mut ByteReadChannel) {
    for _ in 0..4 {
        assert_eq!(finish(input.read_line()).expect("the end"), None);
        assert!(!finish(input.skip_line()).expect("the end"));
    }
    assert!(input.is_closed_for_read());
}

/// The third of equal answers gives way, whatever the error is.
#[track_caller]
fn assert_third_gives_way(input: &mut ByteReadChannel, kind: ErrorKind) {
    for _ in 0..2 {
        let error = finish(input.read_line()).expect_err("the same");
        assert_eq!(error.kind(), kind);
    }
    let gave_way = (0..3).any(|_| {
        let mut call = pin!(input.read_line_ref());
        match poll_once(call.as_mut()) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                assert_eq!(answer.expect_err("the same").kind(), kind);
                false
            }
        }
    });
    assert!(gave_way, "a loop would spin");
}

// ---- strict ----------------------------------------------------------------------------------------

#[test]
fn a_last_line_without_terminator_is_refused_and_stays() {
    let kind = ErrorKind::UnexpectedEnd { needed: 4, available: 3 };
    for pieces in [&[&b"one\nend"[..]][..], &[b"one\ne", b"nd"], &[b"one\n", b"e", b"n", b"d"]] {
        let mut input = channel(STRICT, pieces);
        assert_line(&mut input, "one");
        assert_third_gives_way(&mut input, kind);
        assert_eq!(finish(input.read_line_bytes_ref()).expect_err("the same").kind(), kind);
        assert_eq!(finish(input.read_lines_ref()).expect_err("the same").kind(), kind);
        let mut text = String::new();
        assert_eq!(finish(input.read_line_into(&mut text)).expect_err("the same").kind(), kind);
        assert_eq!((text.as_str(), input.buffered()), ("", 3));
        assert!(finish(input.skip_line()).expect("it gets past it"));
        assert_end(&mut input);
    }
}

#[test]
fn a_refused_last_line_can_be_read_otherwise() {
    let mut input = channel(STRICT, &[b"end"]);
    finish(input.read_line()).expect_err("no terminator");
    assert_eq!(finish(input.read_u8()).expect("it is there"), b'e');
    let kind = ErrorKind::UnexpectedEnd { needed: 3, available: 2 };
    assert_eq!(finish(input.read_line()).expect_err("still none").kind(), kind);
    input.set_line_options(LineOptions::new());
    assert_line(&mut input, "nd");
    assert_end(&mut input);
}

#[test]
fn an_input_that_ends_behind_a_terminator_has_no_last_line() {
    for (ending, text) in [
        (LineEnding::Default, &b"a\r\n"[..]),
        (LineEnding::Lenient, b"a\r"),
        (LineEnding::CrlfOnly, b"a\r\n"),
        (LineEnding::LfOnly, b"a\n"),
    ] {
        let mut input = channel(STRICT.ending(ending), &[text]);
        assert_line(&mut input, "a");
        assert_end(&mut input);
    }
    assert_end(&mut channel(STRICT, &[]));
}

#[test]
fn half_a_terminator_is_none() {
    for ending in [LineEnding::Default, LineEnding::CrlfOnly, LineEnding::LfOnly] {
        let mut input = channel(STRICT.ending(ending), &[b"a\r"]);
        let kind = ErrorKind::UnexpectedEnd { needed: 3, available: 2 };
        assert_eq!(finish(input.read_line()).expect_err("no terminator").kind(), kind);
    }
}

/// An error of the source is that error, and not the end of a line.
#[test]
fn a_reset_behind_buffered_bytes_is_the_answer_in_every_mode() {
    for options in [LineOptions::new(), STRICT, SKIP, CUT, LineOptions::new().replace_invalid(true)]
    {
        let reset = Error::new(ErrorKind::Reset, "recv");
        let steps = [Step::Bytes(b"ok\nhal".to_vec()), Step::Broken(reset)];
        let (_, mut input) = Script::new(steps);
        input.set_line_options(options);
        assert_line(&mut input, "ok");
        for _ in 0..3 {
            assert!(finish(input.read_line()).expect_err("no line").is_reset());
            assert_eq!(input.buffered(), 3);
        }
        assert!(finish(input.skip_line()).expect_err("no line").is_reset());
    }
}

// ---- too long --------------------------------------------------------------------------------------

#[test]
fn long_lines_are_skipped_and_the_next_is_returned() {
    let text = b"far too long\nok\r\nanother long one\r\n12345\n123456\n";
    for cut in 0..=text.len() {
        let mut input = channel(SKIP, &[&text[..cut], &text[cut..]]);
        assert_line(&mut input, "ok");
        assert_line(&mut input, "12345");
        assert_end(&mut input);
    }
}

#[test]
fn a_line_of_any_length_is_skipped_in_one_block() {
    ledgered(|ledger| {
        let (script, mut input) = Script::new([]);
        input.set_line_options(SKIP);
        for _ in 0..64 {
            script.bytes(vec![b'x'; 64 * KIB]);
            assert!(cut_after(1, input.read_line()).is_none());
            assert_eq!(input.buffered(), 0, "what is skipped is held");
            assert!(ledger.in_use() + ledger.idle() <= 1);
        }
        script.bytes("x\nok\n");
        assert_line(&mut input, "ok");
    });
}

/// Every read goes on with the skip, and so does `skip_line`.
#[test]
fn a_skip_that_was_dropped_goes_on() {
    type Next = fn(&mut ByteReadChannel);
    let nexts: [Next; 5] = [
        |input| assert_line(input, "ok"),
        |input| assert_eq!(at_once(input.read_line_ref()).expect("a line"), Some("ok")),
        |input| assert_eq!(at_once(input.read_line_bytes_ref()).expect("a line"), Some(&b"ok"[..])),
        |input| {
            let lines = at_once(input.read_lines_ref()).expect("lines").expect("no end");
            assert_eq!(lines.collect::<Vec<_>>(), ["ok"]);
        },
        |input| {
            assert!(at_once(input.skip_line()).expect("the long one"));
            assert_line(input, "ok");
        },
    ];
    for next in nexts {
        let (script, mut input) = Script::new([Step::Bytes(b"too long".to_vec())]);
        input.set_line_options(SKIP);
        assert!(cut_after(1, input.read_line()).is_none());
        script.then(Step::Fail(hiccup()));
        assert!(at_once(input.read_line()).expect_err("a hiccup").is_timeout());
        script.bytes(" indeed\nok\n");
        next(&mut input);
    }
}

#[test]
fn a_read_of_bytes_ends_a_skip_that_was_dropped() {
    let (script, mut input) = Script::new([Step::Bytes(b"too long".to_vec())]);
    input.set_line_options(SKIP);
    assert!(cut_after(1, input.read_line()).is_none());
    script.bytes("!abc\nok\n");
    assert_eq!(at_once(input.read_u8()).expect("a byte"), b'!');
    assert_line(&mut input, "abc");
    assert_line(&mut input, "ok");
}

/// A read that gives back what it took has ended nothing.
#[test]
fn a_read_that_gives_back_does_not_end_a_skip() {
    for size in [4, 100 * KIB] {
        let (script, mut input) = Script::new([Step::Bytes(b"too long".to_vec())]);
        input.set_line_options(SKIP);
        assert!(cut_after(1, input.read_line()).is_none());
        script.bytes("!ab");
        let mut slice = vec![0; size];
        assert!(cut_after(1, input.read_exact(&mut slice)).is_none());
        script.bytes("\nok\n");
        assert_line(&mut input, "ok");
    }
}

#[test]
fn a_dropped_skip_line_is_gone_on_with_by_a_read() {
    let (script, mut input) = Script::new([Step::Bytes(b"GET /".to_vec())]);
    assert!(cut_after(1, input.skip_line()).is_none());
    script.bytes("DELETE everything\nnext\n");
    assert_line(&mut input, "next");
}

#[test]
fn a_long_last_line_is_skipped_too() {
    let mut input = channel(SKIP, &[b"ok\nfar too", b" long"]);
    assert_line(&mut input, "ok");
    assert_end(&mut input);
}

/// With `strict`, the end of the input inside a line that is skipped is an error, which is returned until it is skipped.
#[test]
fn a_skipped_last_line_is_cut_off_nevertheless() {
    let mut input = channel(SKIP.strict(true), &[b"ok\nfar too", b" long"]);
    assert_line(&mut input, "ok");
    assert_third_gives_way(&mut input, ErrorKind::UnexpectedEnd { needed: 1, available: 0 });
    assert!(!finish(input.skip_line()).expect("nothing is left"));
    assert_end(&mut input);
}

#[test]
fn a_long_line_is_cut_and_its_rest_discarded() {
    let text = b"123456789\r\nok\n12345\n1234567";
    for cut in 0..=text.len() {
        let mut input = channel(CUT, &[&text[..cut], &text[cut..]]);
        assert_line(&mut input, "12345");
        assert_line(&mut input, "ok");
        assert_line(&mut input, "12345");
        assert_line(&mut input, "12345");
        assert_end(&mut input);
    }
}

#[test]
fn a_cut_line_does_not_wait_for_its_end() {
    let (script, mut input) = Script::new([Step::Bytes(b"123456".to_vec())]);
    input.set_line_options(CUT);
    assert_eq!(at_once(input.read_line()).expect("cut").as_deref(), Some("12345"));
    assert_eq!(input.buffered(), 1);
    assert!(cut_after(1, input.read_line()).is_none());
    script.bytes("7\nok\n");
    assert_line(&mut input, "ok");
}

#[test]
fn the_rest_of_a_cut_line_can_be_read_or_skipped() {
    let mut input = channel(CUT, &[b"123456789\nok\n"]);
    assert_line(&mut input, "12345");
    assert_eq!(finish(input.read_packet(2)).expect("the rest").as_slice(), b"67");
    assert_line(&mut input, "89");
    let mut input = channel(CUT, &[b"123456789\nok\n"]);
    assert_line(&mut input, "12345");
    assert!(finish(input.skip_line()).expect("the rest"));
    assert_line(&mut input, "ok");
}

#[test]
fn text_is_cut_between_characters_and_bytes_are_cut_anywhere() {
    for (text, cut) in [("1234é", "1234"), ("123ン", "123"), ("12😀", "12"), ("😀😀", "😀")]
    {
        let text = format!("{text}6\nok\n");
        let mut input = channel(CUT, &[text.as_bytes()]);
        assert_line(&mut input, cut);
        assert_line(&mut input, "ok");
        let mut input = channel(CUT, &[text.as_bytes()]);
        let line = finish(input.read_line_bytes_ref()).expect("a line");
        assert_eq!(line, Some(&text.as_bytes()[..5]));
        assert_line(&mut input, "ok");
    }
    // What is not UTF-8 is no character.
    let mut input = channel(CUT, &[b"1\x80\x80\x80\x80\x80\x80\nok\n"]);
    let kind = ErrorKind::InvalidUtf8 { offset: 1 };
    assert_third_gives_way(&mut input, kind);
    assert!(finish(input.skip_line()).expect("the line"));
    assert_line(&mut input, "ok");
}

#[test]
fn a_limit_of_nothing_cuts_to_nothing() {
    let mut input = channel(CUT.limit(0), &[b"abc\n\nd\n"]);
    for _ in 0..3 {
        assert_line(&mut input, "");
    }
    assert_end(&mut input);
    let mut input = channel(SKIP.limit(0), &[b"abc\n\nd\n"]);
    assert_line(&mut input, "");
    assert_end(&mut input);
}

#[test]
fn all_whole_lines_stop_in_front_of_one_that_is_treated() {
    let text = b"a\nb\nlonglong\nc\nd\n";
    let next = |input: &mut ByteReadChannel| -> Vec<String> {
        let lines = finish(input.read_lines_ref()).expect("lines").expect("no end");
        lines.map(str::to_owned).collect()
    };
    let mut input = channel(SKIP, &[text]);
    assert_eq!(next(&mut input), ["a", "b"]);
    assert_eq!(next(&mut input), ["c", "d"]);
    let mut input = channel(CUT, &[text]);
    assert_eq!(next(&mut input), ["a", "b"]);
    // Not taken, so that nothing has been cut yet.
    assert!(finish(input.read_lines_ref()).expect("lines").is_some());
    assert_eq!(next(&mut input), ["longl"]);
    assert_eq!(next(&mut input), ["c", "d"]);
}

// ---- not UTF-8 -------------------------------------------------------------------------------------

#[test]
fn a_line_that_is_not_text_is_replaced_in_every_form() {
    let text = b"a\xffb\nok\n\xe3\x83\n";
    let options = LineOptions::new().replace_invalid(true);
    let expected = ["a\u{fffd}b", "ok", "\u{fffd}"];
    let mut input = channel(options, &[text]);
    for line in expected {
        assert_line(&mut input, line);
    }
    assert_end(&mut input);
    let mut input = channel(options, &[text]);
    for line in expected {
        assert_eq!(finish(input.read_line_ref()).expect("a line"), Some(line));
    }
    let mut input = channel(options, &[text]);
    let mut all = String::new();
    while finish(input.read_line_into(&mut all)).expect("a line") {}
    assert_eq!(all, expected.concat());
    let mut input = channel(options, &[text]);
    let mut all = Vec::new();
    while let Some(lines) = finish(input.read_lines_ref()).expect("lines") {
        all.extend(lines.map(str::to_owned));
    }
    assert_eq!(all, expected);
}

/// Ktor's `CharsetDecoderTest`: it ends, and keeps what is in front of the truncated letter.
#[test]
fn charset_decoder_test_a_truncated_last_letter_is_replaced() {
    for (truncated, expected) in [
        (&b"\xc2"[..], "\u{fffd}"),
        (b"\xe0\xa0", "\u{fffd}"),
        (b"\xf0\x90\x80", "\u{fffd}"),
        (b"Hello\xc2", "Hello\u{fffd}"),
    ] {
        let mut input = channel(LineOptions::new().replace_invalid(true), &[truncated]);
        assert_line(&mut input, expected);
        assert_end(&mut input);
    }
}

/// The text that stood for a line is not kept while the task sleeps.
#[test]
fn a_replaced_text_is_lent_until_the_next_call() {
    let (script, mut input) = Script::new([]);
    input.set_line_options(LineOptions::new().replace_invalid(true).limit(MIB));
    let mut line = vec![0xff; 100];
    line.push(b'\n');
    for _ in 0..3 {
        script.bytes(line.clone());
        let text = at_once(input.read_line_ref()).expect("a line").expect("no end");
        assert_eq!(text, "\u{fffd}".repeat(100));
        assert!(cut_after(1, input.read_line_ref()).is_none());
    }
}

#[test]
fn a_line_that_was_refused_as_text_is_read_as_bytes() {
    for ending in [LineEnding::Default, LineEnding::Lenient] {
        let options = LineOptions::new().ending(ending);
        let mut input = channel(options, &[b"X-Name: Ad\xe9le\r\nok\r\n"]);
        assert_third_gives_way(&mut input, ErrorKind::InvalidUtf8 { offset: 10 });
        let line = finish(input.read_line_bytes_ref()).expect("any bytes");
        assert_eq!(line, Some(&b"X-Name: Ad\xe9le"[..]));
        assert_line(&mut input, "ok");
        assert_eq!(finish(input.read_line_bytes_ref()).expect("the end"), None);
    }
}

#[test]
fn lines_of_bytes_obey_the_limit() {
    let mut input = channel(LineOptions::new().limit(3), &[b"\xff\xff\xff\n\xff\xff\xff\xff\n"]);
    assert_eq!(finish(input.read_line_bytes_ref()).expect("a line"), Some(&b"\xff\xff\xff"[..]));
    let error = finish(input.read_line_bytes_ref()).expect_err("four");
    assert_eq!(error.kind(), ErrorKind::LineTooLong { limit: 3 });
}

#[test]
fn a_dropped_read_that_has_received_nothing_does_not_end_the_skipping() {
    let (_, mut input) = Script::new([
        Step::Bytes(b"far too".to_vec()),
        Step::Idle,
        Step::Idle,
        Step::Bytes(b" long\nnext\n".to_vec()),
        Step::End,
    ]);
    assert!(poll_once(pin!(input.skip_line())).is_pending());
    // So much that it is received without a buffer.
    let mut slice = vec![0; 64 * KIB];
    assert!(poll_once(pin!(input.read(&mut slice))).is_pending());
    assert_line(&mut input, "next");
}
