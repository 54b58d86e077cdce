//! Channels in memory.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::cause::Cause;
use crate::lock::lock;
use crate::outbox::Outbox;
use crate::queue::SendQueue;
use crate::seam::{Afterwards, Drain, Filled, Inlet, Source, Turns};
use crate::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result};

/// Makes a channel in memory: what is written to the second comes out of the first.
///
/// Between them wait at most `capacity` bytes and one item more; a writer waits beyond that. Every
/// write is passed on in the call itself. Either end sees the other's cause: a reader the writer's
/// [`abort_with`](ByteWriteChannel::abort_with), a writer that its reader is gone.
///
/// # Panics
///
/// If `capacity` is zero: nothing could ever pass.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (mut input, mut output) = forebay_io::pipe(4096);
/// output.write_str("ping\n").await?;
/// assert_eq!(input.read_line().await?.as_deref(), Some("ping"));
/// # forebay_io::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "ByteChannel")]
pub fn pipe(capacity: usize) -> (ByteReadChannel, ByteWriteChannel) {
    assert!(capacity > 0, "a pipe needs a capacity of at least one byte");
    let cause = Cause::default();
    let shared = Arc::new(Shared { state: Mutex::default(), capacity, cause: cause.clone() });
    let drain = Box::new(PipeDrain(Arc::clone(&shared)));
    let turns = Arc::clone(&shared) as Arc<dyn Turns>;
    // The pipe holds `capacity` bytes; the outbox before it accepts only while it is empty.
    let outbox = Outbox::with_high_water(drain, cause, turns, 1);
    let input = ByteReadChannel::from_source(Box::new(PipeSource(shared)));
    (input, ByteWriteChannel::new(outbox, None))
}

/// One end of a [`duplex`]: what it writes, the other end reads.
#[derive(Debug)]
pub struct Duplex {
    /// The reading half.
    pub input: ByteReadChannel,
    /// The writing half.
    pub output: ByteWriteChannel,
}

/// Makes a connection in memory, for tests and for tasks that talk to each other.
///
/// Each direction is a [`pipe`] of this capacity.
///
/// # Panics
///
/// If `capacity` is zero.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (mut client, mut server) = forebay_io::duplex(4096);
/// client.output.write_str("hello\n").await?;
/// assert_eq!(server.input.read_line().await?.as_deref(), Some("hello"));
/// server.output.write_str("goodbye\n").await?;
/// assert_eq!(client.input.read_line().await?.as_deref(), Some("goodbye"));
/// # forebay_io::Result::Ok(()) }).unwrap();
/// ```
pub fn duplex(capacity: usize) -> (Duplex, Duplex) {
    let (left_input, right_output) = pipe(capacity);
    let (right_input, left_output) = pipe(capacity);
    let left = Duplex { input: left_input, output: left_output };
    (left, Duplex { input: right_input, output: right_output })
}

struct Shared {
    state: Mutex<State>,
    capacity: usize,
    cause: Cause,
}

#[derive(Default)]
struct State {
    queue: SendQueue,
    ended: bool,
    reader_gone: bool,
    /// The reading task's: cloned before locking, woken and dropped after.
    reader: Option<Waker>,
    /// The writing outbox's own.
    writer: Option<Waker>,
    /// An outbox whose writer was dropped while it still held an item. The reader sees it off.
    lingering: Option<Arc<Outbox>>,
}

impl Turns for Shared {
    /// A pipe has no turns: what is written can be read at once.
    fn defer(&self, outbox: &Arc<Outbox>) {
        outbox.advance();
    }

    fn linger(&self, outbox: Arc<Outbox>) {
        let mut state = lock(&self.state);
        if !state.reader_gone {
            state.lingering = Some(outbox);
        }
    }
}

struct PipeDrain(Arc<Shared>);

