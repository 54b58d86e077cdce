//! One direction in memory: a bounded queue between a writing and a reading side.
//!
//! A [`pipe`](crate::pipe) is a lane behind an outbox; a connection in memory is two lanes. Like a
//! socket's buffer in the kernel it takes what fits, says when there is room again, and remembers
//! how each side ended.

use std::task::{Context, Poll, Waker};

use crate::cause::Cause;
use crate::lock::lock;
use crate::queue::SendQueue;
use crate::seam::{Afterwards, Inlet};
use crate::sync::Mutex;
use crate::{Error, ErrorKind, Result};

/// Bytes on their way from one side to the other, at most `capacity` of them.
#[derive(Debug)]
pub struct Lane {
    state: Mutex<State>,
    capacity: usize,
    /// Why one side gave up; the other side's error.
    cause: Cause,
}

#[derive(Debug, Default)]
struct State {
    queue: SendQueue,
    ended: bool,
    reader_gone: bool,
    /// What stands in the end mark's place, once that is due.
    failure: Option<Error>,
    /// The reading task's: cloned before locking, woken and dropped after.
    reader: Option<Waker>,
    /// Our own: an outbox's, a connection's.
    writer: Option<Waker>,
    watcher: Option<Waker>,
}

impl Lane {
    /// An empty lane.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero: nothing could ever pass.
    pub fn new(capacity: usize, cause: Cause) -> Self {
        assert!(capacity > 0, "a pipe needs a capacity of at least one byte");
        Self { state: Mutex::default(), capacity, cause }
    }

    /// Why one side gave up, if it did.
    pub fn cause(&self) -> Option<&Error> {
        self.cause.get()
    }

    /// True when the writer has sent its end mark.
    pub fn has_ended(&self) -> bool {
        lock(&self.state).ended
    }

    /// True when nobody reads any more.
    pub fn is_reader_gone(&self) -> bool {
        lock(&self.state).reader_gone
    }

    /// Bytes that the reader has not taken yet.
    pub fn queued(&self) -> usize {
        lock(&self.state).queue.len()
    }

