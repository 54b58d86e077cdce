//! A last line without newline is delivered once; NUL bytes are kept; empty lines count.

use forebay_io::{ByteReadChannel, Error, ErrorKind};
use forebay_testing::{
    at_once,
    channels::{Script, Step},
    cut_after, finish,
};

#[test]
fn a_last_line_without_newline_is_delivered_once() {
    for pieces in [&["last"][..], &["la", "st"], &["l", "a", "s", "t"]] {
        let mut input = Script::pieces(pieces);
        assert_eq!(finish(input.read_line()).expect("a line").as_deref(), Some("last"));
        for _ in 0..3 {
            assert_eq!(finish(input.read_line()).expect("the end"), None);
            assert_eq!(finish(input.read_line_ref()).expect("the end"), None);
            assert!(!finish(input.read_line_into(&mut String::new())).expect("the end"));
            assert!(!finish(input.skip_line()).expect("the end"));
        }
    }
}

#[test]
fn a_newline_at_the_very_end_makes_no_empty_line() {
    let mut input = ByteReadChannel::from("only\n");
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("only"));
    assert_eq!(at_once(input.read_line()).expect("the end"), None);
}

#[test]
fn nul_bytes_are_content() {
    let mut input = ByteReadChannel::from("\0\na\0b\n\0");
    for expected in ["\0", "a\0b", "\0"] {
        assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some(expected));
    }
    assert_eq!(at_once(input.read_line()).expect("the end"), None);
}

#[test]
fn empty_lines_are_lines() {
    let mut input = ByteReadChannel::from("\n\r\n\n\r");
    for expected in ["", "", "", "\r"] {
        assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some(expected));
    }
    assert_eq!(at_once(input.read_line()).expect("the end"), None);
    assert_eq!(at_once(ByteReadChannel::empty().read_line()).expect("the end"), None);
}

#[test]
fn a_reset_is_no_end_of_the_last_line() {
    let reset = Error::new(ErrorKind::Reset, "recv");
    let (_, mut input) = Script::new([Step::Bytes(b"half a li".to_vec()), Step::Broken(reset)]);
    for _ in 0..2 {
        assert!(at_once(input.read_line()).expect_err("no line").is_reset());
    }
    assert_eq!(input.buffered(), 9, "for a reader of bytes nothing is lost");
    assert_eq!(at_once(input.read_packet(9)).expect("they are there").as_slice(), b"half a li");
}

#[test]
fn a_dropped_line_read_leaves_its_bytes() {
    let (script, mut input) = Script::new([]);
    for byte in b"slow\n" {
        assert!(cut_after(1, input.read_line()).is_none());
        assert!(cut_after(1, input.read_line_into(&mut String::new())).is_none());
        script.bytes([*byte]);
    }
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("slow"));
}

#[test]
fn skip_line_answers_whether_there_was_anything() {
    let mut input = Script::pieces(["one", " line\ntwo", "\n", "rest"]);
    for expected in [true, true, true, false, false] {
        assert_eq!(finish(input.skip_line()).expect("nothing is wrong"), expected);
    }
}

#[test]
fn skip_line_goes_on_to_the_same_newline_when_it_was_dropped() {
    let (script, mut input) = Script::new([Step::Bytes(b"a long ".to_vec())]);
    assert!(cut_after(1, input.skip_line()).is_none());
    assert_eq!(input.buffered(), 0, "skipping holds nothing");
    script.bytes("line\nnext\n");
    assert!(at_once(input.skip_line()).expect("its end"));
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("next"));
}

#[test]
fn any_length_without_newline_is_skipped_in_one_block() {
    forebay_testing::channels::ledgered(|ledger| {
        let (script, mut input) = Script::new([]);
        for _ in 0..16 {
            for _ in 0..16 {
                script.bytes(vec![b'x'; 64 * 1024]);
            }
            assert!(cut_after(1, input.skip_line()).is_none());
            assert!(ledger.in_use() + ledger.idle() <= 1, "more than one block was needed");
        }
        assert_eq!(script.offered_max(), 64 * 1024);
    });
}
