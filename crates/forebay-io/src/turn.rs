//! The turns of the worker that this thread drives, and the share of a turn that one object has.
//!
//! A worker polls its tasks in turns, and looks at its timers and its poll only between two of
//! them. So a call that could go on forever without waiting (a reader of a fast peer, a writer to
//! one, an outbox that sends a large value) stops after its [`Share`] and goes on in the next turn;
//! and a call that answers at once, again and again, gives way after a few [`Answers`].
//!
//! A thread that drives no worker has no turns. There the call wakes its own task and lets the
//! executor decide.

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
/// Answers in a row that a call may give at once.
const ANSWERS_MAX: u8 = 2;

// Three, and not one with three fields: those that need no destructor are reached without a look at
// whether it is registered, and they are reached by every call.
thread_local! {
    /// The turn this thread is in, counted from one; zero where there are no turns.
    static TURN: Cell<u64> = const { Cell::new(0) };
}
thread_local! {
    /// Of calls that have no object to keep them, in this poll of a task.
    static ANSWERS: Cell<Answers> = const { Cell::new(Answers(0)) };
}
thread_local! {
    /// Woken when the turn ends.
    static NEXT: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Returns the turn this thread is in, if it has turns.
#[inline]
pub fn turn() -> Option<NonZeroU64> {
    TURN.try_with(Cell::get).ok().and_then(NonZeroU64::new)
}

/// Wakes the task in the next turn; at once on a thread without turns.
pub fn wake_next_turn(waker: &Waker) {
    let waker = waker.clone();
    if turn().is_none() {
        return waker.wake();
    }
    NEXT.with(|next| next.borrow_mut().push(waker));
}

/// Gives way when this poll of a task has had a few answers at once already: for calls that have no
/// object to count them, as [`Answers`] does for those that have.
pub fn poll_answer(cx: &Context<'_>) -> Poll<()> {
    let given = ANSWERS.try_with(|kept| {
        let mut answers = kept.take();
        let given = answers.poll_one(cx);
        kept.set(answers);
        given
    });
    // Without the thread's locals (its end has begun) nothing is counted.
    given.unwrap_or(Poll::Ready(()))
}

/// Awaits a future whose output may be lost if it is dropped, and gives way behind it when it was
/// one of a few in a row that did not have to wait.
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

/// The poll of a task is over: the next one counts its answers anew.
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

    /// True when the next turn is waited for, so that the driver must not sleep before it.
    pub fn is_next_due() -> bool {
        NEXT.with(|next| !next.borrow().is_empty())
    }

    /// Ends the turn and begins the next: takes out what is to be woken in it.
    pub fn end_turn() -> Vec<Waker> {
        TURN.with(|turn| turn.set(turn.get() + 1));
        NEXT.with(RefCell::take)
    }
}

impl Drop for ThreadTurns {
    fn drop(&mut self) {
        TURN.with(|turn| turn.set(0));
        let left = NEXT.with(RefCell::take);
        // A driver hands them on before; a wake-up is not lost in any case.
        left.into_iter().for_each(Waker::wake);
    }
}

/// The share of a turn that one object has, in calls and in bytes.
///
/// On a thread without turns a used-up share is renewed by giving way once.
#[derive(Debug)]
pub struct Share {
    /// The turn it is a share of; nothing where there are no turns.
    turn: Option<NonZeroU64>,
    bytes_left: u32,
    calls_left: u16,
    calls_max: u16,
}

impl Default for Share {
    /// A connection's: 16 calls, or 256 KiB.
    fn default() -> Self {
        Self::of_calls(CALLS_MAX)
    }
}

impl Share {
    /// A share of so many calls, or 256 KiB.
    pub const fn of_calls(calls_max: u16) -> Self {
        Self { turn: None, bytes_left: BYTES_MAX, calls_left: calls_max, calls_max }
    }

    /// True when nothing is left of it.
    #[inline]
    pub fn is_used_up(&self) -> bool {
        self.calls_left == 0 || self.bytes_left == 0
    }

    /// The bytes that are left.
    pub fn bytes_left(&self) -> usize {
        self.bytes_left as usize
    }

    /// Renews it where another turn has begun since it was used. On a thread without turns a used-up
    /// one is renewed by asking.
    #[inline]
    pub fn renew(&mut self) {
        let now = turn();
        if now != self.turn || (now.is_none() && self.is_used_up()) {
            *self = Self { turn: now, ..Self::of_calls(self.calls_max) };
        }
    }

    /// Gives way to the next turn once this one's share is used up.
    pub fn poll_left(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.poll_room(cx, 1)
    }

    /// Gives way to the next turn unless a call, and so many bytes, are left of this one's share.
    pub fn poll_room(&mut self, cx: &Context<'_>, bytes: usize) -> Poll<()> {
        if self.has_room(bytes) {
            return Poll::Ready(());
        }
        wake_next_turn(cx.waker());
        Poll::Pending
    }

    /// False when the caller is to give way before a call of so many bytes.
    pub fn has_room(&mut self, bytes: usize) -> bool {
        if self.calls_left > 0 && self.bytes_left() >= bytes {
            return true;
        }
        let (had_turns, now) = (self.turn.is_some(), turn());
        let is_new = now.is_none() || now != self.turn;
        if is_new {
            *self = Self { turn: now, ..Self::of_calls(self.calls_max) };
        }
        is_new && had_turns
    }

    /// One call, which moved so many bytes.
    #[inline]
    pub fn spend(&mut self, bytes: usize) {
        let now = turn();
        if now != self.turn && now.is_some() {
            *self = Self { turn: now, ..Self::of_calls(self.calls_max) };
        }
        self.take(bytes);
    }

    /// One call of a share that was [renewed](Self::renew) for it.
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) {
        self.calls_left = self.calls_left.saturating_sub(1);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
    }
}

/// Counts answers that a call gave without having waited and without anything having moved: at an
/// end, with an error that lasts, about nothing. A loop that ignores them would keep its thread to
/// itself, so every third gives way first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answers(u8);

impl Answers {
    /// Ready when the answer may be given, and counts it; if not, the task is woken in the next
    /// turn, or at once on a thread without turns.
    pub fn poll_one(&mut self, cx: &Context<'_>) -> Poll<()> {
        ready!(self.poll_more(cx));
        self.count();
        Poll::Ready(())
    }

    /// Ready when one more answer may be given: for a call whose answer could be lost once it is
    /// known.
    pub fn poll_more(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.0 < ANSWERS_MAX {
            return Poll::Ready(());
        }
        self.0 = 0;
        wake_next_turn(cx.waker());
        Poll::Pending
    }

    /// Such an answer is given.
    pub fn count(&mut self) {
        self.0 = self.0.saturating_add(1);
    }

    /// Something else has happened in between.
    #[inline]
    pub fn restart(&mut self) {
        self.0 = 0;
    }
}
