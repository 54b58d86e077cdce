//! The other side of the connection that a session lies on.

use forebay_io::seam::WakeList;

/// The other side of the connection, as far as errors and ends need it.
pub trait Peer: Send + Sync {
    /// Returns the peer's address, if it has one.
    fn address(&self) -> Option<String>;

    /// Returns how much of what was sent the peer has acknowledged.
    fn acknowledged(&self) -> Acknowledged {
        Acknowledged::WhatWasTaken
    }

    /// Returns `true` while the connection is being closed: the close then reads past the session.
    fn is_closing(&self) -> bool {
        false
    }

    /// Called before the session reports a loss of its transport by which nothing was lost: the peer had ended, and
    /// had acknowledged all data of this side. This happens under the session's lock.
    fn loses_nothing(&self) {}

    /// Called when the session begins to report the loss of its transport or, if the loss was harmless,
    /// that both sides have ended.
    fn loss_told(&self, _is_harmless: bool, _after: &mut WakeList) {}

    /// Called when a task that looks for the peer's end ([`look_for_end`](super::Session::look_for_end)) should
    /// look again. This may happen under the session's lock.
    fn changed(&self, _after: &mut WakeList) {}
}

/// The amount of sent bytes that the other side has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// The transport counts acknowledged bytes.
    Bytes {
        /// The number of acknowledged bytes, plus a constant.
        count: u64,
        /// Some bytes are not acknowledged yet.
        in_flight: bool,
    },
    /// Whatever the transport has accepted counts as acknowledged.
    WhatWasTaken,
    /// The transport does not tell.
    Unknown,
}
