//! Waiting for a number or a phase of an outbox.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::phase::Phase;
use super::{HIGH_WATER_BYTES, Outbox, State};
use crate::lock::lock;
use crate::seam::Turns;
use crate::sync::atomic::Ordering::Relaxed;
use crate::turn::{Answers, Share};
use crate::waiters::WaiterKey;
use crate::{Error, Result};

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The queue is below its mark, and an item is accepted behind it.
    Room,
    /// The same, for the next piece of a slice that was accepted in part.
    RoomForPiece,
    /// This many bytes have gone to the transport since the beginning.
    Sent(u64),
    /// So many have, or the worker is closing: what an outbox waits for that writes into this one,
    /// whose writers wait for no room then.
    SentOrClosing(u64),
    /// The end mark is out.
    Finished,
}

impl Until {
    /// True when waiting longer makes no sense: it came true, or it never will.
    pub(super) fn holds(self, phase: Phase, sent: u64, room: Room, turns: &dyn Turns) -> bool {
        phase.is_settled()
            || match self {
                Self::SentOrClosing(mark) => sent >= mark || turns.is_closing(),
                Self::Room | Self::RoomForPiece => room != Room::None || phase != Phase::Open,
                Self::Sent(mark) => sent >= mark,
                Self::Finished => false,
            }
    }
}

/// Whether an item can be accepted, as far as the queue goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// The queue is full, or bytes are on another thread's stage.
    None,
    /// So it is, and nobody is to wait for a change.
    Refused,
    /// There is room.
    Free,
}

/// How much a writer hands over before it gives way to other tasks, and how often it is refused.
#[derive(Debug, Default)]
pub(crate) struct WriterPace {
    pub(crate) share: Share,
    pub(crate) answers: Answers,
    /// Bytes that the outbox had accepted, counted from the beginning, when they were last counted.
    pub(crate) counted: u64,
}

impl WriterPace {
    /// So many bytes were accepted since the beginning: fewer than before where an abort has thrown
    /// some away.
    fn count(&mut self, accepted: u64) {
        let more = accepted.saturating_sub(self.counted);
        self.share.spend(usize::try_from(more).unwrap_or(usize::MAX));
        self.counted = accepted;
    }

    /// Gives way before more is accepted than one turn's share, or before one more refusal of a
    /// few.
    fn poll(&mut self, cx: &Context<'_>, has_room: bool) -> Poll<()> {
        if has_room {
            self.answers.restart();
            self.share.poll_room(cx, HIGH_WATER_BYTES)
        } else {
            self.answers.poll_one(cx)
        }
    }
}

impl Outbox {
    /// Waits; fails when it can no longer come true.
    ///
    /// # Errors
    ///
    /// The cause of an aborted outbox; `Closed` when waiting for room in a finished one, or in a full
    /// one whose worker is closing.
    ///
    /// # Cancel safety
    ///
    /// Releases: the waiter removes itself.
    pub fn wait(&self, until: Until) -> impl Future<Output = Result<()>> + Send + '_ {
        Wait { outbox: self, until, key: None, pace: None }
    }

    /// Sends what waits and waits for room for an item, of a writer that has this pace: gives way
    /// where there is room and the pace says so.
    pub(crate) fn wait_for_room<'a>(
        &'a self,
        until: Until,
        pace: &'a mut WriterPace,
    ) -> impl Future<Output = Result<()>> + Send + 'a {
        pace.count(self.accepted());
        self.advance();
        Wait { outbox: self, until, key: None, pace: Some(pace) }
    }

    fn check(&self, state: &State, until: Until) -> Poll<Looked> {
        let room = state.room(self.high_water, self.turns.as_ref());
        let for_room = matches!(until, Until::Room | Until::RoomForPiece);
        if for_room && state.phase == Phase::Open && self.aborting.load(Relaxed) {
            // The abort has not come under the lock yet. It wakes this wait; an answer now would have
            // the writer ask again and again.
            return Poll::Pending;
        }
        if until == Until::Room && state.whole.is_partial() {
            return Poll::Ready(Err(None));
        }
        if !until.holds(state.phase, state.sent, room, self.turns.as_ref()) {
            return Poll::Pending;
        }
        let came_true = match until {
            Until::Room | Until::RoomForPiece => state.phase == Phase::Open && room == Room::Free,
            // What an abort threw away is neither queued nor sent, so the numbers alone would lie.
            Until::Sent(mark) | Until::SentOrClosing(mark) => {
                state.sent >= mark && state.phase != Phase::Aborted
            }
            Until::Finished => state.phase == Phase::Finished,
        };
        Poll::Ready(if came_true { Ok(()) } else { Err(self.cause.get().cloned()) })
    }
}

/// It came true, or it never will: for this cause, where there is one.
type Looked = std::result::Result<(), Option<Error>>;

struct Wait<'a> {
    outbox: &'a Outbox,
    until: Until,
    key: Option<WaiterKey>,
    /// What is asked before the answer is given.
    pace: Option<&'a mut WriterPace>,
}

impl Wait<'_> {
    /// One look under the lock, leaving the waker there if there is one to leave. The waker it
    /// replaces comes back, to be dropped without the lock.
    fn look(&mut self, leave: Option<Waker>) -> (Poll<Looked>, Option<Waker>) {
        let mut state = lock(&self.outbox.state);
        let answer = self.outbox.check(&state, self.until);
        let replaced = match leave {
            Some(waker) if answer.is_pending() => {
                state.waiters.put(&mut self.key, self.until, waker)
            }
            unused => unused,
        };
        drop(state);
        (answer, replaced)
    }
}

impl Future for Wait<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (mut answer, _) = self.look(None);
        if answer.is_pending() {
            // Cloned before locking, and looked at again under the same lock that keeps it.
            let (again, replaced) = self.look(Some(cx.waker().clone()));
            drop(replaced);
            answer = again;
        }
        let answer = ready!(answer);
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll(cx, answer.is_ok()));
        }
        Poll::Ready(answer).map_err(|cause| cause.unwrap_or_else(|| self.outbox.refusal()))
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let removed = lock(&self.outbox.state).waiters.remove(key);
            drop(removed);
        }
    }
}
