use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::seam::{Filled, Inlet, Source};

/// The bytes of a pattern, one at a time and each after a Pending, without end.
struct Drip {
    pattern: &'static [u8],
    at: usize,
    pause: bool,
}

impl Source for Drip {
    fn poll_fill(&mut self, _: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        self.pause = !self.pause;
        if self.pause {
            return Poll::Pending;
        }
        inlet.space()[0] = self.pattern[self.at % self.pattern.len()];
        self.at += 1;
        inlet.fill(1);
        Poll::Ready(Ok(Filled::More))
    }

    fn abort(&mut self, _: &Error) {}
}

fn drip(pattern: &'static [u8]) -> ByteReadChannel {
    ByteReadChannel::from_source(Box::new(Drip { pattern, at: 0, pause: false }))
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// An input that is always about to contain its delimiter, to a call that is dropped between any two bytes.
#[test]
fn each_byte_costs_a_few_comparisons_whatever_the_delimiter() {
    const COUNT: usize = 64 * 1024;
    let nearly = [vec![b'a'; 1000], vec![b'b']].concat();
    let alternating = [b"ab".repeat(500), vec![b'c']].concat();
    for (pattern, delimiter) in [
        (&b"a"[..], &nearly[..]),
        (b"ab", &alternating),
        (b"aab", &[b"aab".repeat(300), vec![b'x']].concat()),
        (b"x", &nearly),
        (b"-", b"--done"),
        (b"x", b"\n"),
    ] {
        let mut input = drip(pattern);
        for arrived in 0..COUNT {
            assert!(poll_once(input.read_until(delimiter, usize::MAX)).is_pending());
            assert_eq!(input.buffered(), arrived);
        }
        let sought = input.buffer.front.sought().expect("a search is on its way");
        assert_eq!(sought.scanned(), COUNT - 1, "every byte was examined");
        // One comparison for each byte that a beginning grows by, and one for each time that it shrinks.
        let most = 2 * COUNT + 2 * delimiter.len();
        assert!(sought.steps() <= most, "{} steps for {COUNT} bytes", sought.steps());
    }
}

#[test]
fn a_delimiter_that_is_there_is_found_without_a_note() {
    let mut input = ByteReadChannel::from("one\ntwo\n");
    for _ in 0..2 {
        assert!(matches!(poll_once(input.read_until("\n", 9)), Poll::Ready(Ok(Some(_)))));
        assert!(input.buffer.front.sought().is_none());
    }
}

/// A search is forgotten with its bytes: at the latest before the task sleeps.
#[test]
fn a_search_that_is_over_holds_no_memory() {
    let mut input = drip(b"x");
    for _ in 0..5 {
        assert!(poll_once(input.read_until("\n", 99)).is_pending());
    }
    assert!(input.buffer.front.sought().is_some());
    assert!(matches!(poll_once(input.read_packet(4)), Poll::Ready(Ok(_))));
    assert!(poll_once(input.read_u64()).is_pending());
    assert!(input.buffer.front.sought().is_none());
}

#[test]
fn an_answer_beyond_the_limit_is_repeated_without_a_look() {
    let mut input = ByteReadChannel::from(vec![b'a'; 1000]);
    for _ in 0..3 {
        while let Poll::Ready(answer) = poll_once(input.read_until("ab", 500)) {
            let limit = 500;
            assert_eq!(answer.expect_err("too many").kind(), ErrorKind::LimitExceeded { limit });
        }
        let sought = input.buffer.front.sought();
        assert!(sought.is_some_and(|sought| sought.steps() <= 502));
    }
}

/// All delimiters and texts of two letters, up to a length, in pieces that end anywhere.
#[test]
fn a_search_in_pieces_finds_what_a_search_in_one_piece_finds() {
    let words = |length: u32| {
        (0..1_u32 << length)
            .map(move |bits| (0..length).map(|bit| b"ab"[(bits >> bit & 1) as usize]).collect())
    };
    for delimiter in (1..=4).flat_map(words) {
        let delimiter: Vec<u8> = delimiter;
        for text in words(9) {
            let text: Vec<u8> = text;
            let expected = text.windows(delimiter.len()).position(|part| part == delimiter);
            for first in 0..=text.len() {
                let mut buffer = crate::read::Buffer::default();
                let mut found = None;
                for end in [first, (first + 2).min(text.len()), text.len()] {
                    let arrived = buffer.len();
                    buffer.space(usize::MAX)[..end - arrived].copy_from_slice(&text[arrived..end]);
                    buffer.fill(end - arrived);
                    if let Search::Found(at) = buffer.search(&delimiter, usize::MAX) {
                        found = Some(at);
                        break;
                    }
                }
                assert_eq!(found, expected, "{delimiter:?} in {text:?}, cut at {first}");
            }
        }
    }
}
