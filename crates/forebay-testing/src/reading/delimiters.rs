//! Items between delimiters, and whatever else is read between them.

use forebay_io::Delimiter;

use super::{Head, Run, answer, kinds};
use crate::{cut_after, finish};

/// Reads the items of a case as the oracle does.
pub fn delimiters(case: &[u8]) {
    let mut head = Head(case);
    let length = 1 + head.below(8);
    let delimiter: Vec<u8> = (0..length).map(|_| head.byte()).collect();
    let limits = [head.below(8), usize::MAX];
    let bytes_too = head.is_set();
    let mut run = Run::new(head, |head| head.0.to_vec());
    for _ in 0..run.oracle.input.len() + 8 {
        if bytes_too && run.random.below(4) == 0 {
            run.call_for_bytes();
        } else {
            // Another one now and then, so that no search is mistaken for that of the other.
            let other = run.random.below(6) == 0;
            let limit = limits[run.random.below(2)];
            run.call_for_an_item(if other { &delimiter[length / 2..] } else { &delimiter }, limit);
        }
        run.assert_same_place();
    }
    run.finish();
}

impl Run {
    fn call_for_an_item(&mut self, delimiter: &[u8], limit: usize) {
        let polls = self.polls();
        let Self { channel, oracle, random } = self;
        let or_end = random.below(2) == 0;
        let asked =
            if or_end { Delimiter::new(delimiter).or_end() } else { Delimiter::from(delimiter) };
        let expected = oracle.until(delimiter, limit, or_end);
        if random.below(2) == 0 {
            let item = answer!(polls, channel.read_until(asked, limit));
            assert_eq!(item.map(|item| item.map(|item| item.to_vec())), expected);
        } else {
            let mut out = b"before:".to_vec();
            let is_item = answer!(polls, channel.read_until_into(asked, &mut out, limit));
            assert_eq!(is_item, expected.as_ref().map(Option::is_some).map_err(|kind| *kind));
            let appended = expected.ok().flatten().unwrap_or_default();
            assert_eq!(out, [b"before:", &appended[..]].concat());
        }
    }
}
