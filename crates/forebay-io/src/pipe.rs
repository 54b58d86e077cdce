//! Channels in memory.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::cause::Cause;
use crate::lane::Lane;
use crate::lock::lock;
use crate::outbox::Outbox;
use crate::queue::SendQueue;
use crate::seam::{Drain, Filled, FlushSchedule, Inlet, Source, WakeList};
use crate::sync::Mutex;
use crate::turn::Share;
use crate::{ByteReadChannel, ByteWriteChannel, Error, Result};

/// The number of fills in one turn before a reading task gives way. Each is a move in memory.
const FILLS_MAX: u16 = 256;

/// Makes a channel in memory: the bytes written to the second value are read from the first.
///
/// The pipe holds at most `capacity` bytes and one more item; beyond that a writer waits. Every write is
/// passed on in the call itself. Each end sees the other's error: a reader sees the cause of the writer's
/// [`abort_with`](ByteWriteChannel::abort_with), and a writer sees that its reader is gone.
///
/// # Panics
///
/// Panics if `capacity` is zero: no byte could ever pass.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// let (mut input, mut output) = forebay::pipe(4096);
/// output.write_str("ping\n").await?;
/// assert_eq!(input.read_line().await?.as_deref(), Some("ping"));
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "ByteChannel")]
pub fn pipe(capacity: usize) -> (ByteReadChannel, ByteWriteChannel) {
    let (source, outbox) = ends(capacity);
    (ByteReadChannel::from_source(Box::new(source)), ByteWriteChannel::new(outbox, None))
}

/// Makes the two ends of a pipe without their channels, for a caller that gives them other owners.
pub fn ends(capacity: usize) -> (PipeSource, Arc<Outbox>) {
    let cause = Cause::default();
    let lane = Lane::new(capacity, cause.clone());
    let pipe = Arc::new(Pipe { lane, background_closes: Mutex::default() });
    let drain = Box::new(PipeDrain(Arc::clone(&pipe)));
    let turns = Arc::clone(&pipe) as Arc<dyn FlushSchedule>;
    // The lane holds `capacity` bytes; the outbox in front of it accepts an item only while it is empty.
    let outbox = Outbox::of_pipe(drain, cause, turns);
    (PipeSource { pipe, share: Share::of_calls(FILLS_MAX) }, outbox)
}

struct Pipe {
    lane: Lane,
    /// An outbox that still held an item when its writer was dropped. The reader takes the rest of it.
    background_closes: Mutex<Option<Arc<Outbox>>>,
}

impl FlushSchedule for Pipe {
    /// Advances the outbox at once: a pipe has no turns, and what is written can be read immediately.
    fn defer(&self, outbox: &Arc<Outbox>) {
        outbox.advance();
    }

    fn accept_directly(&self, length: usize, put: &mut dyn FnMut(&mut SendQueue)) -> bool {
        let mut after = WakeList::new();
        let accepted = self.lane.accept(length, put, &mut after);
        after.run();
        accepted
    }

    fn take_direct_count(&self) -> u64 {
        self.lane.take_accepted()
    }

    fn finish_in_background(self: Arc<Self>, outbox: Arc<Outbox>) {
        // The reader sets `reader_gone` before it takes what is stored here, so at least one of the two
        // threads sees the other's step, and the outbox is not stored forever.
        let mut background_closes = lock(&self.background_closes);
        let unneeded = if self.lane.is_reader_gone() {
            Some(outbox)
        } else {
            background_closes.replace(outbox)
        };
        drop(background_closes);
        drop(unneeded);
    }
}

struct PipeDrain(Arc<Pipe>);

impl Drain for PipeDrain {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        self.0.lane.poll_send(cx, queue, after)
    }

    fn poll_end(&mut self, _: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>> {
        Poll::Ready(self.0.lane.end(after))
    }

    fn abort(&mut self, cause: &Error, after: &mut WakeList) {
        self.0.lane.abort(cause, after);
    }

    fn free_space(&self) -> usize {
        self.0.lane.free_space()
    }
}

impl Drop for PipeDrain {
    fn drop(&mut self) {
        let mut after = WakeList::new();
        self.0.lane.writer_gone(&mut after);
        after.run();
    }
}

/// The reading end of a pipe.
pub struct PipeSource {
    pipe: Arc<Pipe>,
    share: Share,
}

impl PipeSource {
    /// Returns `true` if the writer has sent its end mark, whether or not everything has been read.
    pub fn has_ended(&self) -> bool {
        self.pipe.lane.has_ended()
    }

    /// Returns a handle that decides how the writing end ends, for the owner that lent its channel.
    pub fn ending(&self) -> PipeEnding {
        PipeEnding(Arc::clone(&self.pipe))
    }

    fn gone(&self, cause: Option<&Error>) {
        let mut after = WakeList::new();
        let reader = self.pipe.lane.reader_gone(cause, &mut after);
        // Foreign code, which must not run under the lane's lock.
        drop(reader);
        after.run();
        self.let_go();
    }

    fn let_go(&self) {
        let background_closes = lock(&self.pipe.background_closes).take();
        drop(background_closes);
    }
}

/// Decides how the writing end of a pipe ends.
pub struct PipeEnding(Arc<Pipe>);

impl PipeEnding {
    /// Makes the pipe end with this failure instead of its end mark once its writer is finished. The reader
    /// receives it behind everything that was written. Returns `false` if the reader cannot be told any
    /// more.
    pub fn fail(&self, failure: &Error) -> bool {
        self.0.lane.fail_at_end(failure)
    }
}

impl fmt::Debug for PipeEnding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeEnding").field("lane", &self.0.lane).finish_non_exhaustive()
    }
}

impl Source for PipeSource {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        ready!(self.share.poll_left(cx));
        self.pipe.lane.poll_receive(cx, inlet).map_ok(|count| {
            if count > 0 {
                self.share.spend(count);
                return Filled::More;
            }
            // The end has been read, so the outbox that sent it need not be kept alive.
            self.let_go();
            Filled::End
        })
    }

    fn abort(&mut self, cause: &Error) {
        self.gone(Some(cause));
    }

    fn cause(&self) -> Option<Error> {
        self.pipe.lane.cause().cloned()
    }
}

impl Drop for PipeSource {
    fn drop(&mut self) {
        self.gone(None);
    }
}

impl fmt::Debug for PipeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeSource").field("lane", &self.pipe.lane).finish_non_exhaustive()
    }
}
