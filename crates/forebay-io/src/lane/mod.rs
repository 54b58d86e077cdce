//! One direction of a connection in memory: a bounded queue between a writing and a reading side.
//!
//! A [`pipe`](crate::pipe) is a lane behind an outbox; a connection in memory is two lanes. Like a socket
//! buffer in the kernel, a lane takes what fits, wakes the writer when there is room again, and remembers
//! how each side ended.

#[cfg(test)]
mod tests;

use std::task::{Context, Poll, Waker};

use crate::cause::Cause;
use crate::lock::lock;
use crate::queue::SendQueue;
use crate::seam::{Inlet, WakeList};
use crate::sync::Mutex;
use crate::turn::Share;
use crate::waiters::poll_look;
use crate::{Error, ErrorKind, Result};

/// The number of items that go past the sender's queue in one turn. Each is copied in memory.
const ITEMS_MAX: u16 = 256;

/// The bytes on their way from one side to the other, at most `capacity` of them.
#[derive(Debug)]
pub struct Lane {
    state: Mutex<State>,
    capacity: usize,
    /// The reason why one side gave up, which is the other side's error.
    cause: Cause,
}

#[derive(Debug, Default)]
struct State {
    queue: SendQueue,
    /// The sender has sent a part of its queue, and the rest comes next.
    has_more: bool,
    /// The number of bytes accepted past the sender's queue, which the sender has not counted yet.
    accepted: u64,
    /// The share of a turn in which items are accepted so.
    share: Share,
    ended: bool,
    /// The reader's end is dropped or closed.
    reader_gone: bool,
    /// The error delivered instead of the end mark, once `end` is called.
    failure: Option<Error>,
    /// The reading task's waker. It is foreign code: cloned before the lock is taken, woken and dropped
    /// after it is released.
    reader: Option<Waker>,
    /// The waker of an outbox or of a connection. It is not foreign, so it may be cloned under the lock.
    writer: Option<Waker>,
    /// The waker that `watch` leaves, of the same kind as `writer`.
    watcher: Option<Waker>,
}

impl Lane {
    /// Makes an empty lane.
    ///
    /// # Panics
    ///
    /// Panics if `capacity` is zero: no byte could ever pass.
    pub fn new(capacity: usize, cause: Cause) -> Self {
        assert!(capacity > 0, "a pipe needs a capacity of at least one byte");
        let state = State { share: Share::of_calls(ITEMS_MAX), ..State::default() };
        Self { state: Mutex::new(state), capacity, cause }
    }

    /// Returns the error with which one side gave up, if one did.
    pub fn cause(&self) -> Option<&Error> {
        self.cause.get()
    }

    /// Returns `true` if the writer has sent its end mark.
    pub fn has_ended(&self) -> bool {
        lock(&self.state).ended
    }

    /// Returns `true` if the reader is gone.
    pub(crate) fn is_reader_gone(&self) -> bool {
        lock(&self.state).reader_gone
    }

    /// Returns the number of bytes that the reader has not taken yet.
    pub fn queued(&self) -> usize {
        lock(&self.state).queue.len()
    }

    /// Returns the number of bytes that fit now.
    pub(crate) fn free_space(&self) -> usize {
        self.capacity.saturating_sub(self.queued())
    }

    /// Takes from the front of `queue` what fits. Ready once the queue is empty; until then the waker,
    /// which must be one of the library's own, is kept and woken when there is room.
    ///
    /// # Errors
    ///
    /// If the reader is gone: its cause, or [`Reset`](ErrorKind::Reset).
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        let mut state = lock(&self.state);
        if state.reader_gone {
            return Poll::Ready(Err(self.cause.get().cloned().unwrap_or_else(reader_gone)));
        }
        let room = self.capacity.saturating_sub(state.queue.len());
        queue.move_to(&mut state.queue, room, after);
        state.has_more = !queue.is_empty();
        if !state.queue.is_empty() {
            state.wake_reader(after);
        }
        if queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Accepts an item of `length` bytes past the sender's queue, if all of it fits: calls `put`. Returns `false`
    /// where a send would fail, where the sender's queue comes first, and once a turn's share is used up.
    pub(crate) fn accept(
        &self,
        length: usize,
        put: &mut dyn FnMut(&mut SendQueue),
        after: &mut WakeList,
    ) -> bool {
        let mut state = lock(&self.state);
        let fits = length <= self.capacity.saturating_sub(state.queue.len());
        let is_over = state.ended || state.reader_gone || self.cause.get().is_some();
        state.share.renew();
        if !fits || is_over || state.has_more || state.share.is_used_up() {
            return false;
        }
        state.share.take(length);
        put(&mut state.queue);
        state.accepted += length as u64;
        state.wake_reader(after);
        true
    }

    /// Returns the number of bytes accepted so since the last call.
    pub(crate) fn take_accepted(&self) -> u64 {
        std::mem::take(&mut lock(&self.state).accepted)
    }

    /// Makes the lane end with a failure instead of its end mark. The reader receives the failure behind
    /// everything that was sent before. Returns `false` if the lane has already ended or failed, so that
    /// the reader cannot be told any more.
    pub(crate) fn fail_at_end(&self, failure: &Error) -> bool {
        // Cloned before locking, so that a clone that is not needed is dropped after the lock is released.
        let failure = failure.clone();
        let mut state = lock(&self.state);
        let is_over = state.ended || state.reader_gone || self.cause.get().is_some();
        if is_over || state.failure.is_some() {
            return false;
        }
        state.failure = Some(failure);
        true
    }

