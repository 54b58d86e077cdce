//! Each ending: what ends a line, what waits for the next byte, and limits at their borders.

use forebay_io::{ByteReadChannel, ErrorKind, LineEnding, LineOptions};
use forebay_testing::{
    KIB, at_once,
    channels::{Script, Step},
    cut_after, finish,
};

const ENDINGS: [LineEnding; 4] =
    [LineEnding::Default, LineEnding::Lenient, LineEnding::CrlfOnly, LineEnding::LfOnly];

fn channel(ending: LineEnding, pieces: &[&str]) -> ByteReadChannel {
    let pieces = pieces.iter().filter(|piece| !piece.is_empty());
    let mut input = Script::pieces(pieces);
    input.set_line_options(LineOptions::new().ending(ending));
    input
}

fn lines(mut input: ByteReadChannel) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(line) = finish(input.read_line()).expect("nothing is wrong with it") {
        lines.push(line);
    }
    lines
}

/// The text of the table in the documentation, at every split.
#[test]
fn each_ending_ends_what_its_documentation_says() {
    let text = "lf\ncrlf\r\ncr\rcrcrlf\r\r\nlfcr\n\r";
    let expected: [&[&str]; 4] = [
        &["lf", "crlf", "cr\rcrcrlf\r", "lfcr", "\r"],
        &["lf", "crlf", "cr", "crcrlf", "", "lfcr", ""],
        &["lf\ncrlf", "cr\rcrcrlf\r", "lfcr\n\r"],
        &["lf", "crlf\r", "cr\rcrcrlf\r\r", "lfcr", "\r"],
    ];
    for (ending, expected) in ENDINGS.into_iter().zip(expected) {
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(
                    lines(channel(ending, &pieces)),
                    expected,
                    "{ending:?} {first} {second}"
                );
            }
        }
    }
}

/// A peer that ends its lines with CR, and waits for the answer to each.
#[test]
fn a_lenient_line_does_not_wait_behind_its_cr() {
    let (script, mut input) = Script::new([Step::Bytes(b"one\r".to_vec())]);
    input.set_line_options(LineOptions::new().ending(LineEnding::Lenient));
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("one"));
    assert!(cut_after(1, input.read_line()).is_none());
    script.bytes("two\r");
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("two"));
    script.bytes("\n");
    assert!(cut_after(1, input.read_line()).is_none(), "the LF ends the line before it");
    script.bytes("\n");
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some(""));
}

#[test]
fn a_cr_at_the_end_waits_only_where_the_answer_depends_on_it() {
    for (ending, waits) in ENDINGS.into_iter().zip([true, false, true, true]) {
        let (_, mut input) = Script::new([Step::Bytes(b"one\r".to_vec())]);
        input.set_line_options(LineOptions::new().ending(ending));
        assert_eq!(cut_after(2, input.read_line()).is_none(), waits, "{ending:?}");
    }
}

/// The LF of a CRLF arrives after the line was returned.
#[test]
fn a_late_lf_is_seen_by_no_call() {
    type Read = fn(&mut ByteReadChannel) -> Vec<u8>;
    let reads: [Read; 9] = [
        |input| vec![at_once(input.read_u8()).expect("a byte")],
        |input| {
            let mut slice = vec![0; 64 * KIB];
            let count = at_once(input.read(&mut slice)).expect("what has arrived");
            slice[..count].to_vec()
        },
        |input| {
            let mut slice = vec![0; 16 * KIB];
            at_once(input.read_exact(&mut slice)).expect("all of it");
            slice
        },
        |input| at_once(input.read_chunk()).expect("bytes").expect("no end").to_vec(),
        |input| at_once(input.read_packet(4)).expect("bytes").as_slice().to_vec(),
        |input| {
            assert_eq!(at_once(input.discard(1)).expect("a byte"), 1);
            vec![b'x']
        },
        |input| at_once(input.read_line_bytes_ref()).expect("a line").expect("no end").to_vec(),
        |input| {
            let lines = at_once(input.read_lines_ref()).expect("lines").expect("no end");
            lines.collect::<String>().into_bytes()
        },
        |input| {
            assert!(at_once(input.skip_line()).expect("a line"));
            b"x".to_vec()
        },
    ];
    for (number, read) in reads.into_iter().enumerate() {
        for pieces in [&["\n", "x"][..], &["\nx"], &["x"]] {
            let (script, mut input) = Script::new([Step::Bytes(b"line\r".to_vec())]);
            input.set_line_options(LineOptions::new().ending(LineEnding::Lenient));
            assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("line"));
            for piece in pieces {
                script.bytes(*piece);
            }
            script.bytes("x".repeat(16 * KIB - 1) + "\n");
            let bytes = read(&mut input);
            assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte == b'x'), "{number}");
        }
    }
}

