//! Files and standard streams as channels, on the threads kept for blocking calls.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use forebay_io::seam::{
    Afterwards, BLOCK_BYTES, Cause, Drain, Filled, Inlet, Outbox, SendQueue, Source, Turns,
};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result};

use super::{BlockingPool, run_blocking};
use crate::interrupted::uninterrupted;
use crate::lock::get_mut;

/// A channel fed by `reader`.
pub(crate) fn blocking_reader(
    pool: &Arc<BlockingPool>,
    reader: impl Read + Send + 'static,
) -> ByteReadChannel {
    ByteReadChannel::from_source(Box::new(Reading {
        pool: Arc::clone(pool),
        state: Mutex::new(ReadState::Idle(Box::new(ReadBatch {
            reader,
            bytes: Vec::new(),
            start: 0,
            end: 0,
        }))),
    }))
}

/// A channel that feeds `writer`.
pub(crate) fn blocking_writer(
    pool: &Arc<BlockingPool>,
    turns: Arc<dyn Turns>,
    writer: impl Write + Send + 'static,
) -> ByteWriteChannel {
    let drain = Writing {
        pool: Arc::clone(pool),
        state: Mutex::new(WriteState::Idle(Box::new(WriteBatch { writer, bytes: Vec::new() }))),
    };
    ByteWriteChannel::new(Outbox::new(Box::new(drain), Cause::default(), turns), None)
}

/// A call on a thread of the pool that hands its working set back.
type Call<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

struct Reading<R> {
    pool: Arc<BlockingPool>,
    // Only ever reached through `&mut`: the lock makes the type `Sync`, and is never waited for.
    state: Mutex<ReadState<R>>,
}

enum ReadState<R> {
    Idle(Box<ReadBatch<R>>),
    Busy(Call<(Box<ReadBatch<R>>, io::Result<usize>)>),
    Over(Option<Error>),
}

struct ReadBatch<R> {
    reader: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> ReadBatch<R> {
    fn read(mut self: Box<Self>) -> (Box<Self>, io::Result<usize>) {
        self.bytes.resize(BLOCK_BYTES, 0);
        let received = uninterrupted(|| self.reader.read(&mut self.bytes));
        (self, received)
    }
}

impl<R: Read + Send + 'static> Source for Reading<R> {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let state = get_mut(&mut self.state);
        loop {
            match std::mem::replace(state, ReadState::Over(None)) {
                ReadState::Idle(mut batch) if batch.start < batch.end => {
                    let space = inlet.space();
                    let count = space.len().min(batch.end - batch.start);
                    space[..count].copy_from_slice(&batch.bytes[batch.start..batch.start + count]);
                    inlet.fill(count);
                    batch.start += count;
                    *state = ReadState::Idle(batch);
                    return Poll::Ready(Ok(Filled::More));
                }
                ReadState::Idle(batch) => {
                    *state = ReadState::Busy(Box::pin(run_blocking(&self.pool, || batch.read())));
                }
                ReadState::Busy(mut call) => {
                    let Poll::Ready(outcome) = call.as_mut().poll(cx) else {
                        *state = ReadState::Busy(call);
                        return Poll::Pending;
                    };
                    let (mut batch, received) = match outcome {
                        Ok(outcome) => outcome,
                        Err(error) => {
                            *state = ReadState::Over(Some(error.clone()));
                            return Poll::Ready(Err(error));
                        }
                    };
                    match received {
                        Ok(0) => {}
                        Ok(count) => {
                            (batch.start, batch.end) = (0, count.min(BLOCK_BYTES));
                            *state = ReadState::Idle(batch);
                        }
                        Err(error) => {
                            *state = ReadState::Idle(batch);
                            return Poll::Ready(Err(Error::from_io("blocking_reader", error)));
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
        let state = get_mut(&mut self.state);
        *state = ReadState::Over(None);
    }
}

struct Writing<W> {
    pool: Arc<BlockingPool>,
    state: Mutex<WriteState<W>>,
}

enum WriteState<W> {
    Idle(Box<WriteBatch<W>>),
    Busy(Call<(Box<WriteBatch<W>>, io::Result<()>)>),
    Ending(Call<io::Result<()>>),
    Over,
}

struct WriteBatch<W> {
    writer: W,
    bytes: Vec<u8>,
}

impl<W: Write> WriteBatch<W> {
    fn write(mut self: Box<Self>) -> (Box<Self>, io::Result<()>) {
        let written = self.writer.write_all(&self.bytes).and_then(|()| self.writer.flush());
        (self, written)
    }
}

impl<W: Write + Send + 'static> Writing<W> {
    /// Waits for the batch under way. Its working set is kept, never dropped here: the writer is
    /// the caller's, and this runs under the outbox's lock.
    fn poll_batch(
        state: &mut WriteState<W>,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut Afterwards,
    ) -> Poll<Result<()>> {
        let WriteState::Busy(call) = state else {
            return Poll::Ready(Ok(()));
        };
        let (batch, written) = match ready!(call.as_mut().poll(cx)) {
            Ok(outcome) => outcome,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let count = batch.bytes.len();
        *state = WriteState::Idle(batch);
        Poll::Ready(match written {
            Ok(()) => {
                queue.sent(count, after);
                Ok(())
            }
            Err(error) => Err(Error::from_io("blocking_writer", error)),
        })
    }
}

impl<W: Write + Send + 'static> Drain for Writing<W> {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut Afterwards,
    ) -> Poll<Result<()>> {
        let state = get_mut(&mut self.state);
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
                    *state = WriteState::Busy(Box::pin(run_blocking(&self.pool, || batch.write())));
                }
                other => {
                    *state = other;
                    return Poll::Ready(Err(Error::new(ErrorKind::Closed, "blocking_writer")));
                }
            }
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, _: &mut Afterwards) -> Poll<Result<()>> {
        let state = get_mut(&mut self.state);
        match std::mem::replace(state, WriteState::Over) {
            WriteState::Idle(mut batch) => {
                // The writer is flushed and dropped on the pool's thread.
                let end = move || batch.writer.flush();
                *state = WriteState::Ending(Box::pin(run_blocking(&self.pool, end)));
            }
            other => *state = other,
        }
        let WriteState::Ending(call) = state else {
            return Poll::Ready(Ok(()));
        };
        let ended = ready!(call.as_mut().poll(cx));
        Poll::Ready(match ended {
            Ok(flushed) => flushed.map_err(|error| Error::from_io("blocking_writer", error)),
            Err(error) => Err(error),
        })
    }

    /// What is under way cannot be called back, and the writer must not be dropped under the
    /// outbox's lock: it goes with the drain.
    fn abort(&mut self, _: &Error, _: &mut Afterwards) {}
}
