use std::pin::pin;
use std::task::Waker;

use super::*;
use crate::Error;
use crate::seam::{Filled, Inlet, ReadLimits, Source};

/// One byte at a time, each after a Pending.
struct Drip {
    byte: u8,
    pause: bool,
}

impl Source for Drip {
    fn poll_fill(&mut self, _: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        self.pause = !self.pause;
        if self.pause {
            return Poll::Pending;
        }
        inlet.space()[0] = self.byte;
        inlet.fill(1);
        Poll::Ready(Ok(Filled::More))
    }

    fn abort(&mut self, _: &Error) {}
}

fn drip() -> ByteReadChannel {
    let (byte, pause) = (b'x', false);
    ByteReadChannel::from_source(Box::new(Drip { byte, pause }))
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_line_once(channel: &mut ByteReadChannel) -> Poll<Result<Option<String>>> {
    poll_once(channel.read_line())
}

#[test]
fn no_byte_is_looked_at_twice() {
    let mut channel = drip();
    for arrived in 0..60 * 1024 {
        // A new future each time: the position is the channel's.
        assert!(poll_line_once(&mut channel).is_pending());
        assert_eq!(channel.buffered(), arrived);
        assert_eq!(channel.buffer.front.scanned, arrived, "the next search starts here");
    }
}

/// A line of one MiB, of bytes that nearly end it.
#[test]
fn a_long_line_that_drips_in_is_looked_at_once_with_each_ending() {
    const MIB: usize = 1024 * 1024;
    for (ending, byte, count) in [
        (LineEnding::Default, b'\r', MIB),
        (LineEnding::LfOnly, b'\r', MIB / 8),
        (LineEnding::CrlfOnly, b'\n', MIB / 8),
        (LineEnding::CrlfOnly, b'\r', MIB / 8),
        (LineEnding::Lenient, b'x', MIB / 8),
    ] {
        let mut channel = ByteReadChannel::from_source(Box::new(Drip { byte, pause: false }));
        channel.set_line_options(LineOptions::new().ending(ending).limit(MIB));
        for arrived in 0..count {
            assert!(poll_line_once(&mut channel).is_pending());
            assert_eq!(channel.buffer.front.scanned, arrived, "the next search starts here");
        }
        assert_eq!(channel.buffered(), count - 1);
    }
}

#[test]
fn a_line_that_is_skipped_is_looked_at_once() {
    for (ending, byte) in [(LineEnding::Default, b'x'), (LineEnding::CrlfOnly, b'\r')] {
        let mut channel = ByteReadChannel::from_source(Box::new(Drip { byte, pause: false }));
        channel.set_line_options(LineOptions::new().ending(ending));
        for _ in 0..1000 {
            assert!(poll_once(channel.skip_line()).is_pending());
            assert_eq!(channel.buffer.front.scanned, channel.buffered());
            assert!(channel.buffered() <= 1);
        }
    }
}

fn has_replaced(channel: &ByteReadChannel) -> bool {
    channel.extras.as_ref().is_some_and(|extras| extras.replaced.is_some())
}

#[test]
fn a_replaced_text_is_dropped_before_the_task_sleeps() {
    let mut channel = ByteReadChannel::from(&b"\xff\nrest"[..]);
    channel.set_line_options(LineOptions::new().replace_invalid(true));
    let Poll::Ready(Ok(Some(line))) = poll_once(channel.read_line_ref()) else { panic!("no line") };
    assert_eq!(line, "\u{fffd}");
    assert!(has_replaced(&channel));
    assert!(poll_once(channel.read_remaining(9)).is_ready());
    assert!(!has_replaced(&channel));
}

#[test]
fn reading_something_else_starts_the_search_anew() {
    let mut channel = drip();
    for _ in 0..10 {
        assert!(poll_line_once(&mut channel).is_pending());
    }
    assert!(matches!(poll_once(channel.read_u8()), Poll::Ready(Ok(b'x'))));
    assert!(channel.buffer.front.scanned <= channel.buffered());
    assert!(poll_line_once(&mut channel).is_pending());
    assert_eq!(channel.buffer.front.scanned, channel.buffered());
}

#[test]
fn a_known_fault_is_told_without_a_look_at_the_line() {
    let mut channel = ByteReadChannel::from("far too long\nok\n");
    channel.set_line_options(LineOptions::new().limit(3));
    let first = poll_line_once(&mut channel);
    assert!(matches!(first, Poll::Ready(Err(error)) if error.is_line_too_long()));
    // A position beyond the bytes would make any search panic.
    channel.buffer.front.scanned = usize::MAX;
    let second = poll_line_once(&mut channel);
    assert!(matches!(second, Poll::Ready(Err(error)) if error.is_line_too_long()));
}

/// A peer that speaks TLS to a plain port, with and without a line feed in its greeting.
#[test]
fn the_greeting_of_tls_is_told_from_a_bad_line() {
    for greeting in [&b"\x16\x03\x01\x06\xfc\x01\n"[..], &[22, 3, 1, 6, 252, 1, 0, 0, 0]] {
        let mut input = ByteReadChannel::from(bytes::Bytes::copy_from_slice(greeting));
        input.set_line_options(LineOptions::new().limit(8));
        for _ in 0..2 {
            let Poll::Ready(Err(error)) = poll_line_once(&mut input) else { panic!("no error") };
            assert!(error.to_string().contains("like a TLS handshake"), "{error}");
        }
    }
}

fn line_at_once(channel: &mut ByteReadChannel) -> Option<String> {
    match poll_line_once(channel) {
        Poll::Ready(Ok(line)) => line,
        other => panic!("{other:?}"),
    }
}

/// A loop that reads something else between two lines would otherwise have all lines behind checked for each of them.
#[test]
fn what_is_read_between_lines_leaves_those_behind_checked() {
    let mut channel = ByteReadChannel::from("line\n!".repeat(300));
    let mut checks = 0;
    for _ in 0..300 {
        checks += usize::from(channel.buffer.find_checked().is_none());
        assert_eq!(line_at_once(&mut channel).as_deref(), Some("line"));
        assert!(matches!(poll_once(channel.read_u8()), Poll::Ready(Ok(b'!'))));
    }
    assert!(checks <= 1800 / 1024 + 1, "{checks} checks");
}

/// The text of the checked lines is consumed byte by byte, within a character too.
#[test]
fn a_line_behind_half_a_character_is_refused_as_it_would_be_alone() {
    let text = "a\nb\néé\nc\n";
    for taken in 1..5 {
        let mut channel = ByteReadChannel::from(text);
        assert_eq!(line_at_once(&mut channel).as_deref(), Some("a"));
        assert!(channel.buffer.find_checked().is_some());
        assert_eq!(line_at_once(&mut channel).as_deref(), Some("b"));
        let half = poll_once(channel.read_packet(taken));
        assert!(matches!(half, Poll::Ready(Ok(_))));
        let rest = &text.as_bytes()[4 + taken..text.len() - 3];
        match (poll_line_once(&mut channel), std::str::from_utf8(rest)) {
            (Poll::Ready(Ok(line)), Ok(rest)) => assert_eq!(line.as_deref(), Some(rest)),
            (Poll::Ready(Err(error)), Err(_)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidUtf8 { offset: 0 });
                let line = poll_once(channel.read_line_bytes_ref());
                assert!(matches!(line, Poll::Ready(Ok(Some(bytes))) if bytes == rest));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(line_at_once(&mut channel).as_deref(), Some("c"));
        assert_eq!(line_at_once(&mut channel), None);
    }
}

#[test]
fn checked_lines_are_lines_by_the_options_that_are_set_now() {
    let mut channel = ByteReadChannel::from("one\ntwo\n222\nthree\rfour\n");
    assert_eq!(line_at_once(&mut channel).as_deref(), Some("one"));
    assert!(channel.buffer.find_checked().is_some());
    for way in 0..2 {
        if way == 0 {
            channel.set_limits(ReadLimits { line: 2, ..ReadLimits::default() });
        } else {
            channel.set_line_options(LineOptions::new().limit(2));
        }
        let refused = poll_line_once(&mut channel);
        assert!(matches!(refused, Poll::Ready(Err(error)) if error.is_line_too_long()));
        channel.set_limits(ReadLimits::default());
        channel.set_line_options(LineOptions::new());
        assert_eq!(line_at_once(&mut channel).as_deref(), Some(["two", "222"][way]));
    }
    channel.set_line_options(LineOptions::new().ending(LineEnding::Lenient));
    assert_eq!(line_at_once(&mut channel).as_deref(), Some("three"));
    assert_eq!(line_at_once(&mut channel).as_deref(), Some("four"));
}

/// Bytes of a dropped `read_exact` are in front of the lines that were checked.
#[test]
fn bytes_that_are_given_back_come_before_the_checked_lines() {
    let mut channel = ByteReadChannel::from_source(Box::new(Drip { byte: b'x', pause: false }));
    channel.buffer.give_back(b"one\ntwo\nthree\n");
    assert_eq!(line_at_once(&mut channel).as_deref(), Some("one"));
    assert!(channel.buffer.find_checked().is_some());
    channel.buffer.give_back(b"again ");
    assert_eq!(line_at_once(&mut channel).as_deref(), Some("again two"));
    assert_eq!(line_at_once(&mut channel).as_deref(), Some("three"));
}

#[test]
fn a_refusal_says_what_may_be_done_about_it() {
    let options = LineOptions::new().limit(8).strict(true);
    for (text, advice) in [
        (&b"far too long\n"[..], "skip_line skips it"),
        (b"\xff\n", "skip_line skips it, and read returns its bytes"),
        (b"half", "the last line has no terminator, which LineOptions::strict refuses"),
    ] {
        let mut input = ByteReadChannel::from(bytes::Bytes::copy_from_slice(text));
        input.set_line_options(options);
        let Poll::Ready(Err(error)) = poll_line_once(&mut input) else { panic!("no error") };
        assert!(error.to_string().ends_with(advice), "{error}");
    }
}
