//! Vocabulary for channels without sockets: a source that follows a script, a drain that records, turns
//! that the test ends itself, and blocks that are counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{
    BlockLedger, Cause, Drain, Filled, FlushSchedule, Inlet, Outbox, SendQueue, Source, WakeList,
    WorkerPool,
};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result, pipe};

use crate::lock;

// ---- reading -------------------------------------------------------------------------------------

/// The next step of a scripted source.
#[derive(Debug, Clone)]
pub enum Step {
    /// Bytes arrive, in as many fills as it takes.
    Bytes(Vec<u8>),
    /// Pending once; the waker is woken at once.
    Pause,
    /// Pending once, after the room for bytes was taken, like a socket that meets `EAGAIN`.
    Idle,
    /// This error, once.
    Fail(Error),
    /// The end, from now on.
    End,
    /// This error, from now on.
    Broken(Error),
}

#[derive(Debug, Default)]
struct ScriptState {
    steps: VecDeque<Step>,
    delivered: u64,
    waker: Option<Waker>,
    aborted: Option<Error>,
    offered_max: usize,
    calls: usize,
    paused_last: bool,
}

/// The test's handle on a scripted source.
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<ScriptState>>);

impl Script {
    /// Makes a script and the channel that is filled from it. After its last step it stays pending.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> (Self, ByteReadChannel) {
        let script = Self::default();
        lock(&script.0).steps.extend(steps);
        let channel = ByteReadChannel::from_source(Box::new(Scripted(script.clone())));
        (script, channel)
    }

    /// Returns a channel in which each piece arrives alone, after a Pending; then the end.
    pub fn pieces<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> ByteReadChannel {
        let mut steps = Vec::new();
        for piece in pieces {
            steps.push(Step::Pause);
            steps.push(Step::Bytes(piece.as_ref().to_vec()));
        }
        steps.push(Step::Pause);
        steps.push(Step::End);
        Self::new(steps).1
    }

    /// Appends a step and wakes the reader.
    pub fn then(&self, step: Step) {
        let mut state = lock(&self.0);
        state.steps.push_back(step);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn bytes(&self, bytes: impl Into<Vec<u8>>) {
        self.then(Step::Bytes(bytes.into()));
    }

    /// Returns the number of bytes handed to the channel so far.
    pub fn delivered(&self) -> u64 {
        lock(&self.0).delivered
    }

    /// Returns the cause with which the reader aborted the source.
    pub fn aborted(&self) -> Option<Error> {
        lock(&self.0).aborted.clone()
    }

    /// Returns how often the channel called its source.
    pub fn calls(&self) -> usize {
        lock(&self.0).calls
    }

    /// Returns `true` if the last call of the source returned Pending.
    pub fn paused_last(&self) -> bool {
        lock(&self.0).paused_last
    }

    /// Returns the largest room that was ever offered.
    pub fn offered_max(&self) -> usize {
        lock(&self.0).offered_max
    }
}

struct Scripted(Script);

