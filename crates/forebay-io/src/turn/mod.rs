//! The turns of a worker's thread, and the share that one object may use of a turn.
//!
//! A worker polls its tasks in turns, and looks at its timers and its poll only between two turns. Some
//! calls could go on forever without waiting: a reader of a fast peer, a writer to one, an outbox that
//! sends a large value. Such a call stops after its [`Share`] and continues in the next turn. A call that
//! returns at once, again and again, gives way after a few [`Answers`].
//!
//! A thread that drives no worker has no turns. There the call wakes its own task and returns `Pending`, so
//! that the executor decides what runs next.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::num::NonZeroU64;
use std::task::{Context, Poll, Waker, ready};

use crate::sync::thread_local;

/// Receives, or sends, of one connection in a turn.
const CALLS_MAX: u16 = 16;
/// Bytes that one connection receives, or sends, in a turn.
const BYTES_MAX: u32 = 256 * 1024;
/// The number of answers in a row that a call may give without waiting.
const ANSWERS_MAX: u8 = 2;

// Three thread-locals, and not one with three fields: every call reads the first two, and a thread-local
// without a destructor is reached without a check whether the destructor is registered.
thread_local! {
    /// The turn that this thread is in, counted from one; zero on a thread without turns.
    static TURN: Cell<u64> = const { Cell::new(0) };
}
thread_local! {
    /// The answers, in this poll of a task, of calls that have no object to count them.
    static ANSWERS: Cell<Answers> = const { Cell::new(Answers(0)) };
}
thread_local! {
    /// The wakers to wake when the turn ends.
    static NEXT: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Returns the turn that this thread is in, if it has turns.
#[inline]
pub fn turn() -> Option<NonZeroU64> {
    TURN.try_with(Cell::get).ok().and_then(NonZeroU64::new)
}

/// Wakes the task in the next turn, or at once on a thread without turns.
pub fn wake_next_turn(waker: &Waker) {
    // Cloned and woken outside the borrow of the thread-local: a waker is foreign code.
    let waker = waker.clone();
    if turn().is_none() {
        return waker.wake();
    }
    NEXT.with(|next| next.borrow_mut().push(waker));
}

/// Gives way if a few calls in this poll of the task have already answered without waiting. For calls that
/// have no object to count them; the others use [`Answers`].
pub fn poll_answer(cx: &Context<'_>) -> Poll<()> {
    let given = ANSWERS.try_with(|kept| {
        let mut answers = kept.take();
        let given = answers.poll_one(cx);
        kept.set(answers);
        given
    });
    // While the thread ends its thread-locals are gone, and nothing is counted.
    given.unwrap_or(Poll::Ready(()))
}

/// Awaits a future whose output must not be lost. Gives way afterwards if the future did not wait and was
/// one of a few in a row that did not.
pub async fn giving_way<F: Future>(future: F) -> F::Output {
    let mut waited = false;
    let mut future = std::pin::pin!(future);
    let output = std::future::poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        waited |= polled.is_pending();
        polled
    })
    .await;
    if !waited {
        std::future::poll_fn(|cx| poll_answer(cx)).await;
    }
    output
}

/// Ends the poll of a task: the next poll counts its answers from zero.
#[inline]
pub(crate) fn end_poll() {
    ANSWERS.with(|answers| answers.set(Answers(0)));
}

/// Gives this thread turns until the guard drops.
#[derive(Debug)]
pub struct ThreadTurns(());

impl ThreadTurns {
    /// Begins the first turn.
    pub fn enter() -> Self {
        TURN.with(|turn| turn.set(1));
        Self(())
    }

    /// Returns `true` if a task waits for the next turn, so that the driver must not sleep before it.
    pub fn is_next_due() -> bool {
        NEXT.with(|next| !next.borrow().is_empty())
    }

    /// Ends the turn and begins the next, returning the wakers to wake in it.
    pub fn end_turn() -> Vec<Waker> {
        TURN.with(|turn| turn.set(turn.get() + 1));
        // The driver wakes them, outside the borrow of the thread-local.
        NEXT.with(RefCell::take)
    }
}

impl Drop for ThreadTurns {
    fn drop(&mut self) {
        TURN.with(|turn| turn.set(0));
        let left = NEXT.with(RefCell::take);
        // A driver has taken them before. Should it not have, no wake-up is lost.
        left.into_iter().for_each(Waker::wake);
    }
}

