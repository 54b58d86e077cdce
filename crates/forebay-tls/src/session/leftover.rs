//! Plaintext that no reader had space for yet.

use forebay_io::seam::Inlet;

/// Plaintext that was decrypted and not yet read: the rest of a record that did not fit its reader's slice,
/// or what a writer's call has found. It is bounded by the ciphertext that has arrived.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    bytes: Vec<u8>,
    taken: usize,
}

impl Leftover {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the number of bytes not yet read.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.taken > self.len() {
            // Keeps the buffer from growing for a reader that never takes everything.
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves what fits into the inlet. Returns `true` if that was at least one byte.
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
            // Frees the memory, so that an idle session keeps none.
            *self = Self::default();
        }
        count > 0
    }
}
