//! Tasks: futures that run on a worker, with their panics contained.

mod blocking;
mod blocking_io;
mod contain;
mod control;
mod join;
mod report;
pub(crate) mod wait;

use std::sync::Arc;

use async_task::Runnable;
use forebay_io::{Error, Result};

pub(crate) use self::blocking::BlockingPool;
pub(crate) use self::blocking::run as run_blocking;
pub(crate) use self::blocking_io::{blocking_reader, blocking_writer};
use self::contain::{Contained, Kept};
pub(crate) use self::control::Tasks;
pub use self::join::JoinHandle;
pub(crate) use self::report::Reporter;

/// Makes a task that `schedule` is given whenever it is to be polled, and schedules it.
///
/// With `report`, an error that nobody awaits is reported.
pub(crate) fn start<T, F>(
    tasks: &Arc<Tasks>,
    reporter: &Arc<Reporter>,
    report: bool,
    future: F,
    schedule: impl Fn(Runnable) + Send + Sync + 'static,
) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let control = tasks.control();
    let watched = Arc::clone(&control);
    let told = Arc::clone(reporter);
    let contained = Contained::new(future, Arc::clone(&control));
    let future = async move {
        let result = contained.await.and_then(|result| result);
        if let Err(error) = &result
            && report
            && let Some(error) = watched.failed(error)
        {
            told.report(Reporter::OF_A_TASK, &error);
        }
        Kept::new(result)
    };
    let (runnable, task) = async_task::spawn(future, schedule);
    Tasks::started(&control, runnable.waker());
    runnable.schedule();
    JoinHandle::new(task.fallible(), control, Arc::clone(reporter))
}

/// The handle of a task that could not be started.
pub(crate) fn refused<T>(error: Error) -> JoinHandle<T> {
    JoinHandle::refused(error)
}
