//! The loss of the transport, and what is told of it.
//!
//! ```text
//!   None ──► Met ──► Told      the peer's alert, if one had arrived; else the transport's error
//!                └─► Harmless  the peer had ended, and has acknowledged all data of ours
//! ```
//!
//! A transport is often lost because the peer has refused something and said so: its alert lies in the
//! kernel in front of the reset. So a loss is met first, by whichever call comes first, and told only
//! when what had arrived is read: by the reader, by the session itself, or by a close. From then on
//! both halves and every call tell the same.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::{Poll, Wake, Waker};

use forebay_io::Error;
use forebay_io::seam::{Afterwards, Filled};

use super::engine::Step;
use super::{Engine, Phase, Session, State};

/// So much plaintext is kept for the reader before nothing more is decrypted ahead of it; what one
/// receive brings, at most a block, may come on top.
pub(super) const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// Whether the transport is lost, and whether its rest has been read.
#[derive(Debug, Clone)]
pub(super) enum Loss {
    None,
    /// By this error. What had arrived before is not read yet.
    Met(Error),
    /// For this cause, which is told from now on.
    Told(Error),
    /// Nothing is told: nothing was lost by it.
    Harmless,
}

/// How much of what was sent the other side has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// The transport counts bytes.
    Bytes {
        /// How many, and a few that are none but always the same.
        count: u64,
        /// Some are not acknowledged.
        in_flight: bool,
    },
    /// What the transport has taken is as good as acknowledged.
    WhatWasTaken,
    /// Not known.
    Unknown,
}

impl Session {
    /// The transport is lost by this error. What had arrived is read as far as that is possible now,
    /// and then it is told. Never under a lock.
    pub fn lose(&self, error: &Error) {
        self.meet(error);
        self.look_into_loss();
    }

    /// The same, when nothing more is to be read.
    pub fn settle(&self, error: &Error) {
        self.meet(error);
        self.tell();
    }

    /// True when a loss by this error is not told yet.
    pub fn is_unsettled(&self) -> bool {
        self.enter().is_ok_and(|state| matches!(state.loss, Loss::None | Loss::Met(_)))
            && self.cause.get().is_none()
    }

    /// True while a loss was met and not told.
    pub(super) fn has_met_loss(&self) -> bool {
        self.met_loss.load(Relaxed)
    }

    fn meet(&self, error: &Error) {
        if let Ok(mut state) = self.enter() {
            self.note_loss(&mut state, error);
        }
    }

    /// Takes note that the transport is lost. The caller sees to it that this is told.
    pub(super) fn note_loss(&self, state: &mut State, error: &Error) {
        if matches!(state.loss, Loss::None) && state.phase != Phase::Failed {
            state.loss = Loss::Met(error.clone());
            if state.phase == Phase::Open {
                state.phase = Phase::Failed;
            }
            self.met_loss.store(true, Relaxed);
        }
    }

    /// Reads what had arrived before a loss, up to a limit or to what the peer says about it, and tells
    /// of it. If that is for another to do (a handshake reads by itself, a close too, and a reader that
    /// asks the transport right now), that one comes here or to [`settle`](Self::settle).
    pub(super) fn look_into_loss(&self) {
        loop {
            let Ok(mut state) = self.enter() else { return };
            if !matches!(state.loss, Loss::Met(_)) {
                return;
            }
            if state.phase == Phase::Handshaking {
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
            if is_full || is_known {
                return self.tell();
            }
            let Some(arrival) = self.poll_ahead() else { continue };
            if self.enter().is_ok_and(|state| state.is_closing()) {
                return;
            }
            if !matches!(arrival, Poll::Ready(Ok(Filled::More))) {
                // Another thread may have received the last of it meanwhile, and come here with it.
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

    /// What was met is told.
    fn tell(&self) {
        // Before the session's lock: the outbox's comes first.
        let upper = self.upper.get().and_then(Weak::upgrade);
        let is_sent = upper.as_ref().is_none_or(|upper| upper.queued_here() == 0);
        let queued = self.below.queued_here() as u64;
        let taken = self.below.accepted().saturating_sub(queued);
        let is_finishing = upper.as_ref().is_none_or(|upper| !upper.is_open());
        let Ok(mut state) = self.enter() else { return };
        if state.phase == Phase::Handshaking {
            return;
        }
        // What was received last, and by another thread perhaps.
        self.look_ahead(&mut state);
        let Loss::Met(error) = &state.loss else { return };
        let is_ending = is_finishing || state.is_closing();
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

    /// Behind everything that was read, the cause that was told stands in place of a clean end.
    pub(super) fn told(&self) -> Option<Error> {
        match &self.enter().ok()?.loss {
            Loss::Told(cause) => Some(cause.clone()),
            _ => None,
        }
    }
}

impl State {
    /// Input is read past the session, by a close of the connection.
    pub(super) fn is_closing(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.is_closing())
    }

    fn has_peer_closed(&self) -> bool {
        self.engine.as_ref().is_some_and(Engine::has_peer_closed)
    }

    /// Notes what the transport counts before anything is sent.
    pub(super) fn begin_counting(&mut self, taken: u64) {
        self.counted_from = (self.acknowledged(), taken);
    }

    fn acknowledged(&self) -> Acknowledged {
        self.peer.as_ref().map_or(Acknowledged::WhatWasTaken, |peer| peer.acknowledged())
    }

    /// True when the peer has acknowledged all records with data. `taken` is how much the transport has
    /// taken so far.
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

/// Woken once no lock is held, looks into a loss that was met under one.
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
