//! A block of code as one end of a channel.

use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use forebay_io::seam::{
    Filled, Inlet, Outbox, PipeEnding, PipeSource, Source, pipe_ends, unwinding,
};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result};

use super::manager::SelectorManager;
use crate::lock::lock;

/// The number of bytes between the block and the other end of its channel.
const CAPACITY: usize = 64 * 1024;

impl SelectorManager {
    /// Runs a block as a task that writes, and returns the channel from which its output is read. Up to 64
    /// KiB wait between the two.
    ///
    /// If the block succeeds, the channel ends, whether the block finished its half or dropped it. If the
    /// block fails, panics, or is cancelled by its selector, that error becomes the channel's cause: the
    /// reader gets it behind what was written before. An error that comes too late for that is reported
    /// like a task's ([`SelectorBuilder::on_task_error`](crate::SelectorBuilder::on_task_error)). Dropping
    /// the reader does not stop the block, but its next write fails with [`Reset`](ErrorKind::Reset).
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let mut numbers = selector.writer(|mut output| async move {
    ///         for number in 1..=3 {
    ///             output.write_u32(number).await?;
    ///         }
    ///         Ok(())
    ///     });
    ///     assert_eq!(numbers.read_u32().await?, 1);
    ///     assert_eq!(numbers.read_remaining(8).await?.len(), 8);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[track_caller]
    pub fn writer<F>(&self, block: impl FnOnce(ByteWriteChannel) -> F) -> ByteReadChannel
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (source, outbox) = pipe_ends(CAPACITY);
        let output = ByteWriteChannel::lent(Arc::clone(&outbox));
        let running = block(output.with_limits(self.shared().sockets().write_limits));
        let end = WriterEnd { ending: source.ending(), outbox, ended: false };
        self.shared().spawn(true, to_its_end(running, end, WriterEnd::settle)).detach();
        ByteReadChannel::from_source(Box::new(source))
            .with_limits(self.shared().sockets().read_limits)
    }

    /// Runs a block as a task that reads, and returns the channel through which its input is written. Up to
    /// 64 KiB wait between the two.
    ///
    /// If the block fails, panics, or is cancelled by its selector, that error becomes the channel's cause:
    /// the writer's next call returns it. An error that comes after the writer has finished is reported
    /// like a task's ([`SelectorBuilder::on_task_error`](crate::SelectorBuilder::on_task_error)).
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let mut log = selector.reader(|mut input| async move {
    ///         while let Some(line) = input.read_line().await? {
    ///             println!("log: {line}");
    ///         }
    ///         Ok(())
    ///     });
    ///     log.write_str("started\n").await?;
    ///     log.finish().await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[track_caller]
    pub fn reader<F>(&self, block: impl FnOnce(ByteReadChannel) -> F) -> ByteWriteChannel
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (source, outbox) = pipe_ends(CAPACITY);
        let given_back = Arc::default();
        let lent = LentSource { source: Some(source), given_back: Arc::clone(&given_back) };
        let input = ByteReadChannel::from_source(Box::new(lent));
        let running = block(input.with_limits(self.shared().sockets().read_limits));
        let end = ReaderEnd { given_back, outbox: Arc::downgrade(&outbox) };
        self.shared().spawn(true, to_its_end(running, end, ReaderEnd::settle)).detach();
        ByteWriteChannel::new(outbox, None).with_limits(self.shared().sockets().write_limits)
    }
}

/// Runs a block, and then decides how its channel ends. If this is dropped before, the block is dropped
/// first, with its channel, and then the end.
async fn to_its_end<E>(
    block: impl Future<Output = Result<()>>,
    end: E,
    settle: impl FnOnce(E, Result<()>) -> Result<()>,
) -> Result<()> {
    let end = end;
    let outcome = block.await;
    settle(end, outcome)
}

/// Decides how a writing block's channel ends.
struct WriterEnd {
    ending: PipeEnding,
    outbox: Arc<Outbox>,
    ended: bool,
}

impl WriterEnd {
    /// Ends the channel. Returns an error that the reader cannot be told any more.
    fn settle(mut self, outcome: Result<()>) -> Result<()> {
        self.ended = true;
        let told = outcome.as_ref().map_or_else(|error| self.ending.fail(error), |()| true);
        self.outbox.finish_in_background();
        if told { Ok(()) } else { outcome }
    }
}

impl Drop for WriterEnd {
    fn drop(&mut self) {
        if !self.ended && self.ending.fail(&broken_off()) {
            self.outbox.finish_in_background();
        }
    }
}

/// Decides how a reading block's channel ends.
struct ReaderEnd {
    given_back: Arc<Mutex<Option<PipeSource>>>,
    outbox: Weak<Outbox>,
}

impl ReaderEnd {
    /// Ends the channel. Returns an error that the writer cannot be told any more.
    fn settle(self, outcome: Result<()>) -> Result<()> {
        let source = lock(&self.given_back).take();
        match (outcome, source) {
            (Err(error), Some(source)) if !source.has_ended() => {
                self.tell(source, &error);
                Ok(())
            }
            (outcome, _) => outcome,
        }
    }

    /// Tells the writer now, and not only when it sends next: it would have accepted an item by then.
    fn tell(&self, mut source: PipeSource, cause: &Error) {
        source.abort(cause);
        if let Some(outbox) = self.outbox.upgrade() {
            outbox.abort(cause);
        }
    }
}

impl Drop for ReaderEnd {
    fn drop(&mut self) {
        let source = lock(&self.given_back).take();
        if let Some(source) = source {
            self.tell(source, &broken_off());
        }
    }
}

/// The error of a block that did not run to its end.
fn broken_off() -> Error {
    if unwinding() {
        Error::new(ErrorKind::Panicked, "channel").with_detail("the block behind it panicked")
    } else {
        Error::new(ErrorKind::Cancelled, "channel").with_detail("the block behind it was cancelled")
    }
}

/// A source that outlives its channel, so that the block's end decides what the writer is told.
struct LentSource {
    source: Option<PipeSource>,
    given_back: Arc<Mutex<Option<PipeSource>>>,
}

impl Source for LentSource {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        match &mut self.source {
            Some(source) => source.poll_fill(cx, inlet),
            None => Poll::Ready(Ok(Filled::End)),
        }
    }

    fn abort(&mut self, cause: &Error) {
        if let Some(source) = &mut self.source {
            source.abort(cause);
        }
    }

    fn cause(&self) -> Option<Error> {
        self.source.as_ref().and_then(PipeSource::cause)
    }
}

impl Drop for LentSource {
    fn drop(&mut self) {
        *lock(&self.given_back) = self.source.take();
    }
}
