//! Waits for what no poll watches, such as a thread: they end when their selector closes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Afterwards, Drain, Filled, Inlet, SendQueue, Source, WaiterKey, Waiters};
use forebay_io::{Error, Result};

use super::shared::Shared;
use crate::lock::lock;

/// The waits of a selector that are to be told when it begins to close.
#[derive(Debug, Default)]
pub(super) struct ClosingWaits(Mutex<Waiters<()>>);

impl ClosingWaits {
    /// Has each of them look at the selector's phase, which has changed.
    pub(super) fn wake_all(&self) {
        let mut after = Afterwards::new();
        lock(&self.0).release(&mut after, |()| true);
        after.run();
    }
}

impl Shared {
    /// Runs a future until it has its result or the selector closes, whichever is first.
    ///
    /// # Errors
    ///
    /// The future's; [`Closed`](forebay_io::ErrorKind::Closed) as soon as the selector is closing.
    pub(crate) async fn until_closing<T>(
        self: &Arc<Self>,
        operation: &'static str,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut future = pin!(future);
        let mut wait = Wait::new(self);
        poll_fn(|cx| {
            wait.poll(cx, |cx| future.as_mut().poll(cx), |selector| selector.check_open(operation))
        })
        .await
    }
}

/// One place in a selector's list; it is left when the wait is answered or dropped.
struct Wait {
    selector: Arc<Shared>,
    key: Option<WaiterKey>,
}

impl Wait {
    fn new(selector: &Arc<Shared>) -> Self {
        Self { selector: Arc::clone(selector), key: None }
    }

    /// Polls, and looks whether the selector still lets wait what is pending.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<Result<T>>,
        check: impl FnOnce(&Shared) -> Result<()>,
    ) -> Poll<Result<T>> {
        let polled = poll(cx);
        if polled.is_ready() {
            self.leave();
            return polled;
        }
        self.enter(cx.waker().clone());
        // Behind the lock that keeps the waker: a selector whose phase has changed before has not
        // found it there.
        if let Err(refusal) = check(&self.selector) {
            self.leave();
            return Poll::Ready(Err(refusal));
        }
        Poll::Pending
    }

    fn enter(&mut self, waker: Waker) {
        let replaced = lock(&self.selector.closing_waits().0).put(&mut self.key, (), waker);
        drop(replaced);
    }

    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            let removed = lock(&self.selector.closing_waits().0).remove(key);
            drop(removed);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A source that is read until its selector closes.
pub(super) struct UntilClosing<S> {
    source: S,
    operation: &'static str,
    wait: Wait,
}

impl<S> UntilClosing<S> {
    pub(super) fn new(selector: &Arc<Shared>, operation: &'static str, source: S) -> Self {
        Self { source, operation, wait: Wait::new(selector) }
    }
}

impl<S: Source> Source for UntilClosing<S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let Self { source, operation, wait } = self;
        let filled = match wait.selector.check_open(operation) {
            Ok(()) => {
                let check = |selector: &Shared| selector.check_open(operation);
                wait.poll(cx, |cx| source.poll_fill(cx, inlet), check)
            }
            Err(refusal) => Poll::Ready(Err(refusal)),
        };
        if let Poll::Ready(Err(error)) = &filled
            && wait.selector.is_closing()
        {
            // Nothing is read from here any more: what is under way keeps no waker.
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
}

/// A drain whose outbox is woken when its selector begins to close, so that its writers do not wait
/// for room any longer. Sending goes on, within the limits of closing.
pub(super) struct WokenByClosing<D> {
    drain: D,
    wait: Wait,
}

impl<D> WokenByClosing<D> {
    pub(super) fn new(selector: &Arc<Shared>, drain: D) -> Self {
        Self { drain, wait: Wait::new(selector) }
    }
}

impl<D: Drain> Drain for WokenByClosing<D> {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut Afterwards,
    ) -> Poll<Result<()>> {
        let Self { drain, wait } = self;
        wait.poll(cx, |cx| drain.poll_send(cx, queue, after), |_| Ok(()))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut Afterwards) -> Poll<Result<()>> {
        self.drain.poll_end(cx, after)
    }

    fn abort(&mut self, cause: &Error, after: &mut Afterwards) {
        self.wait.leave();
        self.drain.abort(cause, after);
    }
}
