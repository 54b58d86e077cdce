//! Accepting on a thread beside the workers, for a listener that another program makes blocking.
//!
//! `accept(2)` cannot say for itself that it does not wait. If the flag is changed between a look at it and the call,
//! and another program takes the connection in the same moment, the call waits for the next one. A worker must not.
//! So once a listener has been seen to be blocking, a thread makes the calls, one for each that is asked for.
//!
//! ```text
//!   accept ──► take: an outcome? ──► none: ask, if the descriptor was ready ──► the thread: accept ──► wake
//! ```

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use forebay_io::seam::{WakeList, unpoisoned};

use crate::lock::lock;
use crate::net::system;
use crate::net::wait_list::WaitList;

/// The handle of the thread, which ends with it.
pub(super) struct Beside(Arc<Exchange>);

/// The questions to the thread, and its answers.
#[derive(Default)]
struct Exchange {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_asked: bool,
    /// The last call has found a connection, and no event tells of a second one.
    may_have_more: bool,
    outcome: Option<io::Result<(OwnedFd, Option<SocketAddr>)>>,
    has_ended: bool,
}

impl Beside {
    /// Starts the thread, with a first call. It wakes `waits` when it has an outcome.
    pub(super) fn start(listener: OwnedFd, waits: Arc<WaitList>) -> io::Result<Self> {
        let exchange = Arc::<Exchange>::default();
        lock(&exchange.state).is_asked = true;
        let of_thread = Arc::clone(&exchange);
        thread::Builder::new()
            .name("forebay-accept".to_owned())
            .spawn(move || of_thread.run(&listener, &waits))?;
        Ok(Self(exchange))
    }

    /// Makes the thread make a call, and one more if it is in the middle of one.
    pub(super) fn ask(&self) {
        lock(&self.0.state).is_asked = true;
        self.0.changed.notify_one();
    }

    /// Takes the outcome of a call; if there is none but may be, asks for it.
    pub(super) fn take(&self) -> Option<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        let mut state = lock(&self.0.state);
        let outcome = state.outcome.take();
        if outcome.is_some() {
            state.may_have_more = true;
        } else if mem::take(&mut state.may_have_more) {
            state.is_asked = true;
        }
        drop(state);
        self.0.changed.notify_one();
        outcome
    }

    /// Ends the thread, after the call that it is in. A connection that was not taken is closed.
    pub(super) fn end(&self) {
        let mut state = lock(&self.0.state);
        state.has_ended = true;
        let left = state.outcome.take();
        drop(state);
        drop(left);
        self.0.changed.notify_one();
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.end();
    }
}

impl Exchange {
    fn run(&self, listener: &OwnedFd, waits: &WaitList) {
        while self.wait_until_asked() {
            let call = system::keep_from_blocking(listener.as_fd());
            let outcome = call.and_then(|()| system::accept(listener.as_fd()));
            let mut state = lock(&self.state);
            match &outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    state.is_asked = true;
                    continue;
                }
                _ if state.has_ended => return,
                _ => state.outcome = Some(outcome),
            }
            drop(state);
            let mut after = WakeList::new();
            waits.release(&mut after);
            after.run();
        }
    }

    /// Returns `false` at the end.
    fn wait_until_asked(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.has_ended {
                return false;
            }
            if state.outcome.is_none() && mem::take(&mut state.is_asked) {
                return true;
            }
            state = unpoisoned(self.changed.wait(state));
        }
    }
}
