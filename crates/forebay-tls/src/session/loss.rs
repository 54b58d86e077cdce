//! The loss of the transport, and the error that is reported for it.
//!
//! ```text
//!   None ──► Met ──► Told      the peer's alert, if one had arrived; else the transport's error
//!                └─► Harmless  the peer had ended, and has acknowledged all data of this side
//! ```
//!
//! A transport is often lost because the peer has refused something and said so: its alert lies in the
//! kernel's buffer in front of the reset. So a loss is first only recorded (`Met`), by whichever call
//! notices it. It is reported (`Told`) once everything that had arrived before is read: by the reader, by
//! the session itself, or by a close. From then on both halves and every call return the same error.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::{Poll, Wake, Waker};

use forebay_io::Error;
use forebay_io::seam::{Afterwards, Filled};

use super::engine::Step;
use super::{Engine, Phase, Session, State};

/// The amount of plaintext that is kept for the reader before decrypting ahead of it stops. One receive, at
/// most a block, may come on top.
pub(super) const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// The state of a lost transport, and of the input that had arrived before.
#[derive(Debug, Clone)]
pub(super) enum Loss {
    None,
    /// Lost with this error. What had arrived before is not read yet.
    Met(Error),
    /// Lost, with the cause that every call returns from now on.
    Told(Error),
    /// Lost, but nothing was lost with it, so no error is reported.
    Harmless,
}

/// The amount of sent bytes that the other side has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// The transport counts acknowledged bytes.
    Bytes {
        /// The number of acknowledged bytes, plus a constant.
        count: u64,
        /// Some bytes are not acknowledged yet.
        in_flight: bool,
    },
    /// Whatever the transport has accepted counts as acknowledged.
    WhatWasTaken,
    /// The transport does not tell.
    Unknown,
}

impl Session {
    /// Handles the loss of the transport: reads what had arrived as far as possible now, then reports the
    /// error. Must not be called under a lock.
    pub fn lose(&self, error: &Error) {
        self.meet(error);
        self.look_into_loss();
    }

    /// Handles the loss of the transport when nothing more will be read: reports the error at once.
    pub fn settle(&self, error: &Error) {
        self.meet(error);
        self.tell();
    }

    /// Returns `true` if a loss with this error has not been reported yet.
    pub fn is_unsettled(&self) -> bool {
        self.enter().is_ok_and(|state| matches!(state.loss, Loss::None | Loss::Met(_)))
            && self.cause.get().is_none()
    }

    /// Returns `true` while a loss is recorded and not reported.
    pub(super) fn has_met_loss(&self) -> bool {
        self.met_loss.load(Relaxed)
    }

    fn meet(&self, error: &Error) {
        if let Ok(mut state) = self.enter() {
            self.note_loss(&mut state, error);
        }
    }

    /// Records that the transport is lost. The caller ensures that this is reported.
    pub(super) fn note_loss(&self, state: &mut State, error: &Error) {
        if matches!(state.loss, Loss::None) && state.phase != Phase::Failed {
            state.loss = Loss::Met(error.clone());
            // A handshake goes on with what had arrived, and fails by itself.
            if state.phase == Phase::Open {
                state.phase = Phase::Failed;
            }
            self.met_loss.store(true, Relaxed);
        }
    }

    /// Reads what had arrived before a loss, up to a limit or up to the peer's own message about it, and
    /// reports the loss. If another task reads (a handshake, a close, or a reader that asks the transport
    /// right now), that task reports it, here or through [`settle`](Self::settle).
    pub(super) fn look_into_loss(&self) {
        loop {
            let Ok(mut state) = self.enter() else { return };
            if !matches!(state.loss, Loss::Met(_)) {
                return;
            }
            if state.phase == Phase::Handshaking {
                // The driver of the handshake reads by itself; it is woken to do so.
                drop(state);
                let mut after = Afterwards::new();
                self.wake_all(&mut after);
                return after.run();
            }
            let is_read_elsewhere = state.inbox.is_none() || state.is_closing();
            if is_read_elsewhere {
                return;
            }
            self.look_ahead(&mut state);
            let is_full = state.kept.len() >= AHEAD_BYTES_MAX;
            let is_known = state.end.is_some() || self.cause.get().is_some();
            drop(state);
            // The limit is reached, or the peer's end or an error is known: no reason to wait any longer.
            if is_full || is_known {
                return self.tell();
            }
            let Some(arrival) = self.poll_ahead() else { continue };
            if self.enter().is_ok_and(|state| state.is_closing()) {
                return;
            }
            if !matches!(arrival, Poll::Ready(Ok(Filled::More))) {
                // Another thread may have received the rest meanwhile, and reports the loss when it comes
                // here.
                let is_here = self.enter().is_ok_and(|state| state.inbox.is_some());
                if is_here {
                    self.tell();
                }
                return;
            }
        }
    }

