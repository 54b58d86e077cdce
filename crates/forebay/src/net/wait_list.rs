//! Calls that wait for the same event: all of them are woken, and compete for it.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use forebay_io::seam::{WaiterKey, Waiters, WakeList, wait_in};

use crate::lock::lock;

/// The calls that wait on a socket that has one waker for all of them.
#[derive(Debug, Default)]
pub(super) struct WaitList(Mutex<Waiters<()>>);

impl WaitList {
    /// Adds a call, or replaces the waker of the one that `key` names.
    pub(super) fn join(&self, key: &mut Option<WaiterKey>, waker: &Waker) {
        let waker = waker.clone();
        let replaced = lock(&self.0).put(key, (), waker);
        drop(replaced);
    }

    /// Removes a call, if it is in the list.
    #[inline]
    pub(super) fn leave(&self, key: &mut Option<WaiterKey>) {
        if let Some(key) = key.take() {
            self.remove(key);
        }
    }

    fn remove(&self, key: WaiterKey) {
        let removed = lock(&self.0).remove(key);
        drop(removed);
    }

    /// Moves the wakers of all calls into `after`.
    pub(super) fn release(&self, after: &mut WakeList) {
        lock(&self.0).release(after, |()| true);
    }

    /// Waits until `is_so`, which is called under the list's lock whenever the calls are woken.
    pub(super) async fn until(&self, is_so: impl Fn() -> bool + Send + Unpin) {
        let check = move |_: &mut Waiters<()>| is_so().then_some(());
        wait_in(&self.0, |waiters| waiters, (), check).await;
    }
}

impl Wake for WaitList {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut after = WakeList::new();
        self.release(&mut after);
        after.run();
    }
}
