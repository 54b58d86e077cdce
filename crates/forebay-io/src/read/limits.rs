//! The limits of a channel's reads.

use super::line::LINE_BYTES_MAX;
use super::{ByteReadChannel, PACKET_BYTES_MAX};
use crate::write::ITEM_BYTES_MAX;
use crate::{ErrorKind, Result};

/// The limits of a channel's reads, in bytes. A selector sets them for the channels of its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// The content of a line, unless the channel's own options say otherwise.
    pub line: usize,
    /// A packet, a peek, and everything else that is collected in the channel because a program has asked for so much.
    pub packet: usize,
    /// The slice from which a dropped `read_exact` gives back what it took.
    pub give_back: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { line: LINE_BYTES_MAX, packet: PACKET_BYTES_MAX, give_back: ITEM_BYTES_MAX }
    }
}

impl ByteReadChannel {
    /// Sets the limits of all reads from now on.
    #[doc(hidden)]
    pub fn set_limits(&mut self, limits: ReadLimits) {
        if limits != self.limits() {
            self.extras.get_or_insert_default().limits = limits;
            self.judge_lines_anew();
        }
    }

    /// Returns this channel with these limits.
    #[doc(hidden)]
    #[must_use]
    pub fn with_limits(mut self, limits: ReadLimits) -> Self {
        self.set_limits(limits);
        self
    }

    pub(super) fn limits(&self) -> ReadLimits {
        self.extras.as_ref().map_or_else(ReadLimits::default, |extras| extras.limits)
    }

    /// Checks a number of bytes that a call is to collect in the channel.
    pub(super) fn check_packet(&self, operation: &'static str, count: usize) -> Result<()> {
        let limit = self.limits().packet;
        if count <= limit {
            return Ok(());
        }
        let kind = ErrorKind::LimitExceeded { limit: limit as u64 };
        Err(self.error(kind, operation).with_detail(format!(
            "asked for {count} bytes at once; SelectorBuilder::packet_limit sets this, and read_exact takes more"
        )))
    }
}
