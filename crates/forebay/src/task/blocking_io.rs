//! Sources and drains over files and standard streams, which block on the pool's threads.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use forebay_io::seam::{
    BLOCK_BYTES, Drain, Filled, Inlet, SendQueue, Source, WakeList, unpoisoned,
};
use forebay_io::{Error, ErrorKind, Result};

use super::{BlockingPool, run_blocking};
use crate::interrupted::uninterrupted;
use crate::lock::lock;

/// The calls that make such channels, for their errors.
pub(crate) const READER: &str = "blocking_reader";
const WRITER: &str = "blocking_writer";

/// Makes a source that reads from `reader`.
pub(crate) fn blocking_source(
    pool: &Arc<BlockingPool>,
    reader: impl Read + Send + 'static,
) -> impl Source + 'static {
    let batch = ReadBatch { reader, bytes: Vec::new(), start: 0, end: 0 };
    Reading { pool: Arc::clone(pool), state: Mutex::new(ReadState::Idle(Box::new(batch))) }
}

/// Makes a drain that writes to `writer`.
pub(crate) fn blocking_drain(
    pool: &Arc<BlockingPool>,
    writer: impl Write + Send + 'static,
) -> impl Drain + 'static {
    let batch = WriteBatch { writer, bytes: Vec::new() };
    Writing { pool: Arc::clone(pool), state: Mutex::new(WriteState::Idle(Box::new(batch))) }
}

/// A call on a thread of the pool, with the batch it works on.
struct IoCall<T, R> {
    result: Pin<Box<dyn Future<Output = Result<R>> + Send>>,
    /// Taken by the call, and put back when it returns. A call that was refused or skipped has not taken
    /// it; a call that panicked has lost it.
    batch: Arc<Mutex<Option<Box<T>>>>,
}

