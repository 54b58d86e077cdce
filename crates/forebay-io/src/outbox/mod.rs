//! The write side of a connection: a queue, the drain behind it, and the phase they are in.

mod accept;
mod below;
mod drive;
mod ends;
mod flush;
mod phase;
mod segments;
mod stage;
mod state;
#[cfg(test)]
mod tests;
mod tries;
mod until;
mod wait;
mod whole;

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

pub use self::below::{Below, Parcel};
use self::phase::OutboxPhase;
pub use self::stage::{WorkerStage, end_poll};
pub(crate) use self::state::HIGH_WATER_BYTES;
use self::state::State;
pub use self::until::Until;
pub(crate) use self::wait::WriterPace;
pub(crate) use self::whole::Piece;
use crate::cause::Cause;
use crate::lock::lock;
use crate::queue::SendQueue;
use crate::seam::{Drain, WakeList};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::turn::Share;
use crate::{Error, ErrorKind};

/// The number of items that a pipe passes on in one turn. Each is moved in memory, without a system call.
const PIPE_CALLS_MAX: u16 = 256;

/// The mark of a pipe's outbox, which accepts an item only while it is empty.
const PIPE_HIGH_WATER_BYTES: usize = 1;

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
/// Only two functions call the drain, both under the lock: `drive` (`outbox/drive.rs`), with the outbox's own
/// waker, which holds the outbox weakly, and `give_up` (`outbox/state.rs`). Other calls change the phase, or
/// wait for a number or a phase. No foreign waker is cloned, woken or dropped under the lock, and no user value is dropped under
/// it.
#[repr(C)]
pub struct Outbox {
    turns: Arc<dyn FlushSchedule>,
    /// The number of queued bytes at which a writer waits. It may change.
    high_water: AtomicUsize,
    /// Open and below the high-water mark, as the last holder of the lock left it. A writer that reads
    /// `true` composes its item without locking; accepting the item checks again under the lock.
    has_room: AtomicBool,
    /// Set by a thread that wants to abort. A thread that is sending under the lock stops after its current
    /// call and accepts nothing more, so that the two do not compete for the lock.
    aborting: AtomicBool,
    /// The outbox that the drain writes into, if it writes into one.
    below: Option<Arc<Self>>,
    // In the middle: the part of it that each write needs stands beside the fields above.
    state: Mutex<State>,
    /// Schedules `advance` when it is woken. Made once; it holds the outbox weakly, because the drain keeps
    /// a clone of it.
    own_waker: Waker,
    cause: Cause,
}

/// The turns of a worker, as an [`Outbox`] uses them.
///
/// A channel without turns (a [`pipe`](crate::pipe)) is flushed in the call that writes.
pub trait FlushSchedule: Send + Sync {
    /// Flushes the outbox at the end of this turn, or at once where there is no turn.
    fn defer(&self, outbox: &Arc<Outbox>);

    /// Defers like [`defer`](Self::defer), for a writing call, which holds no lock: it may flush what others
    /// have deferred, if that is much already.
    fn defer_in_call(&self, outbox: &Arc<Outbox>) {
        self.defer(outbox);
    }

    /// Flushes a deferred outbox earlier, when the task's poll ends, because it holds more than a small
    /// block. Otherwise every connection of the turn could fill large blocks; this way one block is used
    /// again and again while it is in the cache. This is a hint: doing nothing is correct.
    fn hurry(&self, outbox: &Arc<Outbox>) {
        let _ = outbox;
    }

    /// Returns `true` if no writer may wait for room any more, because the outbox's driver is closing. The
    /// outbox's own waker is woken when this becomes true.
    fn refuses_waiting(&self) -> bool {
        false
    }

    /// Wakes `waker`, which is the outbox's own, soon and on a thread that has turns. Called under the
    /// outbox's lock, on a thread without turns, when the outbox has used up its share and more waits.
    /// Returns `false` if there is no such thread (a pipe); the outbox then goes on at once.
    fn wake_in_turn(&self, waker: &Waker) -> bool {
        let _ = waker;
        false
    }

    /// Accepts an item of `length` bytes without the outbox, if that leads to memory in which the item has room: calls
    /// `put` with the queue there. Returns `false` if the item must go the usual way.
    ///
    /// Called without the outbox's lock, after its `has_room` was read. What another thread has
    /// accepted since may be in the outbox's queue, but no part of it may be sent already.
    fn accept_directly(&self, _length: usize, _put: &mut dyn FnMut(&mut SendQueue)) -> bool {
        false
    }

    /// Returns the number of bytes that were accepted so since the last call. Called under the outbox's lock.
    fn take_direct_count(&self) -> u64 {
        0
    }