impl Drain for PipeDrain {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut Afterwards,
    ) -> Poll<Result<()>> {
        let mut state = lock(&self.0.state);
        if state.reader_gone {
            return Poll::Ready(Err(reader_gone()));
        }
        let room = self.0.capacity.saturating_sub(state.queue.len());
        queue.move_to(&mut state.queue, room, after);
        if !state.queue.is_empty()
            && let Some(reader) = state.reader.take()
        {
            after.wake(reader);
        }
        if queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_end(&mut self, _: &mut Context<'_>, after: &mut Afterwards) -> Poll<Result<()>> {
        let mut state = lock(&self.0.state);
        if let Some(cause) = self.0.cause.get() {
            // The reader gave up: what it left unread must not be signed off with a clean end.
            return Poll::Ready(Err(cause.clone()));
        }
        state.ended = true;
        if let Some(reader) = state.reader.take() {
            after.wake(reader);
        }
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, _: &Error, after: &mut Afterwards) {
        // The cause is recorded already; the reader finds it.
        let mut state = lock(&self.0.state);
        state.queue.clear(after);
        if let Some(reader) = state.reader.take() {
            after.wake(reader);
        }
    }
}

impl Drop for PipeDrain {
    /// A writer that went without its end mark: say so, rather than leave the reader waiting.
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if state.ended || state.reader_gone {
            return;
        }
        let lost = Error::new(ErrorKind::Reset, "pipe").with_detail("the writer is gone");
        self.0.cause.record(lost);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

struct PipeSource(Arc<Shared>);

impl PipeSource {
    /// One look under the lock; leaves the waker if there is nothing, and returns the one it
    /// replaced.
    fn look(
        &self,
        inlet: &mut Inlet<'_>,
        leave: Option<Waker>,
        after: &mut Afterwards,
    ) -> (Poll<Result<Filled>>, Option<Waker>) {
        let mut state = lock(&self.0.state);
        if !state.queue.is_empty() {
            let space = inlet.space();
            let count = space.len().min(state.queue.first().len());
            space[..count].copy_from_slice(&state.queue.first()[..count]);
            inlet.fill(count);
            state.queue.sent(count, after);
            if let Some(writer) = state.writer.take() {
                after.wake(writer);
            }
            return (Poll::Ready(Ok(Filled::More)), leave);
        }
        if let Some(cause) = self.0.cause.get() {
            return (Poll::Ready(Err(cause.clone())), leave);
        }
        if state.ended {
            return (Poll::Ready(Ok(Filled::End)), leave);
        }
        let replaced = match leave {
            Some(waker) => state.reader.replace(waker),
            None => None,
        };
        (Poll::Pending, replaced)
    }

    /// Nobody reads any more: what waits is dropped, and the writer is told why.
    fn gone(&self, cause: Option<&Error>) {
        let mut after = Afterwards::new();
        let mut state = lock(&self.0.state);
        if state.reader_gone {
            return;
        }
        state.reader_gone = true;
        let unread = || (!state.queue.is_empty()).then(reader_gone);
        if let (Some(cause), false) = (cause.cloned().or_else(unread), state.ended) {
            self.0.cause.record(cause);
        }
        state.queue.clear(&mut after);
        if let Some(writer) = state.writer.take() {
            after.wake(writer);
        }
        let reader = state.reader.take();
        let lingering = state.lingering.take();
        drop(state);
        drop((reader, lingering));
        after.run();
    }
}

impl Source for PipeSource {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let mut after = Afterwards::new();
        let (mut answer, _) = self.look(inlet, None, &mut after);
        if answer.is_pending() {
            let (again, replaced) = self.look(inlet, Some(cx.waker().clone()), &mut after);
            drop(replaced);
            answer = again;
        }
        after.run();
        if matches!(answer, Poll::Ready(Ok(Filled::End))) {
            let lingering = lock(&self.0.state).lingering.take();
            drop(lingering);
        }
        answer
    }

    fn abort(&mut self, cause: &Error) {
        self.gone(Some(cause));
    }
}

impl Drop for PipeSource {
    fn drop(&mut self) {
        self.gone(None);
    }
}

fn reader_gone() -> Error {
    Error::new(ErrorKind::Reset, "write").with_detail("the reader of this pipe is gone")
}

impl fmt::Debug for PipeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeSource").finish_non_exhaustive()
    }
}
