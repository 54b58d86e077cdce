//! Plaintext that nobody had room for yet.

use forebay_io::seam::Inlet;

/// What was decrypted and not handed out: the rest of a record that did not fit its reader's slice,
/// or what a writer's call met. It is bounded by the ciphertext that has arrived.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    taken: usize,
}

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How much that is.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.taken > self.len() {
            // A reader that never takes all of it does not have it grow.
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Hands out what fits; true if that was anything.
    pub(super) fn give(&mut self, inlet: &mut Inlet<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let left = &self.bytes[self.taken..];
        let space = inlet.space();
        let count = left.len().min(space.len());
        space[..count].copy_from_slice(&left[..count]);
        inlet.fill(count);
        self.taken += count;
        if self.taken == self.bytes.len() {
            // An idle session keeps no memory for it.
            *self = Self::default();
        }
        count > 0
    }
}
