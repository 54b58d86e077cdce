//! The behaviour that Ktor's `ReadLineTest` and `ReadUtf8LineTest` require, under the same names.

use forebay_io::{ByteReadChannel, Error, ErrorKind, LineEnding, LineOptions, Result};
use forebay_testing::{
    at_once,
    channels::{Script, Step},
    finish,
};

const NO_LIMIT: usize = usize::MAX;

const LENIENT: LineOptions = LineOptions::new().ending(LineEnding::Lenient);

/// The lines in these pieces, until the end or an error.
fn lines<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>, limit: usize) -> Result<Vec<String>> {
    lines_by(LineOptions::new(), pieces, limit)
}

fn lines_by<P: AsRef<[u8]>>(
    options: LineOptions,
    pieces: impl IntoIterator<Item = P>,
    limit: usize,
) -> Result<Vec<String>> {
    let mut input = Script::pieces(pieces);
    input.set_line_options(options.limit(limit));
    let mut lines = Vec::new();
    while let Some(line) = finish(input.read_line())? {
        lines.push(line);
    }
    Ok(lines)
}

#[track_caller]
fn assert_lines<P: AsRef<[u8]>>(
    pieces: impl IntoIterator<Item = P>,
    limit: usize,
    expected: &[&str],
) {
    assert_eq!(lines(pieces, limit).expect("no error"), expected);
}

#[track_caller]
fn assert_lenient_lines<P: AsRef<[u8]>>(
    pieces: impl IntoIterator<Item = P>,
    limit: usize,
    expected: &[&str],
) {
    assert_eq!(lines_by(LENIENT, pieces, limit).expect("no error"), expected);
}

#[track_caller]
fn assert_too_long<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>, limit: usize) {
    let error = lines(pieces, limit).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::LineTooLong { limit: limit as u64 });
}

#[test]
fn flush_after_cr_in_default_mode() {
    assert_lines(["4\r", "2\r\n"], NO_LIMIT, &["4\r2"]);
}

#[test]
fn flush_after_cr_in_lenient_mode() {
    assert_lenient_lines(["4\r", "2\r\n"], NO_LIMIT, &["4", "2"]);
}

#[test]
fn flush_before_newline() {
    assert_lines(["4", "\r\n2\r\n"], NO_LIMIT, &["4", "2"]);
}

#[test]
fn lf_at_position_0() {
    assert_lines(["\nline1\n"], NO_LIMIT, &["", "line1"]);
}

#[test]
fn cr_at_position_0_in_lenient_mode() {
    assert_lenient_lines(["\rline1\r"], NO_LIMIT, &["", "line1"]);
}

#[test]
fn strict_channel_closed_before_line_break() {
    let strict = LineOptions::new().strict(true);
    let error = lines_by(strict, ["A".repeat(1024)], NO_LIMIT).expect_err("cut off");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed: 1025, available: 1024 });
}

#[test]
fn limit_exceeding_limit_after_several_buffers() {
    assert_too_long(std::iter::repeat_n("A".repeat(1024), 10), 8192);
}

#[test]
fn limit_exact_limit_with_lf() {
    assert_lines(["12345\n"], 5, &["12345"]);
}

#[test]
fn returns_number_of_utf_8_bytes_at_exact_limit() {
    for limit in [NO_LIMIT, 12] {
        assert_lines(["привет\n"], limit, &["привет"]);
    }
    assert_eq!("привет".len(), 12);
    assert_too_long(["привет\n"], 11);
}

#[test]
fn limit_crlf_exactly_at_limit() {
    assert_lines(["1234\r\n5\r\n"], 5, &["1234", "5"]);
}

#[test]
fn limit_cr_after_lenient() {
    assert_lenient_lines(["12345\r"], 5, &["12345"]);
}

#[test]
fn limit_cr_at_limit_lenient() {
    assert_lenient_lines(["1234\r5\r"], 5, &["1234", "5"]);
}

#[test]
fn limit_crlf_in_next_buffer() {
    assert_lines(["12345", "\r\nmore\r\n"], 5, &["12345", "more"]);
}

#[test]
fn limit_cr_in_next_buffer_lenient() {
    assert_lenient_lines(["12345", "\rmore\r"], 5, &["12345", "more"]);
}

#[test]
fn limit_cr_in_next_buffer_throws() {
    assert_too_long(["12345", "\rmore"], 5);
}

/// Ktor appends what it has before it fails; here it stays in the channel.
#[test]
fn limit_exact_at_end_of_stream_strict() {
    let mut input = Script::pieces(["12345"]);
    input.set_line_options(LineOptions::new().limit(5).strict(true));
    let mut out = String::new();
    let error = finish(input.read_line_into(&mut out)).expect_err("cut off");
    assert_eq!((error.is_end(), out.as_str()), (true, ""));
    assert_eq!(finish(input.read_packet(5)).expect("they are here").as_slice(), b"12345");
}

