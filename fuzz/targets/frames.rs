//! Any bytes as a framing, a stream and the way in which it arrives: every frame is the one that a naive oracle finds,
//! and every refusal is its refusal.
//!
//! `cargo +nightly fuzz run frames --sanitizer none`. The files in `fuzz/seeds/frames` are replayed by
//! `cargo test -p forebay-io --test operations corpora`.

#![no_main]

use forebay_testing::oracle::FrameCase;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| FrameCase::from_bytes(input).check());