    /// Sends the end mark, or the failure that replaces it.
    ///
    /// # Errors
    ///
    /// The cause, if the reader gave up: a clean end must not follow data that it left unread.
    pub fn end(&self, after: &mut WakeList) -> Result<()> {
        let mut state = lock(&self.state);
        if let Some(cause) = self.cause.get() {
            return Err(cause.clone());
        }
        match &state.failure {
            // Recording drops the argument if there is a cause already. Dropping a clone runs no user code,
            // so that is fine under the lock.
            Some(failure) => drop(self.cause.record(failure.clone())),
            None => state.ended = true,
        }
        state.wake_reader(after);
        state.wake_watcher(after);
        Ok(())
    }

    /// Gives up as the writer, with a cause that the reader gets at once. What waits is dropped.
    pub fn abort(&self, cause: &Error, after: &mut WakeList) {
        self.cause.record(cause.clone());
        let mut state = lock(&self.state);
        state.queue.clear(after);
        state.wake_reader(after);
        state.wake_watcher(after);
    }

    /// Marks the writer as gone. Without an end mark this is an error for the reader, which would wait
    /// forever otherwise.
    pub(crate) fn writer_gone(&self, after: &mut WakeList) {
        let mut state = lock(&self.state);
        if state.ended || state.reader_gone {
            return;
        }
        let lost = Error::new(ErrorKind::Reset, "pipe").with_detail("the writer is gone");
        self.cause.record(lost);
        state.wake_reader(after);
        state.wake_watcher(after);
    }

    /// Moves bytes into the inlet and returns their number, where zero is the end; or keeps the waker.
    ///
    /// # Errors
    ///
    /// The cause with which the writer gave up, once what it sent before has been read.
    pub fn poll_receive(&self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<usize>> {
        self.poll_receive_if(cx, inlet, &|| Ok(()))
    }

    /// Receives like [`poll_receive`](Self::poll_receive), provided that `check` succeeds. `check` runs
    /// under the lane's lock and must not take another lock.
    ///
    /// # Errors
    ///
    /// The error of `check`, and those of [`poll_receive`](Self::poll_receive).
    pub fn poll_receive_if(
        &self,
        cx: &mut Context<'_>,
        inlet: &mut Inlet<'_>,
        check: &dyn Fn() -> Result<()>,
    ) -> Poll<Result<usize>> {
        let mut after = WakeList::new();
        let answer = poll_look(cx, |leave| self.look(inlet, check, leave, &mut after));
        after.run();
        answer
    }

    /// Examines the state once under the lock. If nothing is there, leaves the waker and returns the one it
    /// replaced.
    fn look(
        &self,
        inlet: &mut Inlet<'_>,
        check: &dyn Fn() -> Result<()>,
        leave: Option<Waker>,
        after: &mut WakeList,
    ) -> (Poll<Result<usize>>, Option<Waker>) {
        let mut state = lock(&self.state);
        if let Err(refusal) = check() {
            return (Poll::Ready(Err(refusal)), leave);
        }
        // One piece at a time; the reader comes back for the rest.
        if !state.queue.is_empty() {
            let space = inlet.space();
            let count = space.len().min(state.queue.first().len());
            space[..count].copy_from_slice(&state.queue.first()[..count]);
            inlet.fill(count);
            state.queue.sent(count, after);
            state.wake_writer(after);
            return (Poll::Ready(Ok(count)), leave);
        }
        // Only behind the queue: what was sent before the writer gave up is read first.
        if let Some(cause) = self.cause.get() {
            return (Poll::Ready(Err(cause.clone())), leave);
        }
        if state.ended {
            return (Poll::Ready(Ok(0)), leave);
        }
        let replaced = match leave {
            Some(waker) => state.reader.replace(waker),
            None => None,
        };
        (Poll::Pending, replaced)
    }

    /// Marks the reader as gone: what waits is dropped, and the writer gets the cause. Returns the waker of
    /// an unfinished read, to be dropped or woken once no lock is held.
    pub fn reader_gone(&self, cause: Option<&Error>, after: &mut WakeList) -> Option<Waker> {
        let mut state = lock(&self.state);
        if state.reader_gone {
            return None;
        }
        state.reader_gone = true;
        // A reader that leaves bytes unread resets, as the kernel does with a socket's receive buffer.
        let unread = || (!state.queue.is_empty()).then(reader_gone);
        if let (Some(cause), false) = (cause.cloned().or_else(unread), state.ended) {
            self.cause.record(cause);
        }
        state.queue.clear(after);
        state.wake_writer(after);
        state.wake_watcher(after);
        state.reader.take()
    }

    /// Keeps a waker of the library's own, which is woken once either side ends or gives up.
    pub fn watch(&self, waker: &Waker) {
        let replaced = lock(&self.state).watcher.replace(waker.clone());
        drop(replaced);
    }

    /// Wakes all waiters, so that they examine the lane again.
    pub fn wake(&self, after: &mut WakeList) {
        let mut state = lock(&self.state);
        state.wake_reader(after);
        state.wake_writer(after);
        state.wake_watcher(after);
    }
}

impl State {
    fn wake_reader(&mut self, after: &mut WakeList) {
        if let Some(reader) = self.reader.take() {
            after.wake(reader);
        }
    }

    fn wake_writer(&mut self, after: &mut WakeList) {
        if let Some(writer) = self.writer.take() {
            after.wake(writer);
        }
    }

    fn wake_watcher(&mut self, after: &mut WakeList) {
        if let Some(watcher) = self.watcher.take() {
            after.wake(watcher);
        }
    }
}

fn reader_gone() -> Error {
    Error::new(ErrorKind::Reset, "write").with_detail("the reader of this pipe is gone")
}
