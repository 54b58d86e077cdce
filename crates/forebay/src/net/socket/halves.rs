//! The two halves of a connection; each of them is opened as a channel once.

use std::sync::atomic::{AtomicBool, Ordering};

/// The halves that are taken.
#[derive(Debug, Default)]
pub(super) struct Halves {
    reader: AtomicBool,
    writer: AtomicBool,
}

impl Halves {
    pub(super) fn take_reader(&self) -> bool {
        // AcqRel: pairs with the Release in `give_back`, so the next taker sees the layer.
        !self.reader.swap(true, Ordering::AcqRel)
    }

    pub(super) fn take_writer(&self) -> bool {
        !self.writer.swap(true, Ordering::AcqRel)
    }

    /// Takes both halves, or neither.
    pub(super) fn take_both(&self) -> bool {
        if !self.take_reader() {
            return false;
        }
        let both = self.take_writer();
        if !both {
            self.reader.store(false, Ordering::Release);
        }
        both
    }

    /// Makes both halves available again, after a layer has taken both and stands between.
    #[cfg(feature = "tls")]
    pub(super) fn give_back(&self) {
        self.reader.store(false, Ordering::Release);
        self.writer.store(false, Ordering::Release);
    }
}
