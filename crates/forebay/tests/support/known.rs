//! Bytes that look random, and that both sides know by their seed.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::report;

/// The seed of a test: what `FOREBAY_SEED` says, else a fresh one. It is printed either way.
pub(crate) fn seed(test: &str) -> u64 {
    let seed = match env::var("FOREBAY_SEED") {
        Ok(given) => given.parse().expect("FOREBAY_SEED is a number"),
        Err(_) => RandomState::new().hash_one(test),
    };
    report(&format!("{test}: FOREBAY_SEED={seed} repeats it"));
    seed
}

/// A size: what the variable of this name says, else a smaller one that takes little time.
pub(crate) fn size(variable: &str, default: usize) -> usize {
    match env::var(variable) {
        Ok(given) => given.parse().unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => default,
    }
}

/// Numbers that look random and follow from a seed (xorshift).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds would begin alike, and nothing follows from zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// Up to a millisecond, and often nothing at all.
    pub(crate) fn moment(&mut self) -> Duration {
        Duration::from_micros(u64::try_from(self.below(2000)).unwrap().saturating_sub(1000))
    }
}

/// A stream without end that sender and receiver make from the same seed.
#[derive(Debug)]
pub(crate) struct Known {
    /// Round and round; its length is a prime, so that what is lost or doubled shifts the rest.
    block: Vec<u8>,
    at: usize,
}

impl Known {
    const BLOCK_BYTES: usize = 1_000_003;

    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let block = (0..=Self::BLOCK_BYTES / 8).flat_map(|_| random.next().to_le_bytes());
        Self { block: block.take(Self::BLOCK_BYTES).collect(), at: 0 }
    }

    /// Its next bytes: so many, or fewer, but not none.
    pub(crate) fn take(&mut self, bytes: usize) -> &[u8] {
        let from = self.at;
        let to = self.block.len().min(from + bytes);
        self.at = to % self.block.len();
        &self.block[from..to]
    }

    /// Sees that these are its next bytes.
    pub(crate) fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.at;
            let expected = self.take(bytes.len());
            let (these, rest) = bytes.split_at(expected.len());
            assert!(these == expected, "the stream differs behind byte {at} of a round");
            bytes = rest;
        }
    }
}
