//! A task's future, with its panics contained.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use forebay_io::seam::torn_down;
use forebay_io::{Error, ErrorKind, Result};
use pin_project_lite::pin_project;

use super::group::Listing;

pin_project! {
    /// Polls a future inside `catch_unwind` and drops it itself, so that the fields of a panicked future
    /// are dropped while writers can tell that it panicked (`seam::unwinding`).
    pub(super) struct Contained<F> {
        #[pin]
        future: Option<F>,
        // Dropped after the future: a task is listed for as long as its future exists. With the thread while
        // the future is polled.
        listing: Option<Listing>,
    }

    impl<F> PinnedDrop for Contained<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // Only a task that is not polled again still has its future here. async-task ends the process
            // if this drop panics, so the panic is contained.
            drop(caught(|| this.future.set(None)));
        }
    }
}

impl<F> Contained<F> {
    pub(super) fn new(future: F, listing: Listing) -> Self {
        Self { future: Some(future), listing: Some(listing) }
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(listing) = self.as_mut().project().listing {
            listing.begin_poll();
        }
        let polled = self.as_mut().poll_contained(cx);
        if let Some(listing) = self.project().listing {
            listing.end_poll();
        }
        polled
    }
}

impl<F: Future> Contained<F> {
    #[inline]
    fn poll_contained(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<F::Output>> {
        let mut this = self.project();
        if this.listing.as_ref().is_some_and(|listing| listing.control().is_aborted()) {
            let dropped = caught(|| this.future.set(None));
            return Poll::Ready(Err(dropped.err().unwrap_or_else(cancelled)));
        }
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(cancelled()));
        };
        match Listing::poll(this.listing, || caught(|| future.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => {
                let output = TaskResult::new(Ok(output));
                Poll::Ready(caught(|| this.future.set(None)).and_then(|()| output.take()))
            }
            Err(error) => {
                // A second panic while the future is dropped has been printed; the first one is the task's
                // error.
                drop(caught(|| torn_down(|| this.future.set(None))));
                Poll::Ready(Err(error))
            }
        }
    }
}

/// A task's result, until it is taken.
///
/// async-task drops a result that is not taken, and ends the process if that panics. So the drop is
/// contained here.
pub(super) struct TaskResult<T>(Option<Result<T>>);

impl<T> TaskResult<T> {
    pub(super) fn new(result: Result<T>) -> Self {
        Self(Some(result))
    }

    pub(super) fn take(mut self) -> Result<T> {
        self.0.take().unwrap_or_else(|| Err(cancelled()))
    }
}

impl<T> Drop for TaskResult<T> {
    fn drop(&mut self) {
        let result = self.0.take();
        drop(caught(|| drop(result)));
    }
}

/// Runs the user's code, turning a panic into an error with its message.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let error = panicked(payload.as_ref());
        drop_payload(payload);
        error
    })
}

/// Drops the payload of a panic, which is a user's value and may panic when it is dropped.
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(worse) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(worse);
    }
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "task")
        .with_detail("the task was aborted, or its selector closed")
}

/// Makes the error of a caught panic, with its message.
fn panicked(payload: &(dyn Any + Send)) -> Error {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic whose payload is not text".to_owned());
    Error::new(ErrorKind::Panicked, "task").with_detail(message)
}
