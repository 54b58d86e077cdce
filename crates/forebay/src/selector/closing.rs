//! The phase of a selector's end, and the waits that it answers.
//!
//! ```text
//!   open ──► closing: no new work, waits return `Closed`, what has begun may end
//!              └──► stopped: no task is left, and nothing is watched any more
//! ```

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Drain, Filled, Inlet, SendQueue, Source, WaiterKey, Waiters, WakeList};
use forebay_io::{Error, ErrorKind, Result};

use crate::lock::lock;
use crate::time::{Over, WakeUp};

/// Everything is accepted.
const OPEN: u8 = 0;
/// No new work is accepted; waits return `Closed`; what has begun may end.
const CLOSING: u8 = 1;
/// Nothing runs here any more.
const STOPPED: u8 = 2;

/// The phase of a selector's end, with all waits that no poll of its workers watches. Each of them is woken
/// when the phase changes.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    phase: AtomicU8,
    /// Waits without a waker here, such as those of a listener that another host watches.
    unwatched: Mutex<Vec<Weak<dyn WakeUp>>>,
    /// Waits for a thread.
    waits: Mutex<Waiters<()>>,
}

/// The purpose of a wait, which decides how a closing selector affects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// A call of the user: a closing selector ends it.
    User,
    /// Work that completes a connection (sending accepted bytes, closing): a closing selector lets it
    /// finish, until the selector itself has stopped.
    WayOut,
}

impl Closing {
    pub(crate) fn has_begun(&self) -> bool {
        self.phase.load(Ordering::Acquire) != OPEN
    }

    /// Fails if a wait for this purpose may not go on.
    pub(crate) fn check_wait(&self, waits: Waits) -> Result<()> {
        let refused_from = match waits {
            Waits::User => CLOSING,
            Waits::WayOut => STOPPED,
        };
        let is_refused = self.phase.load(Ordering::Acquire) >= refused_from;
        if is_refused { Err(closed("wait")) } else { Ok(()) }
    }

    /// Fails once the selector is being closed.
    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.has_begun() { Err(closed(operation)) } else { Ok(()) }
    }

    /// Begins the end. Returns `true` the first time.
    pub(super) fn begin(&self) -> bool {
        let begun = self.phase.compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire);
        begun.is_ok()
    }

    pub(super) fn stop(&self) {
        self.phase.store(STOPPED, Ordering::Release);
    }

    /// Wakes `waits` when the selector closes, and when it stops.
    pub(crate) fn on_change(&self, waits: Weak<dyn WakeUp>) {
        let mut unwatched = lock(&self.unwatched);
        if unwatched.len() == unwatched.capacity() {
            // Entries that are gone are removed when the list would have to grow. The next time is only
            // after as many additions as there are entries now.
            unwatched.retain(|waits| waits.strong_count() > 0);
            let live = unwatched.len();
            unwatched.reserve(live.max(16));
        }
        unwatched.push(waits);
    }

    /// Wakes an object that closes with the selector: when that closes, or now, if it was closed before.
    pub(crate) fn close_with<T: WakeUp + 'static>(&self, closes: &Arc<T>) {
        let closes = Arc::clone(closes) as Arc<dyn WakeUp>;
        self.on_change(Arc::downgrade(&closes));
        // A close that came before the registration has not woken it.
        closes.wake_up();
    }

    /// Makes each wait check the phase, which has changed.
    pub(super) fn wake_all_waits(&self) {
        let unwatched: Vec<_> = lock(&self.unwatched).iter().filter_map(Weak::upgrade).collect();
        for waits in unwatched {
            waits.wake_up();
        }
        let mut after = WakeList::new();
        lock(&self.waits).release(&mut after, |()| true);
        after.run();
    }

    /// Runs a future until it is ready or the selector closes, whichever is first.
    ///
    /// # Errors
    ///
    /// The future's; [`Closed`](forebay_io::ErrorKind::Closed) as soon as the selector is closing.
    pub(crate) async fn until_begun<T>(
        self: &Arc<Self>,
        operation: &'static str,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut future = pin!(future);
        let mut wait = ClosingWait::new(self);
        poll_fn(|cx| {
            wait.poll(cx, |cx| future.as_mut().poll(cx), |closing| closing.check_open(operation))
        })
        .await
    }
}

