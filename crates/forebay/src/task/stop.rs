//! Waiting until a task is asked to stop.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_io::seam::WaiterKey;

use super::group::Tasks;

/// Waits until tasks are asked to stop, by [`TaskGroup::stop`](crate::TaskGroup::stop) or because their
/// selector begins to close. Returned by [`stop_requested`](crate::stop_requested) and
/// [`TaskGroup::stop_requested`](crate::TaskGroup::stop_requested).
///
/// It may be awaited by `&mut`, and again: once the request was made, it is always ready.
///
/// # Cancel safety
///
/// Releases: nothing is left behind.
#[must_use = "it does nothing unless it is awaited"]
pub struct StopRequested {
    /// The lists whose tasks may be asked: the selector's, and the group's. Without any, it waits forever.
    lists: [Option<AskedList>; 2],
}

struct AskedList {
    tasks: Arc<Tasks>,
    key: Option<WaiterKey>,
}

impl StopRequested {
    /// Makes a wait for a request to any of these.
    pub(crate) fn to(selector: Option<Arc<Tasks>>, group: Option<Arc<Tasks>>) -> Self {
        Self { lists: [selector, group].map(|tasks| Some(AskedList { tasks: tasks?, key: None })) }
    }

    fn is_made(&self) -> bool {
        self.lists.iter().flatten().any(|list| list.tasks.is_stop_requested())
    }
}

impl Future for StopRequested {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_made() {
            return Poll::Ready(());
        }
        for list in self.lists.iter_mut().flatten() {
            // Thousands of handlers wait for this beside each line that they read. A request wakes all tasks
            // of a list in any case, so a task that waits itself leaves nothing in a list of waiters, which
            // would take a lock, and a search when the wait is dropped. A waker of another kind is left:
            // that of a part of a task, of a task elsewhere, or of another executor.
            if !list.tasks.wakes_by_itself(cx.waker()) {
                list.tasks.put_stop_waiter(&mut list.key, cx.waker().clone());
            }
        }
        // A request after the first look may have found no waker.
        if self.is_made() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for StopRequested {
    fn drop(&mut self) {
        for list in self.lists.iter_mut().flatten() {
            if let Some(key) = list.key.take() {
                list.tasks.remove_stop_waiter(key);
            }
        }
    }
}

impl fmt::Debug for StopRequested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopRequested").field("is_made", &self.is_made()).finish()
    }
}
