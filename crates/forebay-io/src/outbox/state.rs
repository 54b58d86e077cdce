//! The state of an outbox, under its lock.

use super::phase::OutboxPhase;
use super::until::{Room, Until};
use super::whole::Whole;
use crate::Error;
use crate::queue::SendQueue;
use crate::seam::{Drain, WakeList};
use crate::turn::Share;
use crate::waiters::Waiters;

/// A writer waits while at least this many bytes are queued: 64 KiB.
pub(crate) const HIGH_WATER_BYTES: usize = 64 * 1024;

/// In this order in memory: what accepting a small item needs stands together at the front, and what a pass of
/// the drain needs besides follows.
#[repr(C)]
pub(super) struct State {
    pub(super) phase: OutboxPhase,
    pub(super) due: Due,
    /// Accepted bytes are on a thread's stage. `stage.rs` lists what must wait until they have joined the
    /// queue.
    pub(super) staged: bool,
    /// The outbox's share went through a pipe on a thread without turns. There is no free room until the
    /// writer has given way.
    pub(super) pauses: bool,
    /// Accepted bytes were dropped, because the outbox was aborted.
    pub(super) dropped: bool,
    pub(super) queue: SendQueue,
    pub(super) drain: Box<dyn Drain>,
    pub(super) share: Share,
    /// Bytes handed to the transport since the beginning.
    pub(super) sent: u64,
    /// Decides whether an end mark may follow.
    pub(super) whole: Whole,
    pub(super) waiters: Waiters<Until>,
}

/// The time at which the next flush is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Never,
    /// At the end of this turn.
    Turn,
    /// At the end of the current task's poll, which is earlier.
    Poll,
}

impl State {
    pub(super) fn new(drain: Box<dyn Drain>, share: Share) -> Self {
        Self {
            drain,
            queue: SendQueue::default(),
            phase: OutboxPhase::Open,
            sent: 0,
            due: Due::Never,
            staged: false,
            whole: Whole::default(),
            dropped: false,
            share,
            pauses: false,
            waiters: Waiters::default(),
        }
    }

    pub(super) fn give_up(&mut self, cause: &Error, after: &mut WakeList) {
        self.phase = OutboxPhase::Aborted;
        self.dropped |= self.staged || !self.queue.is_empty();
        self.queue.clear(after);
        self.drain.abort(cause, after);
    }

    pub(super) fn room(&self, high_water: usize, is_closing: impl Fn() -> bool) -> Room {
        if self.queue.len() < high_water && !self.staged {
            Room::Free
        } else if is_closing() {
            Room::Refused
        } else {
            Room::None
        }
    }

    pub(super) fn release_waiters(
        &mut self,
        high_water: usize,
        is_closing: impl Fn() -> bool,
        after: &mut WakeList,
    ) {
        let room = self.room(high_water, &is_closing);
        let Self { waiters, phase, sent, .. } = self;
        waiters.release(after, |until| until.holds(*phase, *sent, room, &is_closing));
    }
}