impl<T: Send + 'static, R: Send + 'static> IoCall<T, R> {
    fn begin(
        pool: &BlockingPool,
        operation: &'static str,
        batch: Box<T>,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Self {
        let batch = Arc::new(Mutex::new(Some(batch)));
        let lent = Arc::clone(&batch);
        let call = move || {
            let mut batch = lock(&lent).take()?;
            let result = work(&mut batch);
            *lock(&lent) = Some(batch);
            Some(result)
        };
        let result = run_blocking(pool, operation, call);
        // Only one call takes the batch, and it is this one.
        let taken = async move {
            let nothing = || Error::new(ErrorKind::Closed, operation);
            result.await.and_then(|result| result.ok_or_else(nothing))
        };
        Self { result: Box::pin(taken), batch }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Option<Box<T>>, Result<R>)> {
        let result = ready!(self.result.as_mut().poll(cx));
        Poll::Ready((lock(&self.batch).take(), result))
    }
}

struct Reading<R> {
    pool: Arc<BlockingPool>,
    // Accessed only through `&mut`: the lock makes the type `Sync`, and is never waited for.
    state: Mutex<ReadState<R>>,
}

enum ReadState<R> {
    Idle(Box<ReadBatch<R>>),
    Busy(IoCall<ReadBatch<R>, io::Result<usize>>),
    Over(Option<Error>),
}

struct ReadBatch<R> {
    reader: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> ReadBatch<R> {
    fn read(&mut self) -> io::Result<usize> {
        self.bytes.resize(BLOCK_BYTES, 0);
        uninterrupted(|| self.reader.read(&mut self.bytes))
    }

    /// Moves as much of the read bytes as fits into the inlet. There is at least one byte.
    fn hand_out(&mut self, inlet: &mut Inlet<'_>) {
        let space = inlet.space();
        let count = space.len().min(self.end - self.start);
        space[..count].copy_from_slice(&self.bytes[self.start..self.start + count]);
        inlet.fill(count);
        self.start += count;
    }
}

impl<R: Read + Send + 'static> Source for Reading<R> {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let state = unpoisoned(self.state.get_mut());
        loop {
            match std::mem::replace(state, ReadState::Over(None)) {
                ReadState::Idle(mut batch) if batch.start < batch.end => {
                    batch.hand_out(inlet);
                    *state = ReadState::Idle(batch);
                    return Poll::Ready(Ok(Filled::More));
                }
                ReadState::Idle(batch) => {
                    let call = IoCall::begin(&self.pool, READER, batch, ReadBatch::read);
                    *state = ReadState::Busy(call);
                }
                ReadState::Busy(mut call) => {
                    let Poll::Ready((batch, outcome)) = call.poll(cx) else {
                        *state = ReadState::Busy(call);
                        return Poll::Pending;
                    };
                    let Some(mut batch) = batch else {
                        // The reader has panicked.
                        *state = ReadState::Over(outcome.err());
                        continue;
                    };
                    match outcome.and_then(|read| read.map_err(|it| Error::from_io(READER, it))) {
                        Ok(0) => {}
                        Ok(count) => {
                            (batch.start, batch.end) = (0, count.min(BLOCK_BYTES));
                            *state = ReadState::Idle(batch);
                        }
                        // The next read tries again, also to get a thread.
                        Err(error) => {
                            *state = ReadState::Idle(batch);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                ReadState::Over(None) => return Poll::Ready(Ok(Filled::End)),
                ReadState::Over(Some(error)) => {
                    *state = ReadState::Over(Some(error.clone()));
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn abort(&mut self, _: &Error) {
        let state = unpoisoned(self.state.get_mut());
        *state = ReadState::Over(None);
    }
}

struct Writing<W> {
    pool: Arc<BlockingPool>,
    state: Mutex<WriteState<W>>,
}

enum WriteState<W> {
    Idle(Box<WriteBatch<W>>),
    Busy(IoCall<WriteBatch<W>, io::Result<()>>),
    /// The writer is flushed and dropped on the pool's thread.
    Ending(Pin<Box<dyn Future<Output = Result<io::Result<()>>> + Send>>),
    Over,
}

struct WriteBatch<W> {
    writer: W,
    bytes: Vec<u8>,
}

impl<W: Write> WriteBatch<W> {
    fn write(&mut self) -> io::Result<()> {
        self.writer.write_all(&self.bytes).and_then(|()| self.writer.flush())
    }
}

impl<W: Write + Send + 'static> Writing<W> {
    /// Waits for the batch that is being written. The batch is kept and never dropped here: the writer is
    /// the caller's, and this runs under the outbox's lock.
    fn poll_batch(
        state: &mut WriteState<W>,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        let WriteState::Busy(call) = state else {
            return Poll::Ready(Ok(()));
        };
        let (batch, outcome) = ready!(call.poll(cx));
        let count = batch.as_ref().map_or(0, |batch| batch.bytes.len());
        *state = batch.map_or(WriteState::Over, WriteState::Idle);
        let written = outcome.and_then(|it| it.map_err(|it| Error::from_io(WRITER, it)));
        Poll::Ready(written.map(|()| queue.sent(count, after)))
    }
}

impl<W: Write + Send + 'static> Drain for Writing<W> {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        let state = unpoisoned(self.state.get_mut());
        loop {
            ready!(Self::poll_batch(state, cx, queue, after))?;
            if queue.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match std::mem::replace(state, WriteState::Over) {
                WriteState::Idle(mut batch) => {
                    batch.bytes.clear();
                    let first = queue.first();
                    batch.bytes.extend_from_slice(&first[..first.len().min(BLOCK_BYTES)]);
                    let call = IoCall::begin(&self.pool, WRITER, batch, WriteBatch::write);
                    *state = WriteState::Busy(call);
                }
                other => {
                    *state = other;
                    return Poll::Ready(Err(Error::new(ErrorKind::Closed, WRITER)));
                }
            }
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, _: &mut WakeList) -> Poll<Result<()>> {
        let state = unpoisoned(self.state.get_mut());
        match std::mem::replace(state, WriteState::Over) {
            WriteState::Idle(mut batch) => {
                let end = move || batch.writer.flush();
                *state = WriteState::Ending(Box::pin(run_blocking(&self.pool, WRITER, end)));
            }
            other => *state = other,
        }
        let WriteState::Ending(call) = state else {
            return Poll::Ready(Ok(()));
        };
        let ended = ready!(call.as_mut().poll(cx));
        Poll::Ready(match ended {
            Ok(flushed) => flushed.map_err(|error| Error::from_io(WRITER, error)),
            Err(error) => Err(error),
        })
    }

    /// A running call cannot be cancelled, and the writer must not be dropped under the outbox's lock: it
    /// is dropped with the drain.
    fn abort(&mut self, _: &Error, _: &mut WakeList) {}
}
