//! Whether an end mark may follow what was accepted: half a message is never signed off.
//!
//! A message is not whole in two cases. A slice above the item limit is accepted in pieces, and some
//! are missing. Or the channel resets its connection unless it is finished
//! ([`abort_on_drop`](crate::ByteWriteChannel::abort_on_drop)), and it was not. The outbox keeps
//! both, and not the channel, because most ways to end do not go through the channel: closing the
//! socket or its selector, dropping the last handle, a limit on silence. Each of them resets the
//! connection then.

use std::sync::Arc;

use super::drive::Limit;
use super::phase::Phase;
use super::{Hindrance, Outbox, State, stage};
use crate::lock::lock;
use crate::seam::Afterwards;
use crate::{Error, ErrorKind, Result};

/// What is missing before an end mark may be sent.
#[derive(Debug, Default)]
pub(super) struct Whole {
    partial: Option<Partial>,
    /// The channel's `finish` comes first, or the connection is reset.
    needs_finish: bool,
    /// Ending was turned into a reset, because something was missing.
    was_cut: bool,
}

/// A slice that is accepted in pieces, the last of which has not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partial {
    accepted: usize,
    of: usize,
}

/// One piece of a slice: what came before it, and how much there is in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) before: usize,
    pub(crate) of: usize,
}

impl Whole {
    /// True while a slice was accepted in part: no other item is accepted behind it.
    pub(super) fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    fn check_partial(&self, operation: &'static str) -> Result<()> {
        let Some(Partial { accepted, of }) = self.partial else { return Ok(()) };
        let kind = ErrorKind::Incomplete { accepted: accepted as u64, of: of as u64 };
        Err(Error::new(kind, operation))
    }

    /// Fails when an end mark would sign off half a message.
    fn check(&self) -> Result<()> {
        self.check_partial("write")?;
        if self.needs_finish {
            return Err(Error::new(ErrorKind::Closed, "write").with_detail(
                "the channel was dropped or its connection closed before it was finished, and it \
                 aborts then (abort_on_drop)",
            ));
        }
        Ok(())
    }
}

impl Outbox {
    /// Accepts one piece of a slice above the item limit, if the queue is below its mark. True:
    /// accepted. False: wait for [`Until::Room`](super::Until::Room) first.
    pub(crate) fn try_accept_piece(
        self: &Arc<Self>,
        flush: bool,
        piece: Piece<'_>,
    ) -> Result<bool> {
        // Never staged: that another piece follows must be known when this one is.
        stage::settle();
        let mut state = lock(&self.state);
        let expected = (piece.before > 0).then_some((piece.before, piece.of));
        let partial = state.whole.partial.map(|partial| (partial.accepted, partial.of));
        if partial != expected || state.phase != Phase::Open {
            drop(state);
            return self.answer(Hindrance::ForGood);
        }
        if self.is_in_the_way(&state, true) {
            return Ok(false);
        }
        state.queue.push_slice(piece.bytes);
        let accepted = piece.before + piece.bytes.len();
        let is_last = accepted >= piece.of;
        state.whole.partial = (!is_last).then_some(Partial { accepted, of: piece.of });
        self.flush_later(state, flush);
        Ok(true)
    }

    /// Fails when a slice was accepted in part, and the rest of it will not come.
    pub(crate) fn check_whole(&self, operation: &'static str) -> Result<()> {
        lock(&self.state).whole.check_partial(operation)
    }

    /// Resets the connection, instead of ending it in order, unless
    /// [`finish_by_writer`](Self::finish_by_writer) was called before.
    pub(crate) fn require_finish(&self) {
        lock(&self.state).whole.needs_finish = true;
    }

    /// Hands that requirement over to the outbox that lies on top from now on.
    pub(crate) fn hand_over_to(&self, upper: &Self) {
        if std::mem::take(&mut lock(&self.state).whole.needs_finish) {
            upper.require_finish();
        }
    }

    /// Finishes, as the channel does: what it has written is a whole message by its own word.
    pub(crate) fn finish_by_writer(&self) {
        lock(&self.state).whole.needs_finish = false;
        self.finish();
    }

    /// True when ending this outbox was turned into a reset, because half a message would have been
    /// signed off.
    pub fn was_cut(&self) -> bool {
        lock(&self.state).whole.was_cut
    }

    /// Ends in order if everything accepted was sent and the end mark can be sent at once; gives up
    /// for `cause` otherwise. True when it has ended in order.
    ///
    /// One step under the lock, so that nothing can be accepted between the look and the end.
    pub fn end_or_abort(&self, cause: &Error) -> bool {
        stage::settle();
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        let mut outcome = Ok(());
        if state.queue.is_empty() && !state.staged {
            self.begin_finishing(&mut state, &mut after);
            outcome = self.advance_locked(&mut state, Limit::Share, &mut after);
        }
        if !state.phase.is_settled() {
            let first = self.cause.record(cause.clone());
            state.give_up(&first, &mut after);
            state.release_waiters(self.high_water, self.turns.as_ref(), &mut after);
            self.note_room(&state);
        }
        let has_ended = state.phase == Phase::Finished;
        drop(state);
        // Dropped without the lock: a cause of it that came second.
        drop(outcome);
        after.run();
        has_ended
    }

    /// No more items. The end mark follows what is queued, or the connection is reset where that
    /// would sign off half a message. The one way out of [`Phase::Open`] besides giving up.
    pub(super) fn begin_finishing(&self, state: &mut State, after: &mut Afterwards) {
        if state.phase != Phase::Open {
            return;
        }
        match state.whole.check() {
            Ok(()) => state.phase = Phase::Finishing,
            Err(error) => {
                state.whole.was_cut = true;
                let first = self.cause.record(error);
                state.give_up(&first, after);
            }
        }
    }
}
