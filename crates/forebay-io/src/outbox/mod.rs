//! The write side of a connection: a queue, the drain behind it, and the phase they are in.

mod below;
mod drive;
mod phase;
mod stage;
#[cfg(test)]
mod tests;
mod wait;
mod whole;

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use bytes::Bytes;

pub use self::below::{Below, Parcel};
use self::drive::Limit;
use self::phase::Phase;
pub use self::stage::{WorkerStage, end_poll};
use self::wait::Room;
pub use self::wait::Until;
pub(crate) use self::wait::WriterPace;
pub(crate) use self::whole::Piece;
use self::whole::Whole;
use crate::block::{BlockPart, SMALL_BLOCK_BYTES};
use crate::cause::Cause;
use crate::item::Item;
use crate::lock::lock;
use crate::queue::SendQueue;
use crate::seam::{Afterwards, Drain, Turns};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Mutex, MutexGuard};
use crate::turn::Share;
use crate::waiters::Waiters;
use crate::{Error, ErrorKind, Result};

/// A writer waits while at least this many bytes are queued: 64 KiB.
pub(crate) const HIGH_WATER_BYTES: usize = 64 * 1024;

/// The number of items that a pipe passes on in one turn. Each is moved in memory, without a system call.
const PIPE_CALLS_MAX: u16 = 256;

/// The write side of a channel, shared with the tasks that flush, finish or close it.
///
/// The channel, the socket and the worker each hold a handle, so that the flush at the end of a turn, the
/// background close of a dropped writer and a close from any task all reach it.
///
/// ```text
///   write ──► queue ──► advance(): Drain::poll_send ──► transport
///               │            ├─ queue empty and Finishing: Drain::poll_end
///               │            └─ share of the turn used up: continues in the next turn
///   waiters: for a number (sent, queued) or a phase
/// ```
///
/// Only [`advance`](Self::advance) and [`abort`](Self::abort) call the drain. They do so under the lock and
/// with the outbox's own waker, which holds the outbox weakly. All other code waits for a number or a
/// phase. No foreign waker is cloned, woken or dropped under the lock, and no user value is dropped under
/// it.
pub struct Outbox {
    state: Mutex<State>,
    cause: Cause,
    turns: Arc<dyn Turns>,
    /// The outbox that the drain writes into, if it writes into one.
    below: Option<Arc<Self>>,
    /// Schedules `advance` when it is woken. Made once; it holds the outbox weakly, because the drain keeps
    /// a clone of it.
    own_waker: Waker,
    high_water: usize,
    /// Open and below the high-water mark, as the last holder of the lock left it. A writer that reads
    /// `true` composes its item without locking; accepting the item checks again under the lock.
    has_room: AtomicBool,
    /// Set by a thread that wants to abort. A thread that is sending under the lock stops after its current
    /// call and accepts nothing more, so that the two do not compete for the lock.
    aborting: AtomicBool,
}

struct State {
    drain: Box<dyn Drain>,
    queue: SendQueue,
    phase: Phase,
    /// Bytes handed to the transport since the beginning.
    sent: u64,
    due: Due,
    /// Accepted bytes are on a thread's stage. `stage.rs` lists what must wait until they have joined the
    /// queue.
    staged: bool,
    /// Decides whether an end mark may follow.
    whole: Whole,
    share: Share,
    /// The outbox's share went through a pipe on a thread without turns. There is no free room until the
    /// writer has given way.
    pauses: bool,
    waiters: Waiters<Until>,
}

/// The time at which the next flush is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Never,
    /// At the end of this turn.
    Turn,
    /// At the end of the current task's poll, which is earlier.
    Poll,
}

/// A reason why an item is not accepted.
#[derive(Clone, Copy)]
enum Hindrance {
    /// The queue is full, another thread is about to abort, or bytes are on another thread's stage.
    ForNow,
    /// Nothing is accepted any more.
    ForGood,
}

/// The outbox's own waker.
struct Advance(Weak<Outbox>);

