//! Tasks: futures that run on a worker, with their panics contained.

mod blocking;
mod blocking_io;
mod contain;
mod control;
mod group;
mod join;
mod live;
mod pulse;
mod report;
mod running;
mod stop;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_task::{Builder, Runnable};
use forebay_io::{Error, Result};

pub(crate) use self::blocking::BlockingPool;
pub(crate) use self::blocking::run as run_blocking;
pub(crate) use self::blocking_io::{READER, blocking_drain, blocking_source};
pub(crate) use self::contain::caught;
pub(crate) use self::group::{Listing, Place, TaskKind, Tasks, current_lists};
pub use self::join::JoinHandle;
pub(crate) use self::pulse::{Beat, Pulse};
pub(crate) use self::report::{Handler, Reporter};
use self::running::Running;
pub use self::stop::StopRequested;

/// An executor, which polls tasks on a thread of its own choice. Each task has a reference to its executor
/// beside it, and not in its schedule function: async-task counts fewer references for a function that captures
/// nothing.
pub(crate) trait Executor: Send + Sync {
    /// Queues a task of this executor, which is to be polled.
    fn schedule(self: Arc<Self>, task: Scheduled);
}

/// A task that is to be polled.
pub(crate) type Scheduled = Runnable<Arc<dyn Executor>>;

/// Makes a listed task of this executor, and schedules it. `here` queues a task on the thread that schedules it, if
/// that thread polls the tasks of the task's executor, and returns it otherwise.
///
/// `into_result` turns the future's output into the task's result. With `report`, an error that is not
/// awaited is reported.
#[track_caller]
pub(crate) fn start<T, F>(
    listing: Listing,
    reporter: &Arc<Reporter>,
    report: bool,
    future: F,
    into_result: impl Fn(F::Output) -> Result<T> + Send + 'static,
    executor: Arc<dyn Executor>,
    here: impl Fn(Scheduled) -> Option<Scheduled> + Copy + Send + Sync + 'static,
) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output: Send> + Send + 'static,
{
    let control = Arc::clone(listing.control());
    let told = report.then(|| Arc::clone(reporter));
    let running = Running::new(future, into_result, listing, told);
    let schedule = move |task: Scheduled| {
        if let Some(task) = here(task) {
            Arc::clone(task.metadata()).schedule(task);
        }
    };
    let (runnable, task) = Builder::new().metadata(executor).spawn(|_| running, schedule);
    control.started(runnable.waker());
    runnable.schedule();
    JoinHandle::new(task.fallible(), control, Arc::clone(reporter))
}

/// Makes the handle of a task that could not be started.
pub(crate) fn refused<T>(error: Error) -> JoinHandle<T> {
    JoinHandle::refused(error)
}
