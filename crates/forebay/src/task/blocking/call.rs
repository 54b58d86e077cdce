//! A blocking call as a future.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use forebay_io::{Error, ErrorKind, Result};

use super::{BlockingPool, Job};
use crate::lock::lock;
use crate::task::contain::caught;

/// Runs `f` on a thread of the pool; the future returns its value.
///
/// The job is queued by this call, not by the first poll. `operation` is the user's call that it belongs
/// to, for errors.
///
/// # Errors
///
/// Returned by the future:
///
/// - [`ErrorKind::Panicked`]: `f` panicked.
/// - [`ErrorKind::Closed`]: the pool was closed before `f` could run.
/// - [`ErrorKind::Exhausted`]: the pool has no room for it, or no thread could be started.
///
/// # Cancel safety
///
/// Dropping the future abandons the value. A call that has begun runs to its end; a call that still waits
/// for a thread is skipped.
pub(crate) fn run<T, F>(
    pool: &BlockingPool,
    operation: &'static str,
    f: F,
) -> impl Future<Output = Result<T>> + Send + use<T, F>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let outcome = Arc::new(Outcome(Mutex::new(CallProgress::Pending(None))));
    let job =
        Box::new(Calling { outcome: Arc::clone(&outcome), operation, f: Some(f), result: None });
    let refused = pool.0.enqueue(operation, job).err().map(|(error, job)| {
        drop(outcome.replace(CallProgress::Done(Err(error))));
        job
    });
    BlockingCall { outcome, _refused: refused }
}

/// The place where a job leaves its value for the caller.
struct Outcome<T>(Mutex<CallProgress<T>>);

enum CallProgress<T> {
    /// Not done yet; contains the caller's waker once it has polled.
    Pending(Option<Waker>),
    Done(Result<T>),
    /// The value was taken, or the caller is gone.
    Over,
}

impl<T> Outcome<T> {
    /// Replaces the progress. The caller drops what is returned, outside the lock.
    fn replace(&self, next: CallProgress<T>) -> CallProgress<T> {
        mem::replace(&mut *lock(&self.0), next)
    }

    /// Stores the result and wakes the caller. Only the first result is stored. If the caller is gone, the
    /// result is dropped here.
    fn store(&self, result: Result<T>) {
        let mut progress = lock(&self.0);
        if !matches!(*progress, CallProgress::Pending(_)) {
            drop(progress);
            drop(result);
            return;
        }
        let before = mem::replace(&mut *progress, CallProgress::Done(result));
        drop(progress);
        if let CallProgress::Pending(Some(waker)) = before {
            waker.wake();
        }
    }

    fn is_over(&self) -> bool {
        matches!(*lock(&self.0), CallProgress::Over)
    }
}

/// The caller's side.
struct BlockingCall<T> {
    outcome: Arc<Outcome<T>>,
    /// A job that the pool refused. It owns the user's values, and the call may be made under a lock, so it
    /// is dropped together with the future.
    _refused: Option<Box<dyn Job>>,
}

impl<T> Future for BlockingCall<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let mut progress = lock(&self.outcome.0);
        if let CallProgress::Pending(kept) = &mut *progress {
            let old = kept.replace(waker);
            drop(progress);
            drop(old);
            return Poll::Pending;
        }
        let before = mem::replace(&mut *progress, CallProgress::Over);
        drop(progress);
        match before {
            CallProgress::Done(result) => Poll::Ready(result),
            CallProgress::Pending(_) | CallProgress::Over => panic!("polled after it was ready"),
        }
    }
}

impl<T> Drop for BlockingCall<T> {
    fn drop(&mut self) {
        drop(self.outcome.replace(CallProgress::Over));
    }
}

/// The job's side. If it is dropped without having run, it reports that the pool was closed.
struct Calling<T, F> {
    outcome: Arc<Outcome<T>>,
    operation: &'static str,
    f: Option<F>,
    result: Option<Result<T>>,
}

impl<T: Send, F: FnOnce() -> T + Send> Job for Calling<T, F> {
    fn call(&mut self) {
        let Some(f) = self.f.take() else { return };
        if self.outcome.is_over() {
            return drop(f);
        }
        self.result = Some(caught(f));
        if self.outcome.is_over() {
            self.result = None;
        }
    }

    fn hand_over(mut self: Box<Self>) {
        if let Some(result) = self.result.take() {
            self.outcome.store(result);
        }
    }
}

impl<T, F> Drop for Calling<T, F> {
    fn drop(&mut self) {
        self.outcome.store(Err(Error::new(ErrorKind::Closed, self.operation)));
    }
}