    /// Decrypts what has arrived for a later reader, up to a limit.
    pub(super) fn look_ahead(&self, state: &mut State) {
        let State { inbox: Some(inbox), kept, engine: Some(engine), end: None, .. } = state else {
            return;
        };
        let failure = loop {
            if kept.len() >= AHEAD_BYTES_MAX {
                break None;
            }
            match engine.work(inbox, &mut |plaintext| kept.push(plaintext), &mut |_| Ok(())) {
                Ok(Step::Plaintext) => {}
                Ok(Step::Handshaking | Step::Traffic | Step::Closed) => break None,
                Err(failure) => break Some(failure),
            }
        };
        self.met(state, failure);
    }

    /// Reports the recorded loss.
    fn tell(&self) {
        // Before the session's lock is taken: an outbox's lock comes first.
        let upper = self.upper.get().and_then(Weak::upgrade);
        // Without an upper outbox there is no data of this side.
        let is_sent = upper.as_ref().is_none_or(|upper| upper.queued_here() == 0);
        let queued = self.below.queued_here() as u64;
        let taken = self.below.accepted().saturating_sub(queued);
        let is_finishing = upper.as_ref().is_none_or(|upper| !upper.is_open());
        let Ok(mut state) = self.enter() else { return };
        if state.phase == Phase::Handshaking {
            return;
        }
        // Another thread may have received the rest.
        self.look_ahead(&mut state);
        let Loss::Met(error) = &state.loss else { return };
        let is_ending = is_finishing || state.is_closing();
        // Harmless only if both sides have ended and no data of this side is missing.
        let is_harmless = self.cause.get().is_none()
            && is_ending
            && is_sent
            && state.has_peer_closed()
            && state.is_all_acknowledged(taken);
        let told = if is_harmless {
            state.loss = Loss::Harmless;
            None
        } else {
            let cause = self.cause.record(state.named(error));
            state.loss = Loss::Told(cause.clone());
            Some(cause)
        };
        self.met_loss.store(false, Relaxed);
        drop(state);
        let mut after = Afterwards::new();
        self.wake_all(&mut after);
        if let Some(peer) = &self.peer {
            peer.loss_told(told.is_none(), &mut after);
        }
        after.run();
        match (told, upper) {
            (Some(cause), _) => self.tell_upper(&cause),
            // Its end mark counts as sent.
            (None, Some(upper)) => upper.advance(),
            (None, None) => {}
        }
    }

    /// Returns the reported cause, which replaces a clean end behind everything that was read.
    pub(super) fn told(&self) -> Option<Error> {
        match &self.enter().ok()?.loss {
            Loss::Told(cause) => Some(cause.clone()),
            _ => None,
        }
    }
}

impl State {
    /// Returns `true` while a close of the connection reads the input, past the session.
    pub(super) fn is_closing(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.is_closing())
    }

    fn has_peer_closed(&self) -> bool {
        self.engine.as_ref().is_some_and(Engine::has_peer_closed)
    }

    /// Records the transport's counters before anything is sent.
    pub(super) fn begin_counting(&mut self, taken: u64) {
        self.counted_from = (self.acknowledged(), taken);
    }

    fn acknowledged(&self) -> Acknowledged {
        self.peer.as_ref().map_or(Acknowledged::WhatWasTaken, |peer| peer.acknowledged())
    }

    /// Returns `true` if the peer has acknowledged all records with data. `taken` is what the transport has
    /// accepted so far.
    fn is_all_acknowledged(&self, taken: u64) -> bool {
        let (before, taken_before) = self.counted_from;
        let acknowledged = match (before, self.acknowledged()) {
            (
                Acknowledged::Bytes { count: before, in_flight: false },
                Acknowledged::Bytes { count, .. },
            ) => count.saturating_sub(before),
            (Acknowledged::WhatWasTaken, Acknowledged::WhatWasTaken) => {
                taken.saturating_sub(taken_before)
            }
            _ => return false,
        };
        acknowledged >= self.sealed_data
    }
}

/// Looks into a loss, when woken, that was noticed under a lock.
pub(super) struct LookInto(pub(super) Arc<Session>);

impl LookInto {
    pub(super) fn later(session: &Arc<Session>, after: &mut Afterwards) {
        after.wake(Waker::from(Arc::new(Self(Arc::clone(session)))));
    }
}

impl Wake for LookInto {
    fn wake(self: Arc<Self>) {
        self.0.look_into_loss();
    }
}
