//! Discarding what arrives while the connection is being closed.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use forebay_io::seam::{Inbox, WakeList};
use forebay_io::{Error, ErrorKind};

use super::Session;
use super::engine::{Engine, Failure, Step};
use super::state::{ARRIVED_BYTES_MAX, End, Loss, SessionPhase, State};
use crate::callback_facts;

/// A record of what has been discarded so far.
#[derive(Debug, Default)]
pub(super) struct Discarded {
    /// It contained data.
    data: AtomicBool,
    /// Some of it was not given to rustls. Nothing behind it can be decrypted.
    unseen: AtomicBool,
}

impl Session {
    /// Takes ciphertext that arrives while the connection is being closed. Returns `true` if the peer is
    /// still sending: if the ciphertext, or what came before it, contains data or half a record, or if that
    /// is not known. Returns `false` for messages of TLS itself after the handshake. These are mostly
    /// session tickets, which a peer that only writes never reads.
    ///
    /// An invalid record and an alert of the peer end the session, so that the writer gets the error.
    pub fn discard(&self, arrived: &[u8]) -> bool {
        let discarded = &self.discarded;
        if discarded.unseen.load(Relaxed) {
            return true;
        }
        // Reset below, once rustls has seen it.
        discarded.unseen.store(true, Relaxed);
        let Ok(mut state) = self.enter() else { return true };
        state.close_to_readers();
        let may_look = state.phase == SessionPhase::Open || matches!(state.loss, Loss::Met(_));
        let State { inbox: Some(inbox), engine: Some(engine), .. } = &mut *state else {
            return true;
        };
        if !may_look {
            // A reader on another thread has the inbox, or the session is over.
            return true;
        }
        // More than any message has: what cannot be decrypted so far is taken for data.
        if inbox.len() + arrived.len() > ARRIVED_BYTES_MAX {
            return true;
        }
        inbox.append(arrived);
        let outcome = discarded.look(engine, inbox);
        let sends = discarded.data.load(Relaxed) || !inbox.is_empty();
        let has_notified = engine.has_notified();
        self.queue_own(&mut state);
        let error = match outcome {
            Ok(()) => {
                discarded.unseen.store(false, Relaxed);
                None
            }
            // Everything of this side was said before its `close_notify`; after that only an alert of the
            // peer is news.
            Err(failure) if has_notified && !failure.is_told_by_peer() => None,
            Err(failure) => Some(state.failed("close", failure, callback_facts::take())),
        };
        drop(state);
        self.send_own();
        if let Some(error) = error {
            self.met_while_closing(error);
        }
        sends
    }

    fn met_while_closing(&self, error: Error) {
        let error = self.cause.record(error);
        let mut after = WakeList::new();
        self.wake_all(&mut after);
        after.run();
        self.tell_upper(&error);
    }
}

impl State {
    /// Makes every later read return an error: discarding leaves a gap, so a clean end must not be reported
    /// behind it.
    fn close_to_readers(&mut self) {
        if self.end.is_none() {
            self.end = Some(End::Failed(self.closed_here()));
        }
    }

    pub(super) fn closed_here(&self) -> Error {
        let error = Error::new(ErrorKind::Closed, "read");
        self.named(&error.with_detail("the connection was closed on this side"))
    }
}

impl Discarded {
    fn look(&self, engine: &mut Engine, inbox: &mut Inbox) -> Result<(), Failure> {
        let mut look = |plaintext: &[u8]| {
            self.data.fetch_or(!plaintext.is_empty(), Relaxed);
        };
        // One step may stop at each record with data.
        while engine.work(inbox, &mut look, &mut |_| Ok(()))? == Step::Plaintext {}
        Ok(())
    }
}