    /// Keeps an outbox without an owner alive until it is finished, within a deadline.
    fn finish_in_background(self: Arc<Self>, outbox: Arc<Outbox>);
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
    pub fn new(drain: Box<dyn Drain>, cause: Cause, turns: Arc<dyn FlushSchedule>) -> Arc<Self> {
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
    pub(crate) fn of_pipe(
        drain: Box<dyn Drain>,
        cause: Cause,
        turns: Arc<dyn FlushSchedule>,
    ) -> Arc<Self> {
        Self::make(
            drain,
            cause,
            turns,
            PIPE_HIGH_WATER_BYTES,
            None,
            Share::of_calls(PIPE_CALLS_MAX),
        )
    }

    fn make(
        drain: Box<dyn Drain>,
        cause: Cause,
        turns: Arc<dyn FlushSchedule>,
        high_water: usize,
        below: Option<Arc<Self>>,
        share: Share,
    ) -> Arc<Self> {
        Arc::new_cyclic(|weak| Self {
            state: Mutex::new(State::new(drain, share)),
            cause,
            turns,
            below,
            own_waker: Waker::from(Arc::new(Advance(weak.clone()))),
            high_water: AtomicUsize::new(high_water),
            has_room: AtomicBool::new(true),
            aborting: AtomicBool::new(false),
        })
    }

    /// Returns the number of queued bytes at which a writer waits.
    #[inline]
    pub(crate) fn high_water(&self) -> usize {
        // Relaxed: it is read under the lock where it decides, and written under it.
        self.high_water.load(Relaxed)
    }

    /// Returns `true` in front of a pipe.
    #[inline]
    fn leads_to_memory(&self) -> bool {
        self.high_water() == PIPE_HIGH_WATER_BYTES
    }

    /// Sets the number of queued bytes at which a writer waits. In front of a pipe nothing changes: what may wait
    /// there is the pipe's capacity.
    pub(crate) fn set_high_water(&self, bytes: usize) {
        if self.leads_to_memory() {
            return;
        }
        stage::settle();
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        self.high_water.store(bytes.max(PIPE_HIGH_WATER_BYTES + 1), Relaxed);
        self.release_waiters(&mut state, &mut after);
        self.publish_room(&state);
        drop(state);
        after.run();
    }

    /// Updates, under the lock, what `has_room` returns without it.
    #[inline]
    fn publish_room(&self, state: &State) {
        let room = state.phase == OutboxPhase::Open
            && !state.pauses
            && state.queue.len() < self.high_water()
            && !state.whole.is_partial();
        // Stored only when it changes, so that the cache line stays shared with the writers that read it.
        if self.has_room.load(Relaxed) != room {
            self.has_room.store(room, Relaxed);
        }
    }

    #[inline]
    fn release_waiters(&self, state: &mut State, after: &mut WakeList) {
        if !state.waiters.is_empty() {
            self.release_some_waiters(state, after);
        }
    }

    #[cold]
    fn release_some_waiters(&self, state: &mut State, after: &mut WakeList) {
        state.release_waiters(self.high_water(), || self.turns.refuses_waiting(), after);
    }

    /// Returns `true` if the outbox below has been aborted. This outbox is then aborted too, unless its
    /// drain knows that nothing was lost.
    fn is_below_aborted(&self) -> bool {
        self.below.as_ref().is_some_and(|below| below.is_aborted())
    }

    fn is_aborted(&self) -> bool {
        lock(&self.state).phase == OutboxPhase::Aborted
    }

    /// Returns `true` once nothing more will happen: the outbox is finished or aborted.
    pub fn is_settled(&self) -> bool {
        lock(&self.state).phase.is_settled()
    }

    /// Returns `true` if accepted bytes were dropped by an abort, here or in an outbox below.
    pub fn has_dropped(&self) -> bool {
        let here = lock(&self.state).dropped;
        here || self.below.as_ref().is_some_and(|below| below.has_dropped())
    }

    /// Returns `true` until the outbox is finished or aborted.
    pub fn is_open(&self) -> bool {
        lock(&self.state).phase == OutboxPhase::Open
    }

    /// Returns the error for an item that is not accepted any more.
    fn refusal(&self) -> Error {
        if let Err(incomplete) = self.check_whole("write") {
            return incomplete;
        }
        self.cause.get().cloned().unwrap_or_else(|| {
            let detail = if self.is_open() {
                "the selector was closed"
            } else {
                "the channel was finished or closed"
            };
            self.named(Error::new(ErrorKind::Closed, "write").with_detail(detail))
        })
    }

    /// Adds the peer's address to an error that has none. Must not be called under the lock.
    pub(crate) fn named(&self, error: Error) -> Error {
        error.or_address(|| lock(&self.state).drain.peer())
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
