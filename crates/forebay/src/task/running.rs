//! A task, from its first poll to its result.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::Result;
use pin_project_lite::pin_project;

use super::contain::{Contained, TaskResult};
use super::control::Control;
use super::group::Listing;
use super::report::Reporter;

pin_project! {
    /// A user's future, and the treatment of its result.
    ///
    /// Written by hand, because a future that is moved into an `async` block is stored there twice, once as
    /// it was moved in and once as it is awaited. A task would have twice the size of its future.
    pub(super) struct Running<F, I> {
        #[pin]
        contained: Contained<F>,
        into_result: I,
        control: Arc<Control>,
        reporter: Option<Arc<Reporter>>,
    }
}

impl<F, I> Running<F, I> {
    /// Makes a task from a future. `into_result` turns its output into the task's result. An error that is
    /// not awaited is reported to `reporter`.
    pub(super) fn new(
        future: F,
        into_result: I,
        listing: Listing,
        reporter: Option<Arc<Reporter>>,
    ) -> Self {
        let control = Arc::clone(listing.control());
        let contained = Contained::new(future, listing);
        Self { contained, into_result, control, reporter }
    }
}

impl<T, F: Future, I: Fn(F::Output) -> Result<T>> Future for Running<F, I> {
    type Output = TaskResult<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TaskResult<T>> {
        let this = self.project();
        let result = ready!(this.contained.poll(cx)).and_then(this.into_result);
        if let (Err(error), Some(reporter)) = (&result, this.reporter)
            && let Some(error) = this.control.failed(error)
        {
            reporter.report_task(this.control.place(), &error);
        }
        Poll::Ready(TaskResult::new(result))
    }
}
