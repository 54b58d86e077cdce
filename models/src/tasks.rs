//! The live tasks of a worker, under the shipped group, control, list and wait.

#[path = "../../crates/forebay/src/task/control.rs"]
mod control;
#[path = "../../crates/forebay/src/task/group.rs"]
mod group;
#[path = "../../crates/forebay/src/task/live.rs"]
mod live;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_io::{Error, ErrorKind};

use self::control::Control;
use self::group::{TaskKind, Listing, Tasks};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::task::block_on;

/// A selector's tasks, and how it closes; the threads that run the tasks are the scenario's.
#[derive(Default)]
pub struct Group {
    tasks: Arc<Tasks>,
    /// Futures that are there.
    alive: AtomicUsize,
}

/// A task that was let in: a future that ends when it is aborted only, or at its first poll.
pub struct Started<'a> {
    group: &'a Group,
    listing: Listing,
}

/// A task's handle.
pub struct Handle(Arc<Control>);

impl Handle {
    /// Aborts the task.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// The handle gives the task's result.
    pub fn deliver(self) {
        self.0.delivered();
    }

    /// The handle is dropped. True if the task's error is to be reported.
    pub fn drop_unused(self) -> bool {
        self.0.detached().is_some()
    }
}

impl Group {
    /// Begins a user's task; nothing where it is refused.
    pub fn start(&self) -> Option<Started<'_>> {
        self.start_kind(TaskKind::Users)
    }

    /// Begins a task of the selector's own; nothing where it is refused.
    pub fn start_own(&self) -> Option<Started<'_>> {
        self.start_kind(TaskKind::Own)
    }

    fn start_kind(&self, kind: TaskKind) -> Option<Started<'_>> {
        let listing = self.tasks.list(kind)?;
        self.alive.fetch_add(1, Ordering::AcqRel);
        Some(Started { group: self, listing })
    }

    /// Closes as a selector does whose limit is over at once: users' tasks are refused and aborted,
    /// then those of the selector's own have their time. No task is there behind it, and none begins.
    pub fn close(&self) {
        self.close_beside(0);
    }

    /// Closes; `closing` tasks are left, which close as well.
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

    /// As a worker that is dropped does: refuses every task if there is none.
    pub fn refuse_all(&self) -> bool {
        self.tasks.refuse_all()
    }
}

impl Started<'_> {
    /// The task ends in an error. True if that is to be reported.
    pub fn fail(self) -> bool {
        let error = Error::new(ErrorKind::Other, "task");
        let is_reported = self.listing.control().failed(&error).is_some();
        self.end();
        is_reported
    }

    /// A handle of the task.
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

    /// The task is done at its first poll.
    pub fn run(self) {
        self.listing.poll(|| ());
        self.end();
    }

    /// The task closes its selector, which waits for all others.
    pub fn close_from_within(self) {
        self.listing.poll(|| self.group.close_beside(1));
        self.end();
    }

    /// The future is dropped first, and the listing behind it.
    fn end(self) {
        self.group.alive.fetch_sub(1, Ordering::AcqRel);
        drop(self.listing);
    }
}
