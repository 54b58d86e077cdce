//! The remainder of a block that was returned, in a buffer of its own.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use crate::sync::thread_local;

/// The size of a thread's spare buffer, which holds a remainder up to this size. Nearly every line that
/// arrives alone leaves such a remainder, and allocating for each would cost as much as reading it.
const SPARE_BYTES: usize = 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer whose bytes are all in use, up to its length.
#[derive(Debug, Default)]
pub(super) struct Remainder(Vec<u8>);

impl Remainder {
    /// Copies these bytes, into the thread's spare buffer if they fit.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if bytes.len() > SPARE_BYTES {
            return Self(bytes.to_vec());
        }
        let mut spare = SPARE.try_with(Cell::take).unwrap_or_default();
        spare.reserve_exact(SPARE_BYTES);
        spare.extend_from_slice(bytes);
        Self(spare)
    }

    /// Copies these bytes into memory of exactly their size.
    pub(super) fn exact(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(super) fn into_vec(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl From<Vec<u8>> for Remainder {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Remainder {
    type Target = Vec<u8>;

    #[inline]
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Remainder {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Remainder {
    fn drop(&mut self) {
        if self.0.capacity() == SPARE_BYTES {
            self.0.clear();
            let spare = std::mem::take(&mut self.0);
            // While the thread ends its thread-locals are gone, and the buffer is freed.
            SPARE.try_with(|kept| kept.set(spare)).ok();
        }
    }
}
