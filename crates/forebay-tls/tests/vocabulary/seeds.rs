//! Random input that can be had again, and sizes that are set from outside.

use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;

/// A seed that is printed, or the one of `FOREBAY_SEED`.
pub(crate) fn seed(test: &str) -> u64 {
    let seed = match std::env::var("FOREBAY_SEED") {
        Ok(given) => given.parse().expect("FOREBAY_SEED is a number"),
        Err(_) => RandomState::new().hash_one(test),
    };
    writeln!(std::io::stderr(), "{test}: FOREBAY_SEED={seed}").expect("standard error");
    seed
}

/// A size that a variable sets.
pub(crate) fn size(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |given| given.parse().expect("a number"))
}

/// Numbers by xorshift (Marsaglia 2003).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % bound
    }
}

/// Bytes that differ from their neighbours, so that a lost or doubled one shows.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 11).to_le_bytes()[0]).collect()
}
