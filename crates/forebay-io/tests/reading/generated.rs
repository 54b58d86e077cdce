//! Lines, delimiters, peeks, skips and discards, compared with an oracle that holds the whole input: random texts, in
//! random pieces, by random rules and calls.
//!
//! `FOREBAY_CASES=1000000 cargo test --release -p forebay-io --test reading generated` takes minutes.

use forebay_testing::reading::{delimiters, lines};
use forebay_testing::{property, report};
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
    report("lines: as many cases as were asked for");
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