impl Source for Scripted {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let mut state = lock(&self.0.0);
        state.calls += 1;
        state.paused_last = matches!(state.steps.front(), None | Some(Step::Pause | Step::Idle));
        let Some(step) = state.steps.front_mut() else {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        match step {
            Step::Bytes(bytes) => {
                let space = inlet.space();
                let offered = space.len();
                let count = offered.min(bytes.len());
                space[..count].copy_from_slice(&bytes[..count]);
                inlet.fill(count);
                bytes.drain(..count);
                if bytes.is_empty() {
                    state.steps.pop_front();
                }
                state.delivered += count as u64;
                state.offered_max = state.offered_max.max(offered);
                Poll::Ready(Ok(Filled::More))
            }
            Step::End => Poll::Ready(Ok(Filled::End)),
            Step::Broken(error) => Poll::Ready(Err(error.clone())),
            Step::Fail(error) => {
                let error = error.clone();
                state.steps.pop_front();
                Poll::Ready(Err(error))
            }
            Step::Pause | Step::Idle => {
                if matches!(step, Step::Idle) {
                    assert!(!inlet.space().is_empty(), "no room was offered");
                }
                state.steps.pop_front();
                drop(state);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn abort(&mut self, cause: &Error) {
        lock(&self.0.0).aborted = Some(cause.clone());
    }
}

/// Returns an error that happens once and leaves the channel usable, as a read timeout does.
pub fn hiccup() -> Error {
    Error::new(ErrorKind::TimedOut, "read").with_detail("a hiccup")
}

// ---- writing -------------------------------------------------------------------------------------

#[derive(Debug, Default)]
struct RecorderState {
    sent: Vec<u8>,
    sends: usize,
    allowance: usize,
    error: Option<Error>,
    holds_end: bool,
    ended: usize,
    aborted: Option<Error>,
    waker: Option<Waker>,
    dropped: bool,
}

/// The test's handle on a drain that records the sent bytes and takes no more than it was allowed to.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<RecorderState>>);

impl Recorder {
    /// Makes a drain that takes `allowance` bytes and then waits.
    pub fn limited(allowance: usize) -> Self {
        let recorder = Self::default();
        lock(&recorder.0).allowance = allowance;
        recorder
    }

    /// Makes a drain that takes everything.
    pub fn new() -> Self {
        Self::limited(usize::MAX)
    }

    /// Makes a channel into this drain, flushed at the end of turns that the test ends itself.
    pub fn channel(&self) -> (ByteWriteChannel, Arc<TestSchedule>) {
        let turns = Arc::new(TestSchedule::default());
        let outbox = self.outbox(&turns);
        (ByteWriteChannel::new(outbox, None), turns)
    }

    pub fn outbox(&self, turns: &Arc<TestSchedule>) -> Arc<Outbox> {
        let drain = Box::new(Recording(self.clone()));
        Outbox::new(drain, Cause::default(), Arc::clone(turns) as Arc<dyn FlushSchedule>)
    }

    /// Takes `more` bytes more, and wakes the outbox.
    pub fn allow(&self, more: usize) {
        let mut state = lock(&self.0);
        state.allowance = state.allowance.saturating_add(more);
        Self::wake(state);
    }

    /// Fails from the next send on.
    pub fn fail(&self, error: Error) {
        let mut state = lock(&self.0);
        state.error = Some(error);
        Self::wake(state);
    }

    /// Holds the end mark back, or releases it.
    pub fn hold_end(&self, hold: bool) {
        let mut state = lock(&self.0);
        state.holds_end = hold;
        Self::wake(state);
    }

    fn wake(mut state: MutexGuard<'_, RecorderState>) {
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn sent(&self) -> Vec<u8> {
        lock(&self.0).sent.clone()
    }

    pub fn sent_len(&self) -> usize {
        lock(&self.0).sent.len()
    }

    /// Returns the number of calls of `poll_send` that took bytes.
    pub fn sends(&self) -> usize {
        lock(&self.0).sends
    }

    /// Returns the number of end marks that were sent.
    pub fn ended(&self) -> usize {
        lock(&self.0).ended
    }

    pub fn aborted(&self) -> Option<Error> {
        lock(&self.0).aborted.clone()
    }

    /// Returns `true` once the drain is dropped.
    pub fn is_dropped(&self) -> bool {
        lock(&self.0).dropped
    }
}

struct Recording(Recorder);

impl Drain for Recording {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        let mut state = lock(&self.0.0);
        if let Some(error) = &state.error {
            return Poll::Ready(Err(error.clone()));
        }
        while !queue.is_empty() && state.allowance > 0 {
            let count = queue.first().len().min(state.allowance);
            assert!(count > 0, "a piece of the queue is empty");
            state.sent.extend_from_slice(&queue.first()[..count]);
            state.allowance -= count;
            state.sends += 1;
            queue.sent(count, after);
        }
        if queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, _: &mut WakeList) -> Poll<Result<()>> {
        let mut state = lock(&self.0.0);
        if let Some(error) = &state.error {
            return Poll::Ready(Err(error.clone()));
        }
        if state.holds_end {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.ended += 1;
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, cause: &Error, _: &mut WakeList) {
        lock(&self.0.0).aborted = Some(cause.clone());
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        lock(&self.0.0).dropped = true;
    }
}

/// Turns that end when the test says so, and that count the requests to them.
#[derive(Debug, Default)]
pub struct TestSchedule {
    deferred: Mutex<Vec<Arc<Outbox>>>,
    defers: AtomicUsize,
    background_closes: Mutex<Vec<Arc<Outbox>>>,
}

impl TestSchedule {
    /// Ends the turn: flushes the outboxes deferred in it.
    pub fn end(&self) {
        let deferred = std::mem::take(&mut *lock(&self.deferred));
        for outbox in deferred {
            outbox.advance();
        }
    }

    /// Returns how often an outbox was deferred so far.
    pub fn defers(&self) -> usize {
        self.defers.load(SeqCst)
    }

    /// Returns the number of outboxes without an owner that are not finished yet.
    pub fn background_closes(&self) -> usize {
        let mut background_closes = lock(&self.background_closes);
        background_closes.retain(|outbox| !outbox.is_settled());
        background_closes.len()
    }
}

impl FlushSchedule for TestSchedule {
    fn defer(&self, outbox: &Arc<Outbox>) {
        self.defers.fetch_add(1, SeqCst);
        lock(&self.deferred).push(Arc::clone(outbox));
    }

    fn finish_in_background(self: Arc<Self>, outbox: Arc<Outbox>) {
        lock(&self.background_closes).push(outbox);
    }
}

// ---- memory --------------------------------------------------------------------------------------

/// Runs with this thread's blocks counted; blocks still in use at the end were leaked.
#[track_caller]
pub fn ledgered<T>(test: impl FnOnce(&BlockLedger) -> T) -> T {
    let ledger = Arc::new(BlockLedger::default());
    let pool = WorkerPool::enter(Arc::clone(&ledger));
    let outcome = test(&ledger);
    assert_eq!(ledger.in_use(), 0, "blocks left in use");
    drop(pool);
    assert_eq!(ledger.idle(), 0, "blocks left in a pool that is gone");
    outcome
}

/// One end of a [`duplex`]: the other end reads what this one writes.
#[derive(Debug)]
pub struct Duplex {
    pub input: ByteReadChannel,
    pub output: ByteWriteChannel,
}

/// Makes two pipes, crossed.
pub fn duplex(capacity: usize) -> (Duplex, Duplex) {
    let (left_input, right_output) = pipe(capacity);
    let (right_input, left_output) = pipe(capacity);
    let left = Duplex { input: left_input, output: left_output };
    (left, Duplex { input: right_input, output: right_output })
}
