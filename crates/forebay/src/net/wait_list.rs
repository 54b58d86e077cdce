//! Calls that wait for the same: all are woken, and race for what came.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use forebay_io::seam::{Afterwards, WaiterKey, Waiters};

use crate::lock::lock;
use crate::task::wait::wait_in;

/// The calls that wait on a socket which has one waker for all of them.
#[derive(Debug, Default)]
pub(super) struct WaitList(Mutex<Waiters<()>>);

impl WaitList {
    /// Lists a call, or gives the one named by `key` a new waker.
    pub(super) fn join(&self, key: &mut Option<WaiterKey>, waker: &Waker) {
        let waker = waker.clone();
        let replaced = lock(&self.0).put(key, (), waker);
        drop(replaced);
    }

    /// Takes a call out, where it is listed.
    pub(super) fn leave(&self, key: &mut Option<WaiterKey>) {
        if let Some(key) = key.take() {
            let removed = lock(&self.0).remove(key);
            drop(removed);
        }
    }

    /// Moves every call into `after`.
    pub(super) fn release(&self, after: &mut Afterwards) {
        lock(&self.0).release(after, |()| true);
    }

    /// Waits until `is_so`, which is asked when the calls are woken, under the list's lock.
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
        let mut after = Afterwards::new();
        self.release(&mut after);
        after.run();
    }
}
