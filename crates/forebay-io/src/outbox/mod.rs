//! The shared write side: a queue, the drain behind it, and the phase they are in.

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

/// A writer waits while this many bytes are queued: 64 KiB.
pub(crate) const HIGH_WATER_BYTES: usize = 64 * 1024;

/// Items that a pipe passes on in a turn; each is moved in memory, without a system call.
const PIPE_CALLS_MAX: u16 = 256;

/// What a channel writes into, shared with whoever flushes, finishes or closes it.
///
/// The channel, the socket and the worker each hold a handle, so the end-of-turn flush, the
/// background drain of a dropped writer and a close from anywhere all find it.
///
/// ```text
///   write ──► queue ──► advance(): Drain::poll_send ──► transport
///               │            ├─ queue empty and Finishing: Drain::poll_end
///               │            └─ share of the turn used up: on in the next turn
///   waiters: a number (sent, queued) or a phase
/// ```
///
/// Only [`advance`](Self::advance) and [`abort`](Self::abort) touch the drain, under the lock, and
/// with the outbox's own waker, which holds it weakly. Everybody else waits for a number or a
/// phase. No foreign waker is cloned, woken or dropped and no user value dropped under the lock.
pub struct Outbox {
    state: Mutex<State>,
    cause: Cause,
    turns: Arc<dyn Turns>,
    /// What the drain writes into, where that is another outbox.
    below: Option<Arc<Self>>,
    /// Wakes this outbox: advances it. Made once; holds it weakly, because the drain keeps a clone.
    own_waker: Waker,
    high_water: usize,
    /// Open and below the mark, as the last holder of the lock left it. A writer that sees it set
    /// composes its item without having locked; accepting looks again under the lock.
    has_room: AtomicBool,
    /// Another thread wants to abort. A thread that holds the lock to send stops behind the call
    /// it is in, and accepts nothing more, so that the two do not race for the lock.
    aborting: AtomicBool,
}

struct State {
    drain: Box<dyn Drain>,
    queue: SendQueue,
    phase: Phase,
    /// Bytes handed to the transport since the beginning.
    sent: u64,
    due: Due,
    /// Accepted bytes are on a thread's stage: see `stage.rs` for what must wait until they are
    /// here.
    staged: bool,
    /// Whether an end mark may follow.
    whole: Whole,
    share: Share,
    /// Its share went through a pipe on a thread without turns: the writer comes to where it gives
    /// way before it finds room again.
    pauses: bool,
    waiters: Waiters<Until>,
}

/// When the next flush is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Never,
    /// At the end of this turn.
    Turn,
    /// Even at the end of this task's poll.
    Poll,
}

