//! Waits for changes without an event of their own, such as a row of `/proc/net/tcp` or a counter of
//! another thread. Changes with an event are awaited: a channel, a handle, a [`Signal`](crate::Signal).

use std::panic::Location;
use std::thread;
use std::time::Instant;

use futures_lite::future::yield_now;

use crate::PATIENCE;

/// Lets other threads run until the condition holds.
///
/// # Panics
///
/// If it does not hold within [`PATIENCE`].
#[track_caller]
pub fn wait_for(condition: impl FnMut() -> bool) {
    await_that("the condition here", condition);
}

/// Waits like [`wait_for`], with words for the failure.
#[track_caller]
pub fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        thread::yield_now();
    }
}

/// Lets other tasks run until the condition holds.
///
/// # Panics
///
/// If it does not hold within [`PATIENCE`].
#[track_caller]
pub fn until(condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    until_that("the condition there", condition)
}

/// Waits like [`until`], with words for the failure.
#[track_caller]
pub fn until_that(
    what: impl AsRef<str>,
    mut holds: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let since = Instant::now();
        while !holds() {
            assert!(since.elapsed() < PATIENCE, "{caller}: never: {}", what.as_ref());
            yield_now().await;
        }
    }
}
