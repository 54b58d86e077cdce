//! Decides whether an end mark may follow what was accepted: half a message never gets one.
//!
//! A message is not whole in two cases. A slice above the item limit is accepted in pieces, and some of
//! them are missing. Or the channel was told to reset its connection unless it is finished
//! ([`abort_on_drop`](crate::ByteWriteChannel::abort_on_drop)), and it has not been finished. The outbox
//! records both, and not the channel, because most ends do not pass through the channel: closing the socket
//! or its selector, dropping the last handle, a limit on silence. In each of these cases an incomplete
//! message resets the connection.

use std::sync::Arc;

use super::drive::Limit;
use super::phase::Phase;
use super::{Hindrance, Outbox, State, stage};
use crate::lock::lock;
use crate::seam::Afterwards;
use crate::{Error, ErrorKind, Result};

/// The state that decides whether an end mark may be sent.
#[derive(Debug, Default)]
pub(super) struct Whole {
    partial: Option<Partial>,
    /// The channel must be finished by its writer, or the connection is reset.
    needs_finish: bool,
    /// An end was turned into a reset, because the message was not whole.
    was_cut: bool,
}

/// A slice that is accepted in pieces, of which the last is still missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partial {
    accepted: usize,
    of: usize,
}

/// One piece of a slice, with the number of bytes before it and in the whole slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) before: usize,
    pub(crate) of: usize,
}

impl Whole {
    /// Returns `true` while a slice is accepted only in part. No other item is accepted behind it.
    pub(super) fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    fn check_partial(&self, operation: &'static str) -> Result<()> {
        let Some(Partial { accepted, of }) = self.partial else { return Ok(()) };
        let kind = ErrorKind::Incomplete { accepted: accepted as u64, of: of as u64 };
        Err(Error::new(kind, operation))
    }

    /// Fails if an end mark would follow half a message.
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
    /// Accepts one piece of a slice above the item limit, if the queue is below its mark. `false`: wait for
    /// [`Until::Room`](super::Until::Room) first.
    pub(crate) fn try_accept_piece(
        self: &Arc<Self>,
        flush: bool,
        piece: Piece<'_>,
    ) -> Result<bool> {
        // Pieces are never staged: that more of them follow must be recorded together with the piece.
        stage::settle();
        let mut state = lock(&self.state);
        let expected = (piece.before > 0).then_some((piece.before, piece.of));
        let partial = state.whole.partial.map(|partial| (partial.accepted, partial.of));
        // Pieces must follow each other without a gap; a first piece finds no other slice under way.
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

    /// Fails if a slice was accepted in part and the rest of it will not come.
    pub(crate) fn check_whole(&self, operation: &'static str) -> Result<()> {
        lock(&self.state).whole.check_partial(operation)
    }

    /// Makes every end reset the connection until [`finish_by_writer`](Self::finish_by_writer) is called.
    pub(crate) fn require_finish(&self) {
        lock(&self.state).whole.needs_finish = true;
    }

    /// Moves that requirement to the outbox that lies on top from now on.
    pub(crate) fn hand_over_to(&self, upper: &Self) {
        if std::mem::take(&mut lock(&self.state).whole.needs_finish) {
            upper.require_finish();
        }
    }

    /// Finishes on behalf of the writer, which thereby declares that what it has written is a whole
    /// message.
    pub(crate) fn finish_by_writer(&self) {
        lock(&self.state).whole.needs_finish = false;
        self.finish();
    }

    /// Returns `true` if an end of this outbox was turned into a reset, because half a message would have
    /// got an end mark.
    pub fn was_cut(&self) -> bool {
        lock(&self.state).whole.was_cut
    }

    /// Ends in order if everything accepted was sent and the end mark can be sent at once; aborts with
    /// `cause` otherwise. Returns `true` if the outbox has ended in order.
    ///
    /// This is one step under the lock, so that nothing is accepted between the check and the end.
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
        // Dropped after unlocking: an error that is not the first one may hold a user's value.
        drop(outcome);
        after.run();
        has_ended
    }

    /// Stops accepting items. The end mark follows the queue, or the connection is reset if that would end
    /// half a message in order. Besides aborting, this is the only way out of [`Phase::Open`].
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
