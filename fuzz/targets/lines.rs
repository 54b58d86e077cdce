//! Lines by every rule, in pieces, with calls dropped and made again, beside an oracle that holds the whole input.
//!
//! The head of an input chooses the rules, the pieces and the calls; the rest is the text
//! (`forebay-testing/src/reading/lines.rs`). `cargo +nightly fuzz run lines --sanitizer none`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| forebay_testing::reading::lines(input));