/// An entry in a selector's list, removed when the wait is answered or dropped.
struct ClosingWait {
    closing: Arc<Closing>,
    key: Option<WaiterKey>,
}

impl ClosingWait {
    fn new(closing: &Arc<Closing>) -> Self {
        Self { closing: Arc::clone(closing), key: None }
    }

    /// Polls, and checks whether the selector still allows a pending call to wait.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<Result<T>>,
        check: impl FnOnce(&Closing) -> Result<()>,
    ) -> Poll<Result<T>> {
        let polled = poll(cx);
        if polled.is_ready() {
            self.leave();
            return polled;
        }
        self.enter(cx.waker().clone());
        // Checked after the lock that stores the waker: if the phase has changed before that, the selector
        // has not found the waker there.
        if let Err(refusal) = check(&self.closing) {
            self.leave();
            return Poll::Ready(Err(refusal));
        }
        Poll::Pending
    }

    fn enter(&mut self, waker: Waker) {
        let replaced = lock(&self.closing.waits).put(&mut self.key, (), waker);
        drop(replaced);
    }

    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            let removed = lock(&self.closing.waits).remove(key);
            drop(removed);
        }
    }
}

impl Drop for ClosingWait {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A source that is read until its selector closes.
pub(super) struct UntilClosing<S> {
    source: S,
    operation: &'static str,
    wait: ClosingWait,
}

impl<S> UntilClosing<S> {
    pub(super) fn new(closing: &Arc<Closing>, operation: &'static str, source: S) -> Self {
        Self { source, operation, wait: ClosingWait::new(closing) }
    }
}

impl<S: Source> Source for UntilClosing<S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let Self { source, operation, wait } = self;
        let filled = match wait.closing.check_open(operation) {
            Ok(()) => {
                let check = |closing: &Closing| closing.check_open(operation);
                wait.poll(cx, |cx| source.poll_fill(cx, inlet), check)
            }
            Err(refusal) => Poll::Ready(Err(refusal)),
        };
        if let Poll::Ready(Err(error)) = &filled
            && wait.closing.has_begun()
        {
            // The source is not read any more, so that a call in progress keeps no waker.
            source.abort(error);
        }
        filled
    }

    fn abort(&mut self, cause: &Error) {
        self.source.abort(cause);
    }

    fn cause(&self) -> Option<Error> {
        self.source.cause()
    }

    fn peer(&self) -> Option<String> {
        self.source.peer()
    }
}

/// A drain whose outbox is woken when its selector begins to close, so that its writers stop waiting for
/// room. Sending continues, within the limits of closing.
pub(super) struct WokenByClosing<D> {
    drain: D,
    wait: ClosingWait,
}

impl<D> WokenByClosing<D> {
    pub(super) fn new(closing: &Arc<Closing>, drain: D) -> Self {
        Self { drain, wait: ClosingWait::new(closing) }
    }
}

impl<D: Drain> Drain for WokenByClosing<D> {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        let Self { drain, wait } = self;
        wait.poll(cx, |cx| drain.poll_send(cx, queue, after), |_| Ok(()))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>> {
        self.drain.poll_end(cx, after)
    }

    fn abort(&mut self, cause: &Error, after: &mut WakeList) {
        self.wait.leave();
        self.drain.abort(cause, after);
    }

    fn peer(&self) -> Option<String> {
        self.drain.peer()
    }
}

/// The error of a peer that was given up because it did not take everything within the limits.
pub(crate) fn given_up(operation: &'static str, over: Over) -> Error {
    Error::new(ErrorKind::TimedOut, operation).with_detail(match over {
        Over::Silence(silence) => format!(
            "the peer has acknowledged nothing for {silence:?}, and not everything before that \
             (drain_timeout sets this)"
        ),
        Over::Total(total) => {
            format!(
                "the peer has not acknowledged everything after {total:?} (drain_max sets this)"
            )
        }
    })
}

/// The error of a closed selector.
pub(crate) fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation)
        .with_detail("the selector was closed; another one takes new calls")
}
