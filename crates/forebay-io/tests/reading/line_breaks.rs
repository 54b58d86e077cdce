//! A CR at the end of one arrival and its LF in the next are one line break. Every split of
//! every mix of LF, CRLF, lone CR and CR CR LF.

use forebay_io::ByteReadChannel;
use forebay_testing::{
    channels::{Script, Step},
    finish, property,
};
use proptest::collection::vec;

/// The lines by the book: LF or CRLF ends one, a lone CR is content, a last one needs no end.
fn by_the_book(input: &[u8]) -> Vec<String> {
    let mut lines: Vec<&[u8]> = input.split(|&byte| byte == b'\n').collect();
    let last = lines.pop().expect("a split has at least one part");
    let mut lines: Vec<_> =
        lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    if !last.is_empty() {
        lines.push(last);
    }
    lines.iter().map(|line| String::from_utf8(line.to_vec()).expect("text")).collect()
}

fn lines_of(mut input: ByteReadChannel) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(line) = finish(input.read_line()).expect("nothing is wrong with it") {
        lines.push(line);
    }
    assert!(input.is_closed_for_read());
    lines
}

#[test]
fn every_line_break_at_every_split() {
    let breaks = ["\n", "\r\n", "\r", "\r\r\n", "\n\r", "\r\n\n", "\r\r", "\n\n"];
    for one in breaks {
        for two in breaks {
            for tail in ["", "tail"] {
                let input = format!("ab{one}{two}cd{one}{tail}");
                let input = input.as_bytes();
                let expected = by_the_book(input);
                assert_eq!(lines_of(Script::pieces([input])), expected);
                assert_eq!(lines_of(Script::pieces(input.chunks(1))), expected);
                for first in 0..=input.len() {
                    for second in first..=input.len() {
                        let pieces = [&input[..first], &input[first..second], &input[second..]];
                        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
                        let lines = lines_of(Script::pieces(pieces));
                        assert_eq!(lines, expected, "{input:?} cut at {first} and {second}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_line_break_beside_every_boundary_of_the_buffers() {
    let boundaries = [4096, 16 * 1024, 32 * 1024, 64 * 1024];
    for boundary in boundaries {
        for before in boundary - 3..=boundary {
            for ending in ["\n", "\r\n", "\r\r\n"] {
                let input =
                    format!("{}{ending}next{ending}", "x".repeat(before.min(64 * 1024 - 1)));
                let expected = by_the_book(input.as_bytes());
                let whole = ByteReadChannel::from(input.clone());
                assert_eq!(lines_of(whole), expected);
                let cut = boundary.min(input.len() - 1);
                let pieces = [&input[..cut], &input[cut..]];
                assert_eq!(lines_of(Script::pieces(pieces)), expected);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn any_text_at_any_split() {
    let text = proptest::string::string_regex("([a-zé\n\r]|\r\n|\n\n){0,60}").expect("a regex");
    let input = (text, vec(1..9_usize, 1..10));
    property("line breaks", 500, &input, |(text, sizes)| {
        let (mut rest, mut sizes) = (text.as_bytes(), sizes.iter().cycle());
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(*sizes.next().expect("a cycle")));
            steps.extend([Step::Pause, Step::Bytes(piece.to_vec())]);
            rest = later;
        }
        steps.push(Step::End);
        let (_, input) = Script::new(steps);
        assert_eq!(lines_of(input), by_the_book(text.as_bytes()));
    });
}