/// What keeps an item from being accepted.
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
    /// An outbox in front of `drain`. Writers wait at 64 KiB.
    pub fn new(drain: Box<dyn Drain>, cause: Cause, turns: Arc<dyn Turns>) -> Arc<Self> {
        Self::make(drain, cause, turns, HIGH_WATER_BYTES, None, Share::default())
    }

    /// An outbox whose drain writes into another one, through [`Below`]. It has that one's turns, so
    /// that it is the upper one that is flushed at their end; and what it has sent is sent once the
    /// lower one has sent it as well.
    pub fn over(drain: Box<dyn Drain>, cause: Cause, below: Arc<Self>) -> Arc<Self> {
        let turns = Arc::clone(&below.turns);
        Self::make(drain, cause, turns, HIGH_WATER_BYTES, Some(below), Share::default())
    }

    /// An outbox in front of memory. It accepts only while it is empty, because what is behind it
    /// holds bytes enough.
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

    /// Bytes accepted and not yet handed to the transport.
    pub fn queued(&self) -> usize {
        self.queued_here() + self.below.as_ref().map_or(0, |below| below.queued())
    }

    /// Those of them that wait in this outbox, and in none below it.
    pub fn queued_here(&self) -> usize {
        stage::settle();
        lock(&self.state).queue.len()
    }

    /// True when an item may be composed: open and below the mark, as far as one can tell without
    /// the lock.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.has_room.load(Relaxed)
    }

    /// Notes, under the lock, what `has_room` says to those who do not lock.
    #[inline]
    fn note_room(&self, state: &State) {
        let room = state.phase == Phase::Open
            && !state.pauses
            && state.queue.len() < self.high_water
            && !state.whole.is_partial();
        if self.has_room.load(Relaxed) != room {
            self.has_room.store(room, Relaxed);
        }
    }

    /// Accepts one item whole, if the queue is below its mark. True: accepted. False: wait for
    /// [`Until::Room`] first.
    #[inline]
    pub(crate) fn try_accept(self: &Arc<Self>, flush: bool, item: impl Item) -> Result<bool> {
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

    /// Accepts one item for which room was waited for already. False only while bytes of this
    /// outbox are on another thread's stage: wait for [`Until::Room`] again then.
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

    /// Accepts a value of the caller's, as [`accept`](Self::accept) does, taking it from `bytes`.
    /// It is dropped outside the lock if it was copied.
    pub(crate) fn accept_bytes(self: &Arc<Self>, flush: bool, bytes: &mut Bytes) -> Result<bool> {
        let mut after = Afterwards::new();
        let accepted =
            self.accept_moved(flush, |queue| queue.push_bytes(std::mem::take(bytes), &mut after));
        after.run();
        accepted
    }

    /// Accepts a block with what arrived in it, as [`accept`](Self::accept) does, taking it.
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

    /// Why an item cannot be accepted now.
    #[inline]
    fn hindrance(&self, state: &State, needs_room: bool) -> Option<Hindrance> {
        if state.phase != Phase::Open || state.whole.is_partial() {
            return Some(Hindrance::ForGood);
        }
        self.is_in_the_way(state, needs_room).then_some(Hindrance::ForNow)
    }

    /// True when something has to be waited for before anything is accepted.
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

    /// Arranges one flush per turn, however many items the turn brings, and a stage for a burst.
    #[inline]
    fn flush_later(self: &Arc<Self>, mut state: MutexGuard<'_, State>, flush: bool) {
        self.note_room(&state);
        let due = flush && state.due == Due::Never && !state.queue.is_empty();
        if due {
            state.due = Due::Turn;
        }
        // A flush is due at the end of this turn, which is when a stage is settled at the latest.
        let burst = flush
            && stage::note_item(self)
            && !due
            && state.due != Due::Never
            && state.has_room_for_stage(self.high_water);
        state.staged = burst;
        let hurry = flush && state.due != Due::Poll && state.queue.len() > SMALL_BLOCK_BYTES;
        if hurry {
            state.due = Due::Poll;
        }
        drop(state);
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

    /// Takes what was staged behind the queue. What is staged has been accepted, so a channel that
    /// is finishing takes it as well.
    fn settle(self: &Arc<Self>, bytes: &[u8]) {
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        state.staged = false;
        if !state.phase.is_settled() {
            state.queue.push_slice(bytes);
        }
        state.release_waiters(self.high_water, self.turns.as_ref(), &mut after);
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

    /// Has this outbox advanced by the end of the turn, or at once where there is none.
    fn schedule(self: &Arc<Self>) {
        self.turns.defer(self);
    }

    /// Sends what can be sent in this turn, goes on to the end mark when that is due, and wakes the
    /// waiters for either. Ensures exclusive use of the drain.
    pub fn advance(&self) {
        stage::settle();
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        // Dropped without the lock: a cause of it that came second.
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

    /// An outbox over one that was given up is given up, too, unless its drain knows better.
    fn is_below_aborted(&self) -> bool {
        self.below.as_ref().is_some_and(|below| below.is_aborted())
    }

    fn is_aborted(&self) -> bool {
        lock(&self.state).phase == Phase::Aborted
    }

    /// Accepts no more items; the end mark follows what is queued, unless the last message is not
    /// whole: then the connection is reset. Idempotent.
    pub fn finish(&self) {
        stage::settle();
        let mut after = Afterwards::new();
        let mut state = lock(&self.state);
        self.begin_finishing(&mut state, &mut after);
        // Dropped without the lock: a cause of it that came second.
        let outcome = self.advance_locked(&mut state, Limit::Share, &mut after);
        drop(state);
        drop(outcome);
        after.run();
    }

    /// Finishes without an owner: whatever cannot be sent at once is seen off in the background.
    pub fn finish_unattended(self: &Arc<Self>) {
        self.finish();
        if !self.is_settled() {
            self.turns.linger(Arc::clone(self));
        }
    }

    /// Gives up: the queue is dropped, the transport reset, everybody who waits is told.
    pub fn abort(&self, cause: &Error) {
        let mut after = Afterwards::new();
        self.abort_with(cause, &mut after);
        after.run();
    }

    fn abort_with(&self, cause: &Error, after: &mut Afterwards) {
        // Seen by a thread that sends in between, perhaps a call later than this; nothing else hangs
        // on it, because what it forbids is forbidden for good below.
        self.aborting.store(true, Relaxed);
        let mut state = lock(&self.state);
        if state.phase.is_settled() {
            return;
        }
        // A clone is recorded: a cause that came second is a user's value, to be dropped unlocked.
        let first = self.cause.record(cause.clone());
        state.give_up(&first, after);
        state.release_waiters(self.high_water, self.turns.as_ref(), after);
        self.note_room(&state);
    }

    /// True when nothing more will happen: finished, or given up.
    pub fn is_settled(&self) -> bool {
        lock(&self.state).phase.is_settled()
    }

    /// True while nobody has finished or given up.
    pub fn is_open(&self) -> bool {
        lock(&self.state).phase == Phase::Open
    }

    /// True while accepted bytes are on another thread's stage.
    fn is_staged_elsewhere(&self) -> bool {
        stage::settle();
        lock(&self.state).staged
    }

    /// Sends everything accepted so far, and waits until it has been handed to the transport: through
    /// every outbox below this one.
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

    /// Why an outbox has not sent. What is told of one below is for the upper one's drain to say: it may
    /// know more, or know that nothing was lost.
    async fn why_not_sent(&self, failed: &Self, error: Error) -> Result<()> {
        if std::ptr::eq(self, failed) {
            return Err(error);
        }
        self.advance();
        self.wait(Until::Finished).await
    }

    /// Everything accepted so far, counted from the beginning: what a flush waits for.
    pub fn accepted(&self) -> u64 {
        stage::settle();
        let state = lock(&self.state);
        state.sent + state.queue.len() as u64
    }

    /// Bytes handed on since the beginning, by this outbox and those below it: grows whenever
    /// something moves.
    pub fn sent(&self) -> u64 {
        let here = lock(&self.state).sent;
        here.wrapping_add(self.below.as_ref().map_or(0, |below| below.sent()))
    }

    /// Why nothing is accepted any more.
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

    /// True when whatever fits a stage would stay below the mark.
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