impl Wake for Advance {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(outbox) = self.0.upgrade() {
            outbox.schedule();
        }
    }
}

impl Outbox {
    /// Makes an outbox in front of `drain`. Writers wait at 64 KiB.
    pub fn new(drain: Box<dyn Drain>, cause: Cause, turns: Arc<dyn Turns>) -> Arc<Self> {
        Self::make(drain, cause, turns, HIGH_WATER_BYTES, None, Share::default())
    }

    /// Makes an outbox whose drain writes into another outbox, through [`Below`]. It uses the lower
    /// outbox's turns, so it is the upper one that is flushed when a turn ends. A flush of the upper outbox
    /// waits until the lower one has sent the bytes as well.
    pub fn over(drain: Box<dyn Drain>, cause: Cause, below: Arc<Self>) -> Arc<Self> {
        let turns = Arc::clone(&below.turns);
        Self::make(drain, cause, turns, HIGH_WATER_BYTES, Some(below), Share::default())
    }

    /// Makes an outbox in front of memory. It accepts an item only while it is empty, because the pipe
    /// behind it already holds enough bytes.
    pub(crate) fn of_pipe(drain: Box<dyn Drain>, cause: Cause, turns: Arc<dyn Turns>) -> Arc<Self> {
        Self::make(drain, cause, turns, 1, None, Share::of_calls(PIPE_CALLS_MAX))
    }

    fn make(
        drain: Box<dyn Drain>,
        cause: Cause,
        turns: Arc<dyn Turns>,
        high_water: usize,
        below: Option<Arc<Self>>,
        share: Share,
    ) -> Arc<Self> {
        Arc::new_cyclic(|weak| Self {
            state: Mutex::new(State {
                drain,
                queue: SendQueue::default(),
                phase: Phase::Open,
                sent: 0,
                due: Due::Never,
                staged: false,
                whole: Whole::default(),
                share,
                pauses: false,
                waiters: Waiters::default(),
            }),
            cause,
            turns,
            below,
            own_waker: Waker::from(Arc::new(Advance(weak.clone()))),
            high_water,
            has_room: AtomicBool::new(true),
            aborting: AtomicBool::new(false),
        })
    }

    /// Returns the number of bytes accepted and not yet handed to the transport.
    pub fn queued(&self) -> usize {
        self.queued_here() + self.below.as_ref().map_or(0, |below| below.queued())
    }

    /// Returns the number of those bytes that wait in this outbox, without the outboxes below it.
    pub fn queued_here(&self) -> usize {
        stage::settle();
        lock(&self.state).queue.len()
    }

