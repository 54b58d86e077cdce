//! The conditions that can be waited for.

use super::phase::OutboxPhase;

/// A condition to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The queue is below its mark, and no item is accepted only in part.
    Room,
    /// The queue is below its mark; for the next piece of an item that was accepted in part.
    RoomForPiece,
    /// This many bytes have gone to the transport since the beginning.
    Sent(u64),
    /// This many bytes have gone to the transport, or the worker is closing. For an upper outbox, whose
    /// writers stop waiting for room when the worker closes.
    SentOrClosing(u64),
    /// The end mark has been sent.
    Finished,
}

impl Until {
    /// Returns `true` if waiting longer makes no sense: the condition holds, or it never will.
    pub(super) fn holds(
        self,
        phase: OutboxPhase,
        sent: u64,
        room: Room,
        is_closing: impl Fn() -> bool,
    ) -> bool {
        phase.is_settled()
            || match self {
                Self::SentOrClosing(mark) => sent >= mark || is_closing(),
                Self::Room | Self::RoomForPiece => room != Room::None || phase != OutboxPhase::Open,
                Self::Sent(mark) => sent >= mark,
                Self::Finished => false,
            }
    }
}

/// The answer to a writer that waits for room, as far as the queue is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// The queue is full, or bytes are on another thread's stage.
    None,
    /// The same, and the wait ends because the worker is closing.
    Refused,
    /// There is room.
    Free,
}