#[test]
fn limit_exact_at_end_of_stream_lenient() {
    assert_lenient_lines(["12345"], NO_LIMIT, &["12345"]);
}

#[test]
fn zero_limit_with_data() {
    assert_too_long(["X\n"], 0);
    assert_lines(["\n\r\n"], 0, &["", ""]);
}

#[test]
fn different_line_ending_modes_0() {
    assert_lines(["\nline1\r\nline2\n"], NO_LIMIT, &["", "line1", "line2"]);
}

#[test]
fn different_line_ending_modes_1() {
    assert_lines(["line1\rline2\nline3\n"], NO_LIMIT, &["line1\rline2", "line3"]);
}

#[test]
fn different_line_ending_modes_3() {
    assert_lenient_lines(["\rline1\rline2\r"], NO_LIMIT, &["", "line1", "line2"]);
}

#[test]
fn different_line_ending_modes_4() {
    assert_lenient_lines(["\nline1\rline2\n"], NO_LIMIT, &["", "line1", "line2"]);
}

#[test]
fn different_line_ending_modes_5() {
    let expected = ["line1", "line2", "line3", "line4"];
    assert_lenient_lines(["line1\nline2\r\nline3\rline4\n"], NO_LIMIT, &expected);
}

#[test]
fn code_point_boundary() {
    assert_lines([&[0xe3, 0x83][..], &[0xb3], &[0x0a]], NO_LIMIT, &["ン"]);
}

/// Ktor replaces; here invalid UTF-8 is an error with its offset unless replacing is asked for.
#[test]
fn incomplete_code_point_boundary() {
    let error = lines([&[0xe3, 0x83][..], &[0x0a]], NO_LIMIT).expect_err("cut off");
    assert_eq!(error.kind(), ErrorKind::InvalidUtf8 { offset: 0 });
}

#[test]
fn incomplete_code_point_boundary_replaced() {
    let replacing = LineOptions::new().replace_invalid(true);
    let lines = lines_by(replacing, [&[0xe3, 0x83][..], &[0x0a]], NO_LIMIT);
    assert_eq!(lines.expect("replaced"), ["\u{fffd}"]);
}

#[test]
fn four_byte_code_point_boundary() {
    assert_lines([&[0xf0, 0x9f][..], &[0x98], &[0x80, 0x0a]], NO_LIMIT, &["\u{1f600}"]);
}

#[test]
fn four_k_chunk_before_boundary() {
    let first = ["b".repeat(4094).as_bytes(), &[0xe3, 0x83]].concat();
    let expected = "b".repeat(4094) + "ン";
    assert_lines([&first[..], &[0xb3, 0x0a]], NO_LIMIT, &[&expected]);
}

/// Ktor appends what it has before it fails; here nothing is appended and the bytes stay readable.
#[test]
fn appends_buffered_bytes_before_propagating_failure() {
    let failure = Error::other("Test failure");
    let (_, mut input) = Script::new([Step::Bytes(b"12345".to_vec()), Step::Broken(failure)]);
    let mut out = String::new();
    let error = at_once(input.read_line_into(&mut out)).expect_err("the source failed");
    assert_eq!((error.to_string().as_str(), out.as_str()), ("Test failure", ""));
    assert_eq!(at_once(input.read_packet(5)).expect("they are here").as_slice(), b"12345");
}

// ---- ReadUtf8LineTest ------------------------------------------------------------------------------

#[test]
fn read_utf8_line_exceeding_limit() {
    let mut input = ByteReadChannel::from("A".repeat(10 * 1024));
    input.set_line_options(LineOptions::new().limit(8192));
    assert!(at_once(input.read_line()).expect_err("too long").is_line_too_long());
}

#[test]
fn read_utf8_line_exact_limit_without_line_ending() {
    assert_lines(["привет"], 12, &["привет"]);
    assert_too_long(["привет"], 11);
}

#[test]
fn read_utf8_line_flush_after_cr_when_only_crlf_allowed() {
    let strictly = LineOptions::new().ending(LineEnding::CrlfOnly);
    assert_eq!(lines_by(strictly, ["4\r", "2\r\n"], NO_LIMIT).expect("a line"), ["4\r2"]);
}

#[test]
fn read_utf8_line_flush_before_newline() {
    let mut input = Script::pieces(["4", "\r\n2\r\n"]);
    let mut out = String::new();
    assert!(finish(input.read_line_into(&mut out)).expect("a line"));
    assert!(finish(input.read_line_into(&mut out)).expect("a line"));
    assert_eq!(out, "42");
}

#[test]
fn read_utf8_line_without_line_ending() {
    let mut input = ByteReadChannel::from("A".repeat(42));
    let mut out = String::new();
    assert!(at_once(input.read_line_into(&mut out)).expect("a line"));
    assert_eq!(out, "A".repeat(42));
}