    /// Returns `true` if an item may be composed: the outbox is open and below its mark, as far as this can
    /// be known without the lock.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        // Relaxed: a hint. Accepting decides under the lock.
        self.has_room.load(Relaxed)
    }

    /// Updates, under the lock, what `has_room` returns without it.
    #[inline]
    fn note_room(&self, state: &State) {
        let room = state.phase == Phase::Open
            && !state.pauses
            && state.queue.len() < self.high_water
            && !state.whole.is_partial();
        // Stored only when it changes, so that the cache line stays shared with the writers that read it.
        if self.has_room.load(Relaxed) != room {
            self.has_room.store(room, Relaxed);
        }
    }

    /// Accepts one whole item if the queue is below its mark. `false`: wait for [`Until::Room`] first.
    #[inline]
    pub(crate) fn try_accept(self: &Arc<Self>, flush: bool, item: impl Item) -> Result<bool> {
        // Without the lock: the stage was begun under it, and an end mark that another thread asks for
        // meanwhile waits for the stage.
        if flush && self.has_room() && stage::push(self, item) {
            return Ok(true);
        }
        stage::settle();
        let mut state = lock(&self.state);
        if let Some(hindrance) = self.hindrance(&state, true) {
            drop(state);
            return self.answer(hindrance);
        }
        item.put(&mut state.queue);
        self.flush_later(state, flush);
        Ok(true)
    }

    /// Accepts one item for which room was waited for already. `false` only while bytes of this outbox are
    /// on another thread's stage: wait for [`Until::Room`] again.
    #[inline]
    pub(crate) fn accept(self: &Arc<Self>, flush: bool, item: impl Item) -> Result<bool> {
        if flush && self.has_room() && stage::push(self, item) {
            return Ok(true);
        }
        stage::settle();
        let mut state = lock(&self.state);
        if let Some(hindrance) = self.hindrance(&state, false) {
            drop(state);
            return self.answer(hindrance);
        }
        item.put(&mut state.queue);
        self.flush_later(state, flush);
        Ok(true)
    }

    /// Accepts a value of the caller's as [`accept`](Self::accept) does, taking it from `bytes`. A value
    /// that was copied is dropped outside the lock.
    pub(crate) fn accept_bytes(self: &Arc<Self>, flush: bool, bytes: &mut Bytes) -> Result<bool> {
        let mut after = Afterwards::new();
        let accepted =
            self.accept_moved(flush, |queue| queue.push_bytes(std::mem::take(bytes), &mut after));
        after.run();
        accepted
    }

    /// Accepts a block with the bytes that arrived in it as [`accept`](Self::accept) does, taking it.
    pub(crate) fn accept_block(
        self: &Arc<Self>,
        flush: bool,
        part: &mut Option<BlockPart>,
    ) -> Result<bool> {
        self.accept_moved(flush, |queue| {
            if let Some(part) = part.take() {
                queue.push_block(part);
            }
        })
    }

    fn accept_moved(
        self: &Arc<Self>,
        flush: bool,
        put: impl FnOnce(&mut SendQueue),
    ) -> Result<bool> {
        stage::settle();
        let mut state = lock(&self.state);
        if let Some(hindrance) = self.hindrance(&state, false) {
            drop(state);
            return self.answer(hindrance);
        }
        put(&mut state.queue);
        self.flush_later(state, flush);
        Ok(true)
    }

    /// Returns the reason why an item cannot be accepted now, if there is one.
    #[inline]
    fn hindrance(&self, state: &State, needs_room: bool) -> Option<Hindrance> {
        if state.phase != Phase::Open || state.whole.is_partial() {
            return Some(Hindrance::ForGood);
        }
        self.is_in_the_way(state, needs_room).then_some(Hindrance::ForNow)
    }

    /// Returns `true` if something has to be waited for before an item is accepted.
    #[inline]
    fn is_in_the_way(&self, state: &State, needs_room: bool) -> bool {
        let full = needs_room && (state.pauses || state.queue.len() >= self.high_water);
        full || state.staged || self.aborting.load(Relaxed)
    }

    fn answer(&self, hindrance: Hindrance) -> Result<bool> {
        match hindrance {
            Hindrance::ForNow => Ok(false),
            Hindrance::ForGood => Err(self.refusal()),
        }
    }

    /// Schedules one flush per turn, however many items the turn brings, and starts a stage for a burst.
    #[inline]
    fn flush_later(self: &Arc<Self>, mut state: MutexGuard<'_, State>, flush: bool) {
        self.note_room(&state);
        let due = flush && state.due == Due::Never && !state.queue.is_empty();
        if due {
            state.due = Due::Turn;
        }
        // The stage is settled at the end of the task's poll at the latest, which is before the flush that
        // is due already.
        let burst = flush
            && stage::note_item(self)
            && !due
            && state.due != Due::Never
            && state.has_room_for_stage(self.high_water);
        state.staged = burst;
        // More than the small block that a queue begins with.
        let hurry = flush && state.due != Due::Poll && state.queue.len() > SMALL_BLOCK_BYTES;
        if hurry {
            state.due = Due::Poll;
        }
        drop(state);
        // Unlocked by now: without turns, `schedule` advances at once, which locks.
        if burst {
            stage::begin(self);
        }
        if due {
            self.schedule();
        }
        if hurry {
            self.turns.hurry(self);
        }
    }

    /// Appends the staged bytes to the queue. They have been accepted before, so a finishing outbox takes
    /// them too.
    fn settle(self: &Arc<Self>, bytes: &[u8]) {
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        state.staged = false;
        // After an abort nothing is sent any more: these bytes are dropped, as the queue was.
        if !state.phase.is_settled() {
            state.queue.push_slice(bytes);
        }
        state.release_waiters(self.high_water, self.turns.as_ref(), &mut after);
        // The end mark has waited for these bytes.
        let finishing = state.phase == Phase::Finishing;
        self.note_room(&state);
        let due = state.due == Due::Never && !state.queue.is_empty();
        if due {
            state.due = Due::Turn;
        }
        drop(state);
        after.run();
        if finishing {
            self.advance();
        } else if due {
            self.schedule();
        }
    }

    /// Schedules `advance` for the end of the turn, or runs it at once on a thread without turns.
    fn schedule(self: &Arc<Self>) {
        self.turns.defer(self);
    }

    /// Sends what this turn's share allows, sends the end mark if it is due, and wakes the waiters of
    /// either. The lock ensures exclusive use of the drain.
    pub fn advance(&self) {
        stage::settle();
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        // Dropped after unlocking: an error that is not the first one may hold a user's value.
        let outcome = self.advance_locked(&mut state, Limit::Share, &mut after);
        drop(state);
        drop(outcome);
        after.run();
    }

    fn advance_locked(
        &self,
        state: &mut State,
        limit: Limit,
        after: &mut Afterwards,
    ) -> Result<()> {
        state.due = Due::Never;
        let outcome = self.drive(state, limit, after);
        if let Err(error) = &outcome {
            let cause = self.cause.record(error.clone());
            state.give_up(&cause, after);
        }
        state.release_waiters(self.high_water, self.turns.as_ref(), after);
        self.note_room(state);
        outcome
    }

    /// Returns `true` if the outbox below has been aborted. This outbox is then aborted too, unless its
    /// drain knows that nothing was lost.
    fn is_below_aborted(&self) -> bool {
        self.below.as_ref().is_some_and(|below| below.is_aborted())
    }

    fn is_aborted(&self) -> bool {
        lock(&self.state).phase == Phase::Aborted
    }

    /// Accepts no more items. The end mark follows what is queued; if the last message is not whole, the
    /// connection is reset instead. Idempotent.
    pub fn finish(&self) {
        stage::settle();
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        self.begin_finishing(&mut state, &mut after);
        // Dropped after unlocking: an error that is not the first one may hold a user's value.
        let outcome = self.advance_locked(&mut state, Limit::Share, &mut after);
        drop(state);
        drop(outcome);
        after.run();
    }

    /// Finishes without an owner: what cannot be sent at once is sent in the background.
    pub fn finish_unattended(self: &Arc<Self>) {
        self.finish();
        if !self.is_settled() {
            self.turns.linger(Arc::clone(self));
        }
    }

    /// Aborts: drops the queue, resets the transport and wakes all waiters.
    pub fn abort(&self, cause: &Error) {
        let mut after = Afterwards::new();
        self.abort_with(cause, &mut after);
        after.run();
    }

    fn abort_with(&self, cause: &Error, after: &mut Afterwards) {
        // Relaxed: a thread that is sending sees this after its current call or one later. Nothing else
        // depends on it, because the phase that is set under the lock below forbids the same for good.
        self.aborting.store(true, Relaxed);
        let mut state = lock(&self.state);
        if state.phase.is_settled() {
            return;
        }
        // A clone is recorded: if there is a cause already, the argument is dropped here, and dropping a
        // clone runs no user code.
        let first = self.cause.record(cause.clone());
        state.give_up(&first, after);
        state.release_waiters(self.high_water, self.turns.as_ref(), after);
        self.note_room(&state);
    }

    /// Returns `true` once nothing more will happen: the outbox is finished or aborted.
    pub fn is_settled(&self) -> bool {
        lock(&self.state).phase.is_settled()
    }

    /// Returns `true` until the outbox is finished or aborted.
    pub fn is_open(&self) -> bool {
        lock(&self.state).phase == Phase::Open
    }

    /// Returns `true` while accepted bytes are on another thread's stage.
    fn is_staged_elsewhere(&self) -> bool {
        stage::settle();
        lock(&self.state).staged
    }

    /// Sends everything accepted so far, and waits until it has been handed to the transport, through every
    /// outbox below this one.
    ///
    /// # Errors
    ///
    /// The cause of an aborted outbox.
    ///
    /// # Cancel safety
    ///
    /// Resumes: sending goes on.
    pub async fn flush(&self) -> Result<()> {
        let mut next = Some(self);
        while let Some(outbox) = next {
            // Bytes on another thread's stage are not part of `accepted` yet.
            while outbox.is_staged_elsewhere() && outbox.is_open() {
                outbox.wait(Until::Room).await?;
            }
            let mark = outbox.accepted();
            outbox.advance();
            if let Err(error) = outbox.wait(Until::Sent(mark)).await {
                return self.why_not_sent(outbox, error).await;
            }
            next = outbox.below.as_deref();
        }
        Ok(())
    }

    /// Waits for the reason why an outbox has not sent. If the outbox below failed, the upper one's drain
    /// decides: it may know more, or know that nothing was lost.
    async fn why_not_sent(&self, failed: &Self, error: Error) -> Result<()> {
        if std::ptr::eq(self, failed) {
            return Err(error);
        }
        self.advance();
        // The drain finishes the outbox if nothing was lost, and aborts it otherwise.
        self.wait(Until::Finished).await
    }

    /// Returns the number of bytes accepted since the beginning. A flush waits until all of them are sent.
    pub fn accepted(&self) -> u64 {
        stage::settle();
        let state = lock(&self.state);
        state.sent + state.queue.len() as u64
    }

    /// Returns the number of bytes handed on since the beginning, by this outbox and those below it. It
    /// grows whenever something moves.
    pub fn sent(&self) -> u64 {
        let here = lock(&self.state).sent;
        here.wrapping_add(self.below.as_ref().map_or(0, |below| below.sent()))
    }

    /// Returns the error for an item that is not accepted any more.
    fn refusal(&self) -> Error {
        if let Err(incomplete) = self.check_whole("write") {
            return incomplete;
        }
        self.cause.get().cloned().unwrap_or_else(|| {
            Error::new(ErrorKind::Closed, "write").with_detail(if self.is_open() {
                "the selector was closed"
            } else {
                "the channel was finished or closed"
            })
        })
    }
}

impl State {
    fn give_up(&mut self, cause: &Error, after: &mut Afterwards) {
        self.phase = Phase::Aborted;
        self.queue.clear(after);
        self.drain.abort(cause, after);
    }

    /// Returns `true` if everything that fits a stage would stay below the mark.
    fn has_room_for_stage(&self, high_water: usize) -> bool {
        self.queue.len() < high_water.saturating_sub(stage::BYTES_MAX)
    }

    fn room(&self, high_water: usize, turns: &dyn Turns) -> Room {
        if self.queue.len() < high_water && !self.staged {
            Room::Free
        } else if turns.is_closing() {
            Room::Refused
        } else {
            Room::None
        }
    }

    fn release_waiters(&mut self, high_water: usize, turns: &dyn Turns, after: &mut Afterwards) {
        if self.waiters.is_empty() {
            return;
        }
        let room = self.room(high_water, turns);
        let Self { waiters, phase, sent, .. } = self;
        waiters.release(after, |until| until.holds(*phase, *sent, room, turns));
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Outbox")
            .field("phase", &state.phase)
            .field("queued", &state.queue.len())
            .finish_non_exhaustive()
    }
}
