//! A future with a deadline.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use forebay_io::{Error, ErrorKind, Result};

use super::queue::deadline_after;
use super::{Sleep, Timers};

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
            .with_detail(format!("elapsed after {duration:?}"))),
    }
}
