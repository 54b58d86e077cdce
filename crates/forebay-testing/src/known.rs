//! Bytes that look random, and that both sides know by their seed.

use crate::Random;

/// A stream without end that sender and receiver make from the same seed.
#[derive(Debug)]
pub struct Known {
    /// Repeated endlessly; its length is a prime, so that lost or doubled bytes shift the rest.
    block: Vec<u8>,
    at: usize,
}

impl Known {
    const BLOCK_BYTES: usize = 1_000_003;

    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 0);
        let block = (0..=Self::BLOCK_BYTES / 8).flat_map(|_| random.next().to_le_bytes());
        Self { block: block.take(Self::BLOCK_BYTES).collect(), at: 0 }
    }

    /// Returns its next bytes: this many, or fewer, but at least one.
    pub fn take(&mut self, bytes: usize) -> &[u8] {
        let from = self.at;
        let to = self.block.len().min(from + bytes);
        self.at = to % self.block.len();
        &self.block[from..to]
    }

    /// Asserts that these are its next bytes.
    pub fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.at;
            let expected = self.take(bytes.len());
            let (these, rest) = bytes.split_at(expected.len());
            assert!(these == expected, "the stream differs behind byte {at} of a round");
            bytes = rest;
        }
    }
}
