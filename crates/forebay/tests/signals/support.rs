//! Raising signals, and waiting for them in several places.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use forebay::{Result, SelectorManager, SignalKind};
use forebay_testing::{alone, watched};
use futures_lite::future::{block_on, poll_once};
use rustix::process::Signal;

/// The numbers of workers that each test runs with.
pub(crate) const WORKERS: [u16; 3] = [1, 2, 4];

/// Every kind, and the signal that it stands for.
pub(crate) const KINDS: [(SignalKind, Signal); 8] = [
    (SignalKind::Child, Signal::CHILD),
    (SignalKind::Hangup, Signal::HUP),
    (SignalKind::Interrupt, Signal::INT),
    (SignalKind::Quit, Signal::QUIT),
    (SignalKind::Terminate, Signal::TERM),
    (SignalKind::User1, Signal::USR1),
    (SignalKind::User2, Signal::USR2),
    (SignalKind::WindowChange, Signal::WINCH),
];

/// Sends this thread a signal, whose handler has run when this returns (`raise(3)`). One to the whole process
/// would be another thread's, at some later time.
pub(crate) fn raise(signal: Signal) {
    signal_hook::low_level::raise(signal.as_raw()).unwrap();
}

/// Runs a test in a process of its own, on selectors with each number of workers.
pub(crate) fn on_each_number(
    test: &str,
    body: impl AsyncFn(SelectorManager) -> Result<()> + Copy + Send + 'static,
) {
    alone(test, || {
        for count in WORKERS {
            watched(move || SelectorManager::builder().workers(count).run(body)).unwrap();
        }
    });
}

/// Waits on a thread that belongs to no selector, and returns once the wait has begun.
pub(crate) fn waiting<T: Send + 'static>(
    wait: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut wait = Box::pin(wait);
        block_on(async {
            assert!(poll_once(&mut wait).await.is_none(), "it does not wait");
            tell.send(()).unwrap();
            wait.await
        })
    });
    told.recv().unwrap();
    thread
}

/// Lets this thread's worker poll the kernel again and again, so that everything has happened that is ready
/// to.
pub(crate) async fn settle() {
    for _ in 0..100 {
        forebay::yield_now().await;
    }
}

/// Asserts that the future waits.
pub(crate) async fn assert_waits<T>(what: &str, wait: impl Future<Output = T>) {
    let mut wait = Box::pin(wait);
    for _ in 0..2 {
        assert!(poll_once(&mut wait).await.is_none(), "{what}: it does not wait");
        settle().await;
    }
    assert!(poll_once(&mut wait).await.is_none(), "{what}: it does not wait");
}