#[test]
fn a_late_lf_at_the_end_is_no_line() {
    for pieces in [&["line\r", "\n"][..], &["line\r\n"], &["line\r"]] {
        assert_eq!(lines(channel(LineEnding::Lenient, pieces)), ["line"]);
        let mut input = channel(LineEnding::Lenient, pieces);
        assert!(finish(input.read_line()).expect("a line").is_some());
        assert_eq!(finish(input.read(&mut [0; 9])).expect("the end"), 0);
    }
}

/// The limit is that of the content: at it a line is whole, one byte more is too long, wherever the pieces are cut.
#[test]
fn limits_are_exact_with_each_ending() {
    for ending in ENDINGS {
        let ends: &[&str] = match ending {
            LineEnding::Lenient => &["\n", "\r\n", "\r"],
            LineEnding::CrlfOnly => &["\r\n"],
            LineEnding::LfOnly => &["\n"],
            _ => &["\n", "\r\n"],
        };
        for limit in [0, 1, 5] {
            let content = "x".repeat(limit);
            for end in ends {
                let text = format!("{content}{end}rest");
                for cut in 0..=text.len() {
                    let mut input = channel(ending, &[&text[..cut], &text[cut..]]);
                    input.set_line_options(LineOptions::new().ending(ending).limit(limit));
                    let line = finish(input.read_line());
                    assert_eq!(line.expect("at the limit").as_deref(), Some(&content[..]));

                    let longer = format!("x{text}");
                    let mut input = channel(ending, &[&longer[..cut], &longer[cut..]]);
                    input.set_line_options(LineOptions::new().ending(ending).limit(limit));
                    let error = finish(input.read_line()).expect_err("one byte more");
                    assert_eq!(error.kind(), ErrorKind::LineTooLong { limit: limit as u64 });
                    assert!(finish(input.skip_line()).expect("it ends"));
                    input.set_line_options(LineOptions::new().ending(ending));
                    let line = finish(input.read_line()).expect("the rest");
                    assert_eq!(line.as_deref(), Some("rest"), "{ending:?} {limit} {end:?}");
                }
            }
        }
    }
}

/// Half a terminator behind the limit: it may be content.
#[test]
fn a_cr_behind_the_limit_decides_with_the_byte_behind_it() {
    for (ending, decided) in ENDINGS.into_iter().zip([false, true, false, true]) {
        let (_, mut input) = Script::new([Step::Bytes(b"12345\r".to_vec())]);
        input.set_line_options(LineOptions::new().ending(ending).limit(5));
        let answer = cut_after(2, input.read_line());
        assert_eq!(answer.is_some(), decided, "{ending:?}");
        if ending == LineEnding::LfOnly {
            assert!(answer.expect("decided").expect_err("six bytes").is_line_too_long());
        }
    }
}

#[test]
fn lines_are_skipped_as_they_are_read() {
    let text = "a\r\nb\nc\rd\r\r\n";
    for ending in ENDINGS {
        let mut starts = vec![];
        let mut input = channel(ending, &[text]);
        while finish(input.read_line_bytes_ref()).expect("a line").is_some() {
            starts.push(input.buffered());
        }
        for cut in 0..=text.len() {
            let mut input = channel(ending, &[&text[..cut], &text[cut..]]);
            let mut skipped = 0;
            while finish(input.skip_line()).expect("no error") {
                skipped += 1;
            }
            assert_eq!(skipped, starts.len(), "{ending:?} {cut}");
        }
    }
}

/// A peer that sends the CR of every CRLF alone, to a reader that discards.
#[test]
fn a_crlf_is_recognised_behind_a_skipped_cr() {
    let mut input = channel(LineEnding::CrlfOnly, &["long", " line\r", "\r", "\nnext\r\n"]);
    assert!(finish(input.skip_line()).expect("it ends"));
    assert_eq!(finish(input.read_line()).expect("a line").as_deref(), Some("next"));
}

#[test]
fn another_ending_is_looked_for_from_the_start() {
    let (script, mut input) = Script::new([Step::Bytes(b"one\rtwo".to_vec())]);
    assert!(cut_after(1, input.read_line()).is_none());
    input.set_line_options(LineOptions::new().ending(LineEnding::Lenient));
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("one"));
    script.then(Step::End);
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("two"));
}