/// The share of a turn that one object may use, in calls and in bytes.
///
/// On a thread without turns a used-up share is renewed by giving way once.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// The turn that this is a share of; `None` on a thread without turns.
    turn: Option<NonZeroU64>,
    bytes_left: u32,
    calls_left: u16,
    calls_max: u16,
}

impl Default for Share {
    /// The share of a connection: 16 calls, or 256 KiB.
    fn default() -> Self {
        Self::of_calls(CALLS_MAX)
    }
}

impl Share {
    /// Makes a share of `calls_max` calls, or 256 KiB.
    pub const fn of_calls(calls_max: u16) -> Self {
        Self { turn: None, bytes_left: BYTES_MAX, calls_left: calls_max, calls_max }
    }

    /// Returns `true` if nothing is left.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.calls_left == 0 || self.bytes_left == 0
    }

    /// Returns the number of bytes that are left.
    pub(crate) fn bytes_left(&self) -> usize {
        self.bytes_left as usize
    }

    /// Returns `true` if something is left, and this is a share of the present turn.
    #[inline]
    pub fn is_left(&self) -> bool {
        !self.is_used_up() && self.turn == turn()
    }

    /// Renews the share if another turn has begun since it was used. On a thread without turns, a used-up
    /// share is renewed by this call.
    #[inline]
    pub fn renew(&mut self) {
        let now = turn();
        if now != self.turn || (now.is_none() && self.is_used_up()) {
            *self = Self { turn: now, ..Self::of_calls(self.calls_max) };
        }
    }

    /// Gives way to the next turn if this turn's share is used up.
    pub fn poll_left(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.poll_room(cx, 1)
    }

    /// Gives way to the next turn unless one call and `bytes` bytes are left of this turn's share.
    pub(crate) fn poll_room(&mut self, cx: &Context<'_>, bytes: usize) -> Poll<()> {
        if self.has_room(bytes) {
            return Poll::Ready(());
        }
        wake_next_turn(cx.waker());
        Poll::Pending
    }

    /// Returns `false` if the caller must give way before a call that moves `bytes` bytes.
    pub fn has_room(&mut self, bytes: usize) -> bool {
        if self.calls_left > 0 && self.bytes_left() >= bytes {
            return true;
        }
        let (had_turns, now) = (self.turn.is_some(), turn());
        let is_new = now.is_none() || now != self.turn;
        if is_new {
            *self = Self { turn: now, ..Self::of_calls(self.calls_max) };
        }
        // A share that was last used without turns gives way once; the next call finds it renewed. If
        // another turn has begun since, there is room at once.
        is_new && had_turns
    }

    /// Counts one call, which moved `bytes` bytes.
    #[inline]
    pub fn spend(&mut self, bytes: usize) {
        let now = turn();
        // Without turns a used-up share stays so until the caller has given way (see `has_room`).
        if now != self.turn && now.is_some() {
            *self = Self { turn: now, ..Self::of_calls(self.calls_max) };
        }
        self.take(bytes);
    }

    /// Counts one call of a share that was [renewed](Self::renew) for it.
    #[inline]
    pub fn take(&mut self, bytes: usize) {
        self.calls_left = self.calls_left.saturating_sub(1);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
    }
}

/// Counts the answers of a call that neither waited nor moved anything: an end, a lasting error, a request
/// for nothing. A loop that ignores such answers would keep its thread busy forever, so every third one
/// gives way first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answers(u8);

impl Answers {
    /// Returns `Ready` if the answer may be given, and counts it. Otherwise the task is woken in the next
    /// turn, or at once on a thread without turns.
    pub(crate) fn poll_one(&mut self, cx: &Context<'_>) -> Poll<()> {
        ready!(self.poll_more(cx));
        self.count();
        Poll::Ready(())
    }

    /// Returns `Ready` if one more answer may be given, without counting it. For a call that asks before it
    /// knows its answer, because an answer it already has could be lost.
    pub fn poll_more(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.0 < ANSWERS_MAX {
            return Poll::Ready(());
        }
        self.0 = 0;
        wake_next_turn(cx.waker());
        Poll::Pending
    }

    /// Counts an answer.
    pub fn count(&mut self) {
        self.0 = self.0.saturating_add(1);
    }

    /// Resets the count, because something else has happened in between.
    #[inline]
    pub fn restart(&mut self) {
        self.0 = 0;
    }
}
