//! Turns that end when the scenario says so.

use std::sync::Arc;

use forebay_io::seam::{FlushSchedule, Outbox};

use crate::checker::{Condvar, Mutex, lock};

/// The time at which a deferred outbox is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In the call that defers it, as on a thread that has no turns.
    AtOnce,
    /// When a thread of the scenario ends a turn.
    AtTurn,
}

/// The turns of a worker that the scenario simulates.
pub struct TestSchedule {
    when: When,
    state: Mutex<State>,
    /// Rung for a thread that only ends turns.
    bell: Condvar,
}

#[derive(Default)]
struct State {
    deferred: Vec<Arc<Outbox>>,
    lingering: Vec<Arc<Outbox>>,
    closed: bool,
}

impl TestSchedule {
    /// Makes turns without a deferred outbox.
    pub fn new(when: When) -> Arc<Self> {
        let state = Mutex::new(State::default());
        Arc::new(Self { when, state, bell: Condvar::new() })
    }

    /// Flushes the outboxes deferred so far; returns `false` if there were none.
    pub fn end_turn(&self) -> bool {
        let deferred = std::mem::take(&mut lock(&self.state).deferred);
        advance_all(&deferred);
        !deferred.is_empty()
    }

    /// Ends turn after turn, like a worker that has nothing else to do, until they are closed.
    pub fn end_turns(&self) {
        loop {
            let mut state = lock(&self.state);
            while state.deferred.is_empty() && !state.closed {
                state = self.bell.wait(state).expect("a model that fails ends");
            }
            let deferred = std::mem::take(&mut state.deferred);
            drop(state);
            if deferred.is_empty() {
                return;
            }
            advance_all(&deferred);
        }
    }

    /// Ends the turns, after those that are due.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.bell.notify_all();
    }

    /// Drops the outboxes that had no owner any more; each of them must be settled by now.
    pub fn finish_in_background(&self) {
        let lingering = std::mem::take(&mut lock(&self.state).lingering);
        assert!(
            lingering.iter().all(|outbox| outbox.is_settled()),
            "an outbox without an owner is not settled"
        );
    }
}

impl FlushSchedule for TestSchedule {
    fn defer(&self, outbox: &Arc<Outbox>) {
        match self.when {
            When::AtOnce => outbox.advance(),
            When::AtTurn => {
                lock(&self.state).deferred.push(Arc::clone(outbox));
                self.bell.notify_all();
            }
        }
    }

    fn finish_in_background(self: Arc<Self>, outbox: Arc<Outbox>) {
        lock(&self.state).lingering.push(outbox);
    }
}

fn advance_all(deferred: &[Arc<Outbox>]) {
    for outbox in deferred {
        outbox.advance();
    }
}
