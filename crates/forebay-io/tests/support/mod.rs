//! The vocabulary of the tests: a source that follows a script, a drain that records, turns that
//! are counted, wakers that are counted, and seeds that are printed.

// Each test binary uses the words it needs.
#![allow(dead_code, unused_imports)]

mod seeds;

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use forebay_io::seam::{
    Afterwards, BlockLedger, Cause, Drain, Filled, Inlet, Outbox, SendQueue, Source, Turns,
    WorkerPool,
};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result, pipe};

pub(crate) use self::seeds::{KIB, MIB, pattern, property, sizes, splits};

/// How long a test may hang before its watchdog calls it a deadlock.
const PATIENCE: Duration = Duration::from_secs(20);

// ---- futures -------------------------------------------------------------------------------------

/// Polls once, with a waker that wakes nobody.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    poll_with(future, Waker::noop())
}

/// Polls once with this waker.
pub(crate) fn poll_with<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Polls up to `polls` times, then drops the future.
pub(crate) fn cut_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match poll_once(future.as_mut()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Polls until it is ready; a future that stays pending although nothing is missing fails the test.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    cut_after(10_000_000, future).expect("the future never became ready")
}

/// The output of a future that has nothing to wait for. It may give way once.
#[track_caller]
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    cut_after(2, future).expect("pending where nothing is to be waited for")
}

/// A waker and how often it was woken.
pub(crate) fn counted_waker() -> (Waker, Arc<Wakes>) {
    let wakes = Arc::new(Wakes::default());
    (Waker::from(Arc::clone(&wakes)), wakes)
}

#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Runs on a thread of its own and fails, instead of hanging, if that thread deadlocks.
#[track_caller]
pub(crate) fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let watched = thread::spawn(move || {
        test();
        done.send(()).ok();
    });
    if let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(PATIENCE) {
        panic!("deadlock: no progress for {PATIENCE:?}");
    }
    if let Err(panic) = watched.join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds a lock")
}

// ---- reading -------------------------------------------------------------------------------------

/// What a scripted source does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Bytes arrive, in as many fills as it takes.
    Bytes(Vec<u8>),
    /// Pending once; the waker is woken at once.
    Pause,
    /// Pending once, after the room for bytes was taken, as a socket does that meets `EAGAIN`.
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

/// The test's hand on a scripted source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Mutex<ScriptState>>);

impl Script {
    /// A script and the channel that is filled from it. Beyond its last step it stays pending.
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> (Self, ByteReadChannel) {
        let script = Self::default();
        locked(&script.0).steps.extend(steps);
        let channel = ByteReadChannel::from_source(Box::new(Scripted(script.clone())));
        (script, channel)
    }

