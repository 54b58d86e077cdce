//! A task's future, with its panics contained.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_io::seam::torn_down;
use forebay_io::{Error, ErrorKind, Result};
use pin_project_lite::pin_project;

use super::control::Control;

pin_project! {
    /// Polls a future inside `catch_unwind` and drops it itself, so that the wreck of a panicked
    /// task is dropped while writers can see what happened (`seam::unwinding`).
    pub(super) struct Contained<F> {
        #[pin]
        future: Option<F>,
        control: Arc<Control>,
    }

    impl<F> PinnedDrop for Contained<F> {
        fn drop(this: Pin<&mut Self>) {
            this.project().control.ended();
        }
    }
}

impl<F> Contained<F> {
    pub(super) fn new(future: F, control: Arc<Control>) -> Self {
        Self {
            future: Some(future),
            control,
        }
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.control.is_aborted() {
            let dropped = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
            return Poll::Ready(Err(match dropped {
                Ok(()) => cancelled(),
                Err(payload) => panicked(payload.as_ref()),
            }));
        }
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(cancelled()));
        };
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => {
                this.future.set(None);
                Poll::Ready(Ok(output))
            }
            Err(payload) => {
                let wreck = AssertUnwindSafe(|| torn_down(|| this.future.set(None)));
                // A second panic while the wreck is cleared away has been printed; the first
                // is the one that counts.
                drop(catch_unwind(wreck));
                Poll::Ready(Err(panicked(payload.as_ref())))
            }
        }
    }
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "task")
        .with_detail("the task was aborted, or its selector closed")
}

/// The error of a caught panic, with its message.
pub(super) fn panicked(payload: &(dyn Any + Send)) -> Error {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic whose payload is not text".to_owned());
    Error::new(ErrorKind::Panicked, "task").with_detail(message)
}
