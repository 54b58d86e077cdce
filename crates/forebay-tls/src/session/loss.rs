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
use forebay_io::seam::{Filled, WakeList};

use super::Session;
use super::engine::Step;
use super::state::{Loss, SessionPhase, State};

/// The amount of plaintext that is kept for the reader before decrypting ahead of it stops. One receive, at
/// most a block, may come on top.
pub(super) const AHEAD_BYTES_MAX: usize = 64 * 1024;

impl Session {
    /// Handles the loss of the transport: reads what had arrived as far as possible now, then reports the
    /// error. Must not be called under a lock.
    pub fn lose(&self, error: &Error) {
        self.meet(error);
        self.look_into_loss();
    }

    /// Handles the loss of the transport when nothing more will be read: reports the error at once.
    pub fn report_loss(&self, error: &Error) {
        self.meet(error);
        self.tell();
    }

    /// Returns `true` if a loss with this error has not been reported yet.
    pub fn is_loss_unreported(&self) -> bool {
        self.enter().is_ok_and(|state| matches!(state.loss, Loss::None | Loss::Met(_)))
            && self.cause.get().is_none()
    }

    /// Returns `true` while a loss is recorded and not reported.
    pub(super) fn has_met_loss(&self) -> bool {
        self.met_loss.load(Relaxed)
    }

    fn meet(&self, error: &Error) {
        if let Ok(mut state) = self.enter() {
            self.record_loss(&mut state, error);
        }
    }

    /// Records that the transport is lost. The caller ensures that this is reported.
    pub(super) fn record_loss(&self, state: &mut State, error: &Error) {
        if matches!(state.loss, Loss::None) && state.phase != SessionPhase::Failed {
            state.loss = Loss::Met(error.clone());
            // A handshake goes on with what had arrived, and fails by itself.
            if state.phase == SessionPhase::Open {
                state.phase = SessionPhase::Failed;
            }
            self.met_loss.store(true, Relaxed);
        }
    }

    /// Reads what had arrived before a loss, up to a limit or up to the peer's own message about it, and
    /// reports the loss. If another task reads (a handshake, a close, or a reader that asks the transport
    /// right now), that task reports it, here or through [`report_loss`](Self::report_loss).
    pub(super) fn look_into_loss(&self) {
        loop {
            let Ok(mut state) = self.enter() else { return };
            if !matches!(state.loss, Loss::Met(_)) {
                return;
            }
            if state.phase == SessionPhase::Handshaking {
                // The driver of the handshake reads by itself; it is woken to do so.
                drop(state);
                let mut after = WakeList::new();
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
        if state.phase == SessionPhase::Handshaking {
            return;
        }
        // Another thread may have received the rest.
        self.look_ahead(&mut state);
        let Loss::Met(error) = &state.loss else { return };
        let is_ending = is_finishing || state.is_closing();
        let loses_nothing = self.cause.get().is_none()
            && is_sent
            && state.has_peer_closed()
            && state.is_all_acknowledged(taken);
        // Harmless only if both sides have ended and no data of this side is missing.
        let told = if loses_nothing && is_ending {
            state.loss = Loss::Harmless;
            None
        } else {
            if loses_nothing && let Some(peer) = &self.peer {
                // Calls that would go on report the error, but a close that comes later does not.
                peer.loses_nothing();
            }
            let cause = self.cause.record(state.named(error));
            state.loss = Loss::Told(cause.clone());
            Some(cause)
        };
        self.met_loss.store(false, Relaxed);
        drop(state);
        let mut after = WakeList::new();
        self.wake_all(&mut after);
        if let Some(peer) = &self.peer {
            peer.loss_told(told.is_none(), &mut after);
        }
        match (told, upper) {
            (Some(cause), _) => self.tell_upper(&cause),
            // Its end mark counts as sent.
            (None, Some(upper)) => upper.advance(),
            (None, None) => {}
        }
        // Last, as in `fail`: a call that is woken, on another thread for instance, must not write any more.
        after.run();
    }

    /// Returns the reported cause, which replaces a clean end behind everything that was read.
    pub(super) fn told(&self) -> Option<Error> {
        match &self.enter().ok()?.loss {
            Loss::Told(cause) => Some(cause.clone()),
            _ => None,
        }
    }
}

/// Looks into a loss, when woken, that was noticed under a lock.
pub(super) struct LookInto(pub(super) Arc<Session>);

impl LookInto {
    pub(super) fn later(session: &Arc<Session>, after: &mut WakeList) {
        after.wake(Waker::from(Arc::new(Self(Arc::clone(session)))));
    }
}

impl Wake for LookInto {
    fn wake(self: Arc<Self>) {
        self.0.look_into_loss();
    }
}
