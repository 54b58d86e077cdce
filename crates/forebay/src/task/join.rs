//! Waiting for a task.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_task::FallibleTask;
use forebay_io::seam::poll_answer;
use forebay_io::{Error, Result};

use super::Executor;
use super::contain::{TaskResult, cancelled};
use super::control::Control;
use super::report::Reporter;

/// Waits for a task and returns its result. Dropping the handle detaches the task, which continues.
///
/// If the task panicked, the error has `is_panicked()`. If it was [aborted](Self::abort) or its selector
/// was closed, the error has `is_cancelled()`.
///
/// # Cancel safety
///
/// Releases: after a dropped wait, the handle can be awaited again (by `&mut`).
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let answer = selector.spawn_value(async { 6 * 7 });
///     assert_eq!(answer.await?, 42);
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[doc(alias = "Job")]
#[doc(alias = "Deferred")]
pub struct JoinHandle<T>(Inner<T>);

enum Inner<T> {
    Task {
        task: Option<FallibleTask<TaskResult<T>, Arc<dyn Executor>>>,
        control: Arc<Control>,
        reporter: Arc<Reporter>,
    },
    /// The task was never started.
    Refused(Option<Error>),
}

// The result is moved out, and never borrowed across polls.
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(super) fn new(
        task: FallibleTask<TaskResult<T>, Arc<dyn Executor>>,
        control: Arc<Control>,
        reporter: Arc<Reporter>,
    ) -> Self {
        Self(Inner::Task { task: Some(task), control, reporter })
    }

    pub(super) fn refused(error: Error) -> Self {
        Self(Inner::Refused(Some(error)))
    }

    /// Ends the task at its next await point: its future is dropped on its worker. Awaiting the handle then
    /// returns an error with `is_cancelled()`, unless the task was complete already.
    #[doc(alias = "cancel")]
    pub fn abort(&self) {
        if let Inner::Task { control, .. } = &self.0 {
            control.abort();
        }
    }

    /// Detaches the task, which continues, as dropping the handle does.
    pub fn detach(self) {}

    /// Returns `true` if the task has ended.
    #[doc(alias = "isCompleted")]
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Inner::Task { task, .. } => task.as_ref().is_none_or(FallibleTask::is_finished),
            Inner::Refused(_) => true,
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        match &mut self.0 {
            Inner::Refused(error) => {
                ready!(poll_answer(cx));
                Poll::Ready(Err(error.take().unwrap_or_else(cancelled)))
            }
            Inner::Task { task: None, .. } => Poll::Ready(Err(cancelled())),
            Inner::Task { task: Some(running), .. } => {
                let Poll::Ready(output) = Pin::new(running).poll(cx) else {
                    return Poll::Pending;
                };
                if let Inner::Task { task, control, .. } = &mut self.0 {
                    control.delivered();
                    *task = None;
                }
                Poll::Ready(output.map_or_else(|| Err(cancelled()), TaskResult::take))
            }
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Inner::Task { task, control, reporter } = &mut self.0 else {
            return;
        };
        let Some(task) = task.take() else { return };
        if let Some(error) = control.detached() {
            reporter.report_task(control.place(), &error);
        }
        task.detach();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_finished", &self.is_finished()).finish()
    }
}