    /// Takes from the front of `queue` what fits. Ready when all of it did; the waker, which is
    /// one of ours, is kept until there is room again.
    ///
    /// # Errors
    ///
    /// When the reader is gone: its cause, or [`Reset`](ErrorKind::Reset).
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut Afterwards,
    ) -> Poll<Result<()>> {
        let mut state = lock(&self.state);
        if state.reader_gone {
            return Poll::Ready(Err(self.cause.get().cloned().unwrap_or_else(reader_gone)));
        }
        let room = self.capacity.saturating_sub(state.queue.len());
        queue.move_to(&mut state.queue, room, after);
        if !state.queue.is_empty() {
            state.wake_reader(after);
        }
        if queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Has the lane end in a failure instead of its end mark: the reader gets it behind everything
    /// that was sent before. False when he cannot be told any more.
    pub fn fail_at_end(&self, failure: &Error) -> bool {
        let failure = failure.clone();
        let mut state = lock(&self.state);
        let is_over = state.ended || state.reader_gone || self.cause.get().is_some();
        if is_over || state.failure.is_some() {
            return false;
        }
        state.failure = Some(failure);
        true
    }

    /// Sends the end mark, or the failure that was put in its place.
    ///
    /// # Errors
    ///
    /// The cause, if the reader gave up: what it left unread must not be signed off with a clean
    /// end.
    pub fn end(&self, after: &mut Afterwards) -> Result<()> {
        let mut state = lock(&self.state);
        if let Some(cause) = self.cause.get() {
            return Err(cause.clone());
        }
        match &state.failure {
            // A clone, because one that comes second is dropped here, under the lock.
            Some(failure) => drop(self.cause.record(failure.clone())),
            None => state.ended = true,
        }
        state.wake_reader(after);
        state.wake_watcher(after);
        Ok(())
    }

    /// The writer gives up, for a cause that the reader sees: what waits is dropped.
    pub fn abort(&self, cause: &Error, after: &mut Afterwards) {
        self.cause.record(cause.clone());
        let mut state = lock(&self.state);
        state.queue.clear(after);
        state.wake_reader(after);
        state.wake_watcher(after);
    }

    /// The writer is gone. Without its end mark, that is an error to the reader, who would wait
    /// for ever otherwise.
    pub fn writer_gone(&self, after: &mut Afterwards) {
        let mut state = lock(&self.state);
        if state.ended || state.reader_gone {
            return;
        }
        let lost = Error::new(ErrorKind::Reset, "pipe").with_detail("the writer is gone");
        self.cause.record(lost);
        state.wake_reader(after);
        state.wake_watcher(after);
    }

    /// Moves bytes into the inlet and counts them, zero being the end, or keeps the waker.
    ///
    /// # Errors
    ///
    /// Why the writer gave up, once what it sent before is read.
    pub fn poll_receive(&self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<usize>> {
        self.poll_receive_if(cx, inlet, &|| Ok(()))
    }

    /// The same, if `check` still allows it: it looks under the lock, and takes no other.
    ///
    /// # Errors
    ///
    /// What `check` says, and as [`poll_receive`](Self::poll_receive).
    pub fn poll_receive_if(
        &self,
        cx: &mut Context<'_>,
        inlet: &mut Inlet<'_>,
        check: &dyn Fn() -> Result<()>,
    ) -> Poll<Result<usize>> {
        let mut after = Afterwards::new();
        let (mut answer, _) = self.look(inlet, check, None, &mut after);
        if answer.is_pending() {
            // Cloned before locking, and looked at again under the same lock that keeps it.
            let (again, replaced) = self.look(inlet, check, Some(cx.waker().clone()), &mut after);
            drop(replaced);
            answer = again;
        }
        after.run();
        answer
    }

    /// One look under the lock; leaves the waker if there is nothing, and returns the one it
    /// replaced.
    fn look(
        &self,
        inlet: &mut Inlet<'_>,
        check: &dyn Fn() -> Result<()>,
        leave: Option<Waker>,
        after: &mut Afterwards,
    ) -> (Poll<Result<usize>>, Option<Waker>) {
        let mut state = lock(&self.state);
        if let Err(refusal) = check() {
            return (Poll::Ready(Err(refusal)), leave);
        }
        if !state.queue.is_empty() {
            let space = inlet.space();
            let count = space.len().min(state.queue.first().len());
            space[..count].copy_from_slice(&state.queue.first()[..count]);
            inlet.fill(count);
            state.queue.sent(count, after);
            state.wake_writer(after);
            return (Poll::Ready(Ok(count)), leave);
        }
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

    /// Nobody reads any more: what waits is dropped, and the writer is told why. The waker of an
    /// unfinished read comes back, to be dropped or woken once no lock is held.
    pub fn reader_gone(&self, cause: Option<&Error>, after: &mut Afterwards) -> Option<Waker> {
        let mut state = lock(&self.state);
        if state.reader_gone {
            return None;
        }
        state.reader_gone = true;
        let unread = || (!state.queue.is_empty()).then(reader_gone);
        if let (Some(cause), false) = (cause.cloned().or_else(unread), state.ended) {
            self.cause.record(cause);
        }
        state.queue.clear(after);
        state.wake_writer(after);
        state.wake_watcher(after);
        state.reader.take()
    }

    /// Keeps a waker of ours that is woken once either side ends or gives up.
    pub fn watch(&self, waker: &Waker) {
        let replaced = lock(&self.state).watcher.replace(waker.clone());
        drop(replaced);
    }

    /// Has whoever waits look again.
    pub fn wake(&self, after: &mut Afterwards) {
        let mut state = lock(&self.state);
        state.wake_reader(after);
        state.wake_writer(after);
        state.wake_watcher(after);
    }
}

impl State {
    fn wake_reader(&mut self, after: &mut Afterwards) {
        if let Some(reader) = self.reader.take() {
            after.wake(reader);
        }
    }

    fn wake_writer(&mut self, after: &mut Afterwards) {
        if let Some(writer) = self.writer.take() {
            after.wake(writer);
        }
    }

    fn wake_watcher(&mut self, after: &mut Afterwards) {
        if let Some(watcher) = self.watcher.take() {
            after.wake(watcher);
        }
    }
}

fn reader_gone() -> Error {
    Error::new(ErrorKind::Reset, "write").with_detail("the reader of this pipe is gone")
}
