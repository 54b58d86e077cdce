//! The phases of an outbox. They only go forward.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutboxPhase {
    /// Items are accepted.
    Open,
    /// No more items are accepted; the queue is being sent, then the end mark.
    Finishing,
    /// The end mark has been sent.
    Finished,
    /// Given up, from any phase before `Finished`.
    Aborted,
}

impl OutboxPhase {
    pub(super) fn is_settled(self) -> bool {
        matches!(self, Self::Finished | Self::Aborted)
    }
}
