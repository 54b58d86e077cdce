//! A task, from its first poll to its result.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::Result;
use pin_project_lite::pin_project;

use super::contain::{Contained, Kept};
use super::control::Control;
use super::group::Listing;
use super::report::Reporter;

pin_project! {
    /// A future of the user's, and what becomes of its result.
    ///
    /// Written by hand: a future that was moved into an `async` block lies in it twice, once as it
    /// came and once as it is awaited, and a task would have twice the size of what it runs.
    pub(super) struct Running<F, I> {
        #[pin]
        contained: Contained<F>,
        into_result: I,
        control: Arc<Control>,
        reporter: Option<Arc<Reporter>>,
    }
}

impl<F, I> Running<F, I> {
    /// `into_result` makes the task's result of what the future gives. An error that nobody awaits
    /// is told to the reporter.
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
    type Output = Kept<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Kept<T>> {
        let this = self.project();
        let result = ready!(this.contained.poll(cx)).and_then(this.into_result);
        if let (Err(error), Some(reporter)) = (&result, this.reporter)
            && let Some(error) = this.control.failed(error)
        {
            reporter.report(Reporter::OF_A_TASK, &error);
        }
        Poll::Ready(Kept::new(result))
    }
}
