//! Polling one future on a thread: the waker of a driving thread, and waiting beside a worker that another
//! thread drives.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::Thread;

use super::Worker;
use super::current::{self, Context};

/// The waker of the future that a driving thread runs between its tasks.
pub(super) struct MainWaker {
    woken: AtomicBool,
    worker: Arc<Worker>,
}

impl MainWaker {
    /// Returns the flag, which is set at first, and the waker that sets it.
    pub(super) fn new(worker: Arc<Worker>) -> (Arc<Self>, Waker) {
        let main = Arc::new(Self { woken: AtomicBool::new(true), worker });
        (Arc::clone(&main), Waker::from(main))
    }

    pub(super) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    pub(super) fn is_set(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.worker.notify();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on a thread that does not drive the worker. There are no turns here: what the future
/// writes is sent in the call itself.
pub(super) fn run<F: Future>(context: Rc<Context>, main: F) -> F::Output {
    let _current = current::enter(context);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = TaskContext::from_waker(&waker);
    let mut main = pin!(main);
    loop {
        if let Poll::Ready(output) = main.as_mut().poll(&mut cx) {
            return output;
        }
        std::thread::park();
    }
}
