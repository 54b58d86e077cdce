//! The phases of an outbox. They only go forward.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Items are accepted.
    Open,
    /// No more items; what is queued and then the end mark are on their way.
    Finishing,
    /// The end mark is out.
    Finished,
    /// Given up, from any phase before the last.
    Aborted,
}

impl Phase {
    pub(super) fn is_settled(self) -> bool {
        matches!(self, Self::Finished | Self::Aborted)
    }
}
