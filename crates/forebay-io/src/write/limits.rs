//! The limits of a channel's writes.

use super::{ByteWriteChannel, ITEM_BYTES_MAX};
use crate::outbox::HIGH_WATER_BYTES;

/// The limits of a channel's writes, in bytes. A selector sets them for the channels of its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteLimits {
    /// The number of queued bytes at which a writer waits. Less than 2 counts as 2. A pipe has its capacity instead.
    pub high_water: usize,
    /// The largest slice that is accepted in one step, and item that is composed. Less than 1 counts as 1.
    pub item: usize,
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self { high_water: HIGH_WATER_BYTES, item: ITEM_BYTES_MAX }
    }
}

impl ByteWriteChannel {
    /// Sets the limits of all writes from now on.
    #[doc(hidden)]
    pub fn set_limits(&mut self, limits: WriteLimits) {
        self.item_max = limits.item.max(1);
        self.outbox.set_high_water(limits.high_water);
    }

    /// Returns this channel with these limits.
    #[doc(hidden)]
    #[must_use]
    pub fn with_limits(mut self, limits: WriteLimits) -> Self {
        self.set_limits(limits);
        self
    }
}
