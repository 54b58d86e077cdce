//! Throwing away what arrives for nobody.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use forebay_io::seam::{Afterwards, Inbox};
use forebay_io::{Error, ErrorKind};

use super::engine::{Engine, Failure, Step};
use super::loss::Loss;
use super::{ARRIVED_BYTES_MAX, End, Phase, Session, State};
use crate::notes;

/// What was thrown away so far.
#[derive(Debug, Default)]
pub(super) struct Discarded {
    /// There was data in it.
    data: AtomicBool,
    /// Some of it was not given to rustls, so that nothing behind it can be.
    unseen: AtomicBool,
}

impl Session {
    /// Takes ciphertext that arrives while the connection is being closed. True if there was data
    /// in it or in what came before, if half a record was, or if that cannot be told: then the peer is
    /// still sending. False for what TLS itself says behind the handshake, session tickets above all,
    /// which a peer that only writes never reads.
    ///
    /// What is wrong with it, and an alert of the peer's, ends the session: the writer says why.
    pub fn discard(&self, arrived: &[u8]) -> bool {
        let discarded = &self.discarded;
        if discarded.unseen.load(Relaxed) {
            return true;
        }
        // Unless it is given to rustls below.
        discarded.unseen.store(true, Relaxed);
        let Ok(mut state) = self.enter() else { return true };
        state.close_to_readers();
        let may_look = state.phase == Phase::Open || matches!(state.loss, Loss::Met(_));
        let State { inbox: Some(inbox), engine: Some(engine), .. } = &mut *state else {
            return true;
        };
        if !may_look {
            // A reader on another thread has the inbox, or there is no session any more.
            return true;
        }
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
            // Behind our close_notify everything was said, and only a refusal is news.
            Err(failure) if has_notified && !failure.is_told_by_peer() => None,
            Err(failure) => Some(state.failed("close", failure, notes::take())),
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
        let mut after = Afterwards::new();
        self.wake_all(&mut after);
        after.run();
        self.tell_upper(&error);
    }
}

impl State {
    /// What follows has a gap in front of it: whoever reads is told so, and of no clean end that comes
    /// behind.
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
        while engine.work(inbox, &mut look, &mut |_| Ok(()))? == Step::Plaintext {}
        Ok(())
    }
}