    /// Each piece arrives alone, after a Pending; then the end.
    pub(crate) fn pieces<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> ByteReadChannel {
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
    pub(crate) fn then(&self, step: Step) {
        let mut state = locked(&self.0);
        state.steps.push_back(step);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn bytes(&self, bytes: impl Into<Vec<u8>>) {
        self.then(Step::Bytes(bytes.into()));
    }

    /// Bytes handed to the channel so far.
    pub(crate) fn delivered(&self) -> u64 {
        locked(&self.0).delivered
    }

    /// The cause with which the reader gave up.
    pub(crate) fn aborted(&self) -> Option<Error> {
        locked(&self.0).aborted.clone()
    }

    /// How often the channel asked its source.
    pub(crate) fn calls(&self) -> usize {
        locked(&self.0).calls
    }

    /// True when the last call of the source was answered with Pending.
    pub(crate) fn paused_last(&self) -> bool {
        locked(&self.0).paused_last
    }

    /// The largest room that was ever offered.
    pub(crate) fn offered_max(&self) -> usize {
        locked(&self.0).offered_max
    }
}

struct Scripted(Script);

impl Source for Scripted {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let mut state = locked(&self.0.0);
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
        locked(&self.0.0).aborted = Some(cause.clone());
    }
}

/// An error that happens once and leaves the channel usable, as a read timeout does.
pub(crate) fn hiccup() -> Error {
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

/// The test's hand on a drain that records what is sent and takes no more than it was allowed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<RecorderState>>);

impl Recorder {
    /// A drain that takes `allowance` bytes and then waits.
    pub(crate) fn limited(allowance: usize) -> Self {
        let recorder = Self::default();
        locked(&recorder.0).allowance = allowance;
        recorder
    }

    /// A drain that takes everything.
    pub(crate) fn new() -> Self {
        Self::limited(usize::MAX)
    }

    /// A channel into this drain, sent by the end of turns that the test ends itself.
    pub(crate) fn channel(&self) -> (ByteWriteChannel, Arc<TestTurns>) {
        let turns = Arc::new(TestTurns::default());
        let outbox = self.outbox(&turns);
        (ByteWriteChannel::new(outbox, None), turns)
    }

    pub(crate) fn outbox(&self, turns: &Arc<TestTurns>) -> Arc<Outbox> {
        let drain = Box::new(Recording(self.clone()));
        Outbox::new(drain, Cause::default(), Arc::clone(turns) as Arc<dyn Turns>)
    }

    /// Takes `more` bytes more, and tells the outbox.
    pub(crate) fn allow(&self, more: usize) {
        let mut state = locked(&self.0);
        state.allowance = state.allowance.saturating_add(more);
        Self::wake(state);
    }

    /// Fails from the next send on.
    pub(crate) fn fail(&self, error: Error) {
        let mut state = locked(&self.0);
        state.error = Some(error);
        Self::wake(state);
    }

    /// Holds the end mark back, or lets it go.
    pub(crate) fn hold_end(&self, hold: bool) {
        let mut state = locked(&self.0);
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

    pub(crate) fn sent(&self) -> Vec<u8> {
        locked(&self.0).sent.clone()
    }

    pub(crate) fn sent_len(&self) -> usize {
        locked(&self.0).sent.len()
    }

    /// Calls of `poll_send` that took something.
    pub(crate) fn sends(&self) -> usize {
        locked(&self.0).sends
    }

    /// How many end marks were sent.
    pub(crate) fn ended(&self) -> usize {
        locked(&self.0).ended
    }

    pub(crate) fn aborted(&self) -> Option<Error> {
        locked(&self.0).aborted.clone()
    }

    /// True when the drain is gone.
    pub(crate) fn is_dropped(&self) -> bool {
        locked(&self.0).dropped
    }
}

struct Recording(Recorder);

impl Drain for Recording {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut Afterwards,
    ) -> Poll<Result<()>> {
        let mut state = locked(&self.0.0);
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

    fn poll_end(&mut self, cx: &mut Context<'_>, _: &mut Afterwards) -> Poll<Result<()>> {
        let mut state = locked(&self.0.0);
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

    fn abort(&mut self, cause: &Error, _: &mut Afterwards) {
        locked(&self.0.0).aborted = Some(cause.clone());
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        locked(&self.0.0).dropped = true;
    }
}

/// Turns that end when the test says so, and count what was asked of them.
#[derive(Debug, Default)]
pub(crate) struct TestTurns {
    deferred: Mutex<Vec<Arc<Outbox>>>,
    defers: AtomicUsize,
    lingering: Mutex<Vec<Arc<Outbox>>>,
}

impl TestTurns {
    /// Ends the turn: flushes what was deferred in it.
    pub(crate) fn end(&self) {
        let deferred = std::mem::take(&mut *locked(&self.deferred));
        for outbox in deferred {
            outbox.advance();
        }
    }

    /// How often an outbox was deferred, ever.
    pub(crate) fn defers(&self) -> usize {
        self.defers.load(SeqCst)
    }

    /// Outboxes without an owner, not seen off yet.
    pub(crate) fn lingering(&self) -> usize {
        let mut lingering = locked(&self.lingering);
        lingering.retain(|outbox| !outbox.is_settled());
        lingering.len()
    }
}

impl Turns for TestTurns {
    fn defer(&self, outbox: &Arc<Outbox>) {
        self.defers.fetch_add(1, SeqCst);
        locked(&self.deferred).push(Arc::clone(outbox));
    }

    fn linger(&self, outbox: Arc<Outbox>) {
        locked(&self.lingering).push(outbox);
    }
}

// ---- memory --------------------------------------------------------------------------------------

/// Runs with this thread's blocks counted; whatever is still in use at the end was leaked.
#[track_caller]
pub(crate) fn ledgered<T>(test: impl FnOnce(&BlockLedger) -> T) -> T {
    let ledger = Arc::new(BlockLedger::default());
    let pool = WorkerPool::enter(Arc::clone(&ledger));
    let outcome = test(&ledger);
    assert_eq!(ledger.in_use(), 0, "blocks left in use");
    drop(pool);
    assert_eq!(ledger.idle(), 0, "blocks left in a pool that is gone");
    outcome
}

/// One end of a [`duplex`]: what it writes, the other end reads.
#[derive(Debug)]
pub(crate) struct Duplex {
    pub(crate) input: ByteReadChannel,
    pub(crate) output: ByteWriteChannel,
}

/// Two pipes, crossed.
pub(crate) fn duplex(capacity: usize) -> (Duplex, Duplex) {
    let (left_input, right_output) = pipe(capacity);
    let (right_input, left_output) = pipe(capacity);
    let left = Duplex { input: left_input, output: left_output };
    (left, Duplex { input: right_input, output: right_output })
}
