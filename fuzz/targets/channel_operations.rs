//! Any bytes as operations on a channel: writes, copies, clones and ends in any order, some of them dropped. An oracle
//! knows which bytes were accepted; the reader must get these, in order, and the end that is due.
//!
//! `cargo +nightly fuzz run channel_operations --sanitizer none`. The files in `fuzz/seeds/channel_operations` are
//! replayed by `cargo test -p forebay-io --test operations corpora`.

#![no_main]

use forebay_testing::oracle::check_operations;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check_operations(input));
