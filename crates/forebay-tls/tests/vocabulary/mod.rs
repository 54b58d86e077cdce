//! The words that the tests of sessions are written in: two sides over pipes, whoever sits between
//! them, a peer of rustls that the test leads by the hand, and records as they are on the wire.
//!
//! Nothing here knows sockets, and both sides are polled by one thread.

// Each test binary uses the words it needs.
#![allow(dead_code, unused_imports)]

mod middle;
mod puppet;
mod records;
mod seeds;
mod sides;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

pub(crate) use self::middle::{Middle, opened_with_middle, soon, with_middle};
pub(crate) use self::puppet::{Conn, Puppet, led, provider};
pub(crate) use self::records::{ALERT, DATA, HANDSHAKE, alert, plain_record, records};
pub(crate) use self::seeds::{Rng, pattern, seed, size};
pub(crate) use self::sides::{
    BOTH, Raw, Side, Version, client, client_of, fault, handshake, identity_pem, opened,
    opened_over, pair, server, server_of, side, side_and_raw, side_and_raw_over,
};

/// How many seconds a test may hang before its watchdog calls it a deadlock or a lost wake-up, unless
/// `FOREBAY_PATIENCE` says otherwise.
const PATIENCE_SECONDS: usize = 60;

/// Polls a test on a thread of its own, and fails instead of hanging. Whoever waits there is woken by
/// real wakers only, so that a wake-up that is lost is found.
#[track_caller]
pub(crate) fn watched<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let patience = Duration::from_secs(size("FOREBAY_PATIENCE", PATIENCE_SECONDS) as u64);
    let (done, is_done) = mpsc::channel();
    let watched = thread::spawn(move || {
        futures_lite::future::block_on(test());
        done.send(()).ok();
    });
    if let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(patience) {
        panic!("a deadlock or a lost wake-up: no progress for {patience:?}");
    }
    if let Err(panic) = watched.join() {
        std::panic::resume_unwind(panic);
    }
}
