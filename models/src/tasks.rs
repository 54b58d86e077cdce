//! The live tasks of a worker, under the shipped group, control, list and wait.

#[allow(dead_code, reason = "the watch over a worker is not modelled")]
#[path = "../../crates/forebay/src/task/control.rs"]
mod control;
#[allow(dead_code, reason = "the watch over a worker is not modelled")]
#[path = "../../crates/forebay/src/task/group.rs"]
mod group;
#[path = "../../crates/forebay/src/task/live.rs"]
mod live;
#[allow(dead_code, reason = "the watch over a worker is not modelled")]
#[path = "../../crates/forebay/src/task/pulse.rs"]
mod pulse;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_io::{Error, ErrorKind};

use self::control::Control;
use self::group::{Listing, TaskKind, Tasks};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::task::block_on;

/// The tasks of a selector, and its close; the scenario provides the threads that run the tasks.
#[derive(Default)]
pub struct Group {
    tasks: Arc<Tasks>,
    /// The futures that exist.
    alive: AtomicUsize,
}

/// An accepted task: a future that ends only when it is aborted, or at its first poll.
pub struct Started<'a> {
    group: &'a Group,
    listing: Listing,
}

/// The handle of a task.
pub struct Handle(Arc<Control>);

impl Handle {
    /// Aborts the task.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Returns the task's result through the handle.
    pub fn deliver(self) {
        self.0.delivered();
    }

    /// Drops the handle. Returns `true` if the task's error must be reported.
    pub fn drop_unused(self) -> bool {
        self.0.detached().is_some()
    }
}

impl Group {
    /// Begins a user's task; `None` if it is refused.
    pub fn start(&self) -> Option<Started<'_>> {
        self.start_kind(TaskKind::Users)
    }

    /// Begins a task of the selector's own; `None` if it is refused.
    pub fn start_own(&self) -> Option<Started<'_>> {
        self.start_kind(TaskKind::Own)
    }

    fn start_kind(&self, kind: TaskKind) -> Option<Started<'_>> {
        let listing = self.tasks.list(kind, 0)?;
        self.alive.fetch_add(1, Ordering::AcqRel);
        Some(Started { group: self, listing })
    }

    /// Closes as a selector does whose limit has passed at once: users' tasks are refused and aborted, then
    /// the selector's own tasks have their time. After this no task exists, and none begins.
    pub fn close(&self) {
        self.close_beside(0);
    }

    /// Closes while `closing` tasks are left, which close as well.
    fn close_beside(&self, closing: usize) {
        let closer = self.tasks.closer();
        self.tasks.refuse_users();
        closer.abort_users();
        block_on(None, closer.users_ended());
        block_on(None, closer.others_ended());
        assert_eq!(self.alive.load(Ordering::Acquire), closing, "a task outlived the close");
        assert_eq!(self.tasks.len(), closing, "a task is listed that has ended");
        assert!(self.start().is_none() && self.start_own().is_none());
    }

    /// Asks all tasks to stop.
    pub fn request_stop(&self) {
        self.tasks.request_stop();
    }

    /// Refuses every task if there is none, as a worker does that is dropped.
    pub fn refuse_all(&self) -> bool {
        self.tasks.refuse_all()
    }
}

impl Started<'_> {
    /// Ends the task with an error. Returns `true` if that must be reported.
    pub fn fail(self) -> bool {
        let error = Error::new(ErrorKind::Other, "task");
        let is_reported = self.listing.control().failed(&error).is_some();
        self.end();
        is_reported
    }

    /// Returns a handle of the task.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(self.listing.control()))
    }

    /// Polls the task until it is aborted.
    pub fn run_until_aborted(self) {
        let control = self.listing.control();
        let mut is_first = true;
        block_on(
            None,
            poll_fn(|cx: &mut Context<'_>| {
                if std::mem::take(&mut is_first) {
                    control.started(cx.waker().clone());
                }
                if control.is_aborted() { Poll::Ready(()) } else { Poll::Pending }
            }),
        );
        self.end();
    }

    /// Polls the task until the group of all tasks is asked to stop, which must wake it.
    pub fn run_until_stopped(self) {
        let (control, tasks) = (self.listing.control(), &self.group.tasks);
        let mut is_first = true;
        block_on(
            None,
            poll_fn(|cx: &mut Context<'_>| {
                if std::mem::take(&mut is_first) {
                    control.started(cx.waker().clone());
                }
                if tasks.is_stop_requested() { Poll::Ready(()) } else { Poll::Pending }
            }),
        );
        self.end();
    }

    /// Completes the task at its first poll.
    pub fn run(self) {
        self.polled(|_| ());
    }

    /// Closes the selector from within the task, and waits for all others.
    pub fn close_from_within(self) {
        self.polled(|group| group.close_beside(1));
    }

    /// Runs as the poll of the task, which it completes.
    fn polled(self, poll: impl FnOnce(&Group)) {
        let Self { group, listing } = self;
        let mut listing = Some(listing);
        Listing::poll(&mut listing, || poll(group));
        group.alive.fetch_sub(1, Ordering::AcqRel);
        drop(listing);
    }

    /// Drops the future first, and the listing after it.
    fn end(self) {
        self.group.alive.fetch_sub(1, Ordering::AcqRel);
        drop(self.listing);
    }
}
