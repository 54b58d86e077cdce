//! A future with a deadline.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use forebay_io::{Error, ErrorKind, Result};

use super::queue::deadline_after;
use super::{Sleep, Timers};

thread_local! {
    /// The deadline of the future that this thread polls is over.
    static LAST_POLL: Cell<bool> = const { Cell::new(false) };
}

/// Returns `true` in the last poll of a future whose deadline is over. A call that would wait asks the
/// system itself then, because the worker that watches the socket may be another one than that of the
/// timer, and may be held up.
pub(crate) fn is_last_poll() -> bool {
    LAST_POLL.try_with(Cell::get).unwrap_or(false)
}

/// See [`is_last_poll`].
struct LastPoll {
    before: bool,
}

impl LastPoll {
    fn enter() -> Self {
        Self { before: LAST_POLL.try_with(|last| last.replace(true)).unwrap_or(false) }
    }
}

impl Drop for LastPoll {
    fn drop(&mut self) {
        LAST_POLL.try_with(|last| last.set(self.before)).ok();
    }
}

/// Returns the future's output, or `None` if the deadline comes first. The future is polled first, so that
/// an output that is ready at the same moment counts.
pub(crate) async fn within<F: Future>(
    timers: Arc<Timers>,
    duration: Duration,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let deadline = deadline_after(timers.now(), duration);
    let mut sleep = pin!(Sleep::until(timers, deadline));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        ready!(sleep.as_mut().poll(cx));
        let _last = LastPoll::enter();
        // On a thread other than the worker's, the future may have been polled before the worker looked at
        // its sockets, and the sleep after that.
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Returns the future's result, or an error that names the duration.
pub(crate) async fn timeout<T>(
    timers: Arc<Timers>,
    duration: Duration,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    match within(timers, duration, future).await {
        Some(result) => result,
        None => Err(Error::new(ErrorKind::TimedOut, "timeout")
            .with_detail(format!("elapsed after {duration:?}, the duration given"))),
    }
}
