//! Watchdogs: a test that hangs fails, and says so.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::from_environment;

/// The time after which a test counts as hung. No test needs a tenth of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test's body on a thread of its own, and fails if it hangs: after [`PATIENCE`], or after as many
/// seconds as `FOREBAY_PATIENCE` says.
#[track_caller]
pub fn watched<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    watched_for(patience(), body)
}

/// Runs a body like [`watched`], which may take longer.
#[track_caller]
pub fn watched_for<T: Send + 'static>(
    patience: Duration,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, outcome) = mpsc::channel();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let running = thread::Builder::new().name(name).spawn(move || done.send(body()).ok()).unwrap();
    match outcome.recv_timeout(patience) {
        Ok(value) => {
            // A thread-local value of the test may panic while the thread ends.
            running.join().unwrap_or_else(|panic| resume_unwind(panic));
            value
        }
        Err(RecvTimeoutError::Timeout) => {
            panic!("hangs: a deadlock or a lost wake-up, not done after {patience:?}")
        }
        Err(RecvTimeoutError::Disconnected) => match running.join() {
            Err(panic) => resume_unwind(panic),
            Ok(_) => unreachable!("the thread sends before it ends"),
        },
    }
}

/// Runs a test like [`watched`] that is a future: only real wakers wake it, so that a lost wake-up is
/// found.
#[track_caller]
pub fn watched_future<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    watched(move || futures_lite::future::block_on(test()));
}

fn patience() -> Duration {
    Duration::from_secs(from_environment("FOREBAY_PATIENCE", PATIENCE.as_secs()))
}
