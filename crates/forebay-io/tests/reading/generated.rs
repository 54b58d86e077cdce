//! Lines, delimiters, peeks, skips and discards, compared with an oracle that holds the whole input: random texts, in
//! random pieces, by random rules and calls.
//!
//! `FOREBAY_CASES=1000000 cargo test --release -p forebay-io --test reading generated` takes minutes.

use forebay_io::{ErrorKind, LineEnding, LineOptions, TooLong};
use forebay_testing::channels::Script;
use forebay_testing::reading::{delimiters, lines};
use forebay_testing::{Random, finish, property, size};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const PIECES: &[&[u8]] = &[
    b"a",
    b"bc",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\r",
    b"\xc3\xa9",
    b"\xf0\x9f\x98\x80",
    b"\xff",
    b"\xe3\x83",
];

/// The head of a case: what chooses the rules, the pieces and the calls.
fn head(len: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), len)
}

#[test]
#[cfg_attr(miri, ignore = "the number of cases takes Miri hours")]
fn lines_are_those_of_the_oracle() {
    let text = vec(select(PIECES), 0..24).prop_map(|pieces| pieces.concat());
    property("lines", 10_000, &(head(15), text), |(head, text)| {
        lines(&[head, text].concat());
    });
}

/// Two thousand texts that are always the same, each cut at every place: what is read does not depend on the cut.
#[test]
#[cfg_attr(miri, ignore = "the number of cases takes Miri hours")]
fn every_split_of_a_fixed_corpus_reads_the_same() {
    let mut random = Random::new(17, 0);
    for _ in 0..size("FOREBAY_TEXTS", 500, 2_000) {
        let text: Vec<u8> = (0..random.below(8))
            .flat_map(|_| PIECES[random.below(PIECES.len())].iter().copied())
            .collect();
        for ending in
            [LineEnding::Default, LineEnding::Lenient, LineEnding::CrlfOnly, LineEnding::LfOnly]
        {
            for too_long in [TooLong::Fail, TooLong::Skip, TooLong::Cut] {
                let rules = LineOptions::new().ending(ending).too_long(too_long).limit(3);
                let expected = outcomes(rules, &[&text]);
                for cut in 1..text.len() {
                    let (first, second) = text.split_at(cut);
                    let found = outcomes(rules, &[first, second]);
                    assert_eq!(found, expected, "{text:?} at {cut}, {rules:?}");
                }
            }
        }
    }
}

/// Every line, or the error for which it is skipped.
fn outcomes(rules: LineOptions, pieces: &[&[u8]]) -> Vec<Result<Vec<u8>, ErrorKind>> {
    let mut input = Script::pieces(pieces.iter().filter(|piece| !piece.is_empty()));
    input.set_line_options(rules);
    let mut outcomes = Vec::new();
    loop {
        let outcome = match finish(input.read_line_bytes_ref()) {
            Ok(None) => return outcomes,
            Ok(Some(line)) => Ok(line.to_vec()),
            Err(error) => Err(error.kind()),
        };
        if outcome.is_err() {
            assert!(finish(input.skip_line()).expect("it ends"));
        }
        outcomes.push(outcome);
    }
}

#[test]
#[cfg_attr(miri, ignore = "the number of cases takes Miri hours")]
fn items_are_those_of_the_oracle() {
    // Of few letters, so that much looks like the beginning of a delimiter.
    let letters = || vec(select(&b"aab-\n"[..]), 0..40);
    let delimiter = vec(select(&b"aab-"[..]), 8);
    let values = (any::<u8>(), delimiter, head(11), letters());
    property("delimiters", 10_000, &values, |(length, delimiter, head, text)| {
        let delimiter = &delimiter[..=usize::from(length) % 8];
        delimiters(&[&[length], delimiter, &head[..], &text[..]].concat());
    });
}
