//! Waiting for a number or a phase of an outbox.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::Outbox;
use super::phase::OutboxPhase;
use super::state::{HIGH_WATER_BYTES, State};
use super::until::{Room, Until};
use crate::lock::lock;
use crate::sync::atomic::Ordering::Relaxed;
use crate::turn::{Answers, Share};
use crate::waiters::{WaiterKey, poll_look};
use crate::{Error, Result};

/// Counts how much a writer hands over before it gives way to other tasks, and how often it is refused.
#[derive(Debug, Default)]
pub(crate) struct WriterPace {
    pub(crate) share: Share,
    pub(crate) answers: Answers,
    /// The outbox's number of accepted bytes when it was last counted here.
    pub(crate) counted: u64,
}

impl WriterPace {
    /// Updates the share with the number of bytes accepted since the beginning. That number can shrink,
    /// because an abort throws away what is queued.
    pub(crate) fn count(&mut self, accepted: u64) {
        let more = accepted.saturating_sub(self.counted);
        self.share.spend(usize::try_from(more).unwrap_or(usize::MAX));
        self.counted = accepted;
    }

    /// Gives way if this turn's share does not allow another full queue, or if a refusal has been returned
    /// a few times in a row.
    pub(crate) fn poll(&mut self, cx: &Context<'_>, has_room: bool) -> Poll<()> {
        if has_room {
            self.answers.restart();
            // A writer that finds room may fill the whole queue before it is asked again.
            self.share.poll_room(cx, HIGH_WATER_BYTES)
        } else {
            self.answers.poll_one(cx)
        }
    }
}

impl Outbox {
    /// Waits until the condition holds, and fails once it never will.
    ///
    /// # Errors
    ///
    /// The cause of an aborted outbox; `Closed` when waiting for room in a finished outbox, or in a full
    /// one whose worker is closing.
    ///
    /// # Cancel safety
    ///
    /// Releases: the waiter removes itself.
    pub fn wait(&self, until: Until) -> impl Future<Output = Result<()>> + Send + '_ {
        OutboxWait { outbox: self, until, key: None, pace: None }
    }

    /// Sends what waits, then waits for room for an item, giving way where `pace` says so.
    pub(crate) fn wait_for_room<'a>(
        &'a self,
        until: Until,
        pace: &'a mut WriterPace,
    ) -> impl Future<Output = Result<()>> + Send + 'a {
        pace.count(self.accepted());
        self.advance();
        OutboxWait { outbox: self, until, key: None, pace: Some(pace) }
    }

    fn check(&self, state: &State, until: Until) -> Poll<Looked> {
        let is_closing = || self.turns.refuses_waiting();
        let room = state.room(self.high_water(), is_closing);
        let for_room = matches!(until, Until::Room | Until::RoomForPiece);
        if for_room && state.phase == OutboxPhase::Open && self.aborting.load(Relaxed) {
            // The abort has not taken the lock yet. It will wake this wait. An answer now would make the
            // writer ask again and again.
            return Poll::Pending;
        }
        if until == Until::Room && state.whole.is_partial() {
            // A new item is refused for good behind one that was accepted in part.
            return Poll::Ready(Err(None));
        }
        if !until.holds(state.phase, state.sent, room, is_closing) {
            return Poll::Pending;
        }
        let came_true = match until {
            Until::Room | Until::RoomForPiece => {
                state.phase == OutboxPhase::Open && room == Room::Free
            }
            // What an abort has dropped is neither queued nor sent, so the numbers alone could seem to
            // match.
            Until::Sent(mark) | Until::SentOrClosing(mark) => {
                state.sent >= mark && state.phase != OutboxPhase::Aborted
            }
            Until::Finished => state.phase == OutboxPhase::Finished,
        };
        Poll::Ready(if came_true { Ok(()) } else { Err(self.cause.get().cloned()) })
    }
}

/// `Ok` if the condition holds; an error if it never will, with the cause if there is one.
type Looked = std::result::Result<(), Option<Error>>;

/// Not a `wait_in`, because every writing future contains this one: the closures of `wait_in`, which hold the
/// outbox and the condition again, would make all of them larger.
struct OutboxWait<'a> {
    outbox: &'a Outbox,
    until: Until,
    key: Option<WaiterKey>,
    /// Asked to give way before the answer is returned.
    pace: Option<&'a mut WriterPace>,
}

impl OutboxWait<'_> {
    /// Examines the condition once under the lock. If it does not hold yet and a waker is given, stores the
    /// waker. Returns the waker that was replaced or not needed, to be dropped after unlocking.
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

impl Future for OutboxWait<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let answer = ready!(poll_look(cx, |leave| self.look(leave)));
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll(cx, answer.is_ok()));
        }
        Poll::Ready(answer).map_err(|cause| cause.unwrap_or_else(|| self.outbox.refusal()))
    }
}

impl Drop for OutboxWait<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // The lock is released at the end of this statement, before the foreign waker is dropped.
            let removed = lock(&self.outbox.state).waiters.remove(key);
            drop(removed);
        }
    }
}
