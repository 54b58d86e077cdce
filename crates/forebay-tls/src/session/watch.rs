//! Looking for the peer's end before a reader reaches it.

use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use forebay_io::Result;
use forebay_io::seam::{Filled, WakeList};

use super::Session;
use super::loss::AHEAD_BYTES_MAX;
use super::state::{End, Loss, SessionPhase};

/// The result of looking for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// The end, which was not known before.
    End,
    /// A reader asks the transport right now, or too much lies in front of the end. The reader will notify.
    Obstructed,
    /// Nothing new; the next arrival wakes the task that looks.
    Nothing,
}

impl Session {
    /// Returns how the peer has ended, if that is known: with its `close_notify`, or with this error.
    pub fn peer_end(&self) -> Option<Result<()>> {
        match self.enter().ok()?.end.as_ref()? {
            End::Clean => Some(Ok(())),
            End::Failed(error) => Some(Err(error.clone())),
        }
    }

    /// Looks for the peer's end in what has arrived, and has [`Peer::changed`](super::Peer::changed) called
    /// when looking again may tell more. For this it decrypts ahead of the reader, up to a limit; what lies
    /// in front of the end stays readable. Must not be called under a lock.
    pub fn look_for_end(&self) {
        self.watched.store(true, Relaxed);
        let seen = loop {
            if let Some(seen) = self.look_once() {
                break seen;
            }
        };
        self.send_own();
        self.wake_reader_for_kept();
        if self.has_met_loss() {
            self.look_into_loss();
        }
        self.tell_upper_of_failure();
        if seen != Seen::Obstructed {
            // Another thread may have looked meanwhile, and found this one in its way.
            self.after_reading(seen == Seen::End);
        }
    }

    /// Looks once at what has arrived. Returns `None` if more has arrived since, so that there may be more
    /// to see.
    fn look_once(&self) -> Option<Seen> {
        let Ok(mut state) = self.enter() else { return Some(Seen::Nothing) };
        let is_over = state.end.is_some() || self.cause.get().is_some() || state.is_closing();
        if is_over || state.phase == SessionPhase::Handshaking {
            return Some(Seen::Nothing);
        }
        self.look_ahead(&mut state);
        if state.end.is_some() {
            return Some(Seen::End);
        }
        if state.inbox.is_none() || state.kept.len() >= AHEAD_BYTES_MAX {
            self.is_obstructed.store(true, Relaxed);
            return Some(Seen::Obstructed);
        }
        drop(state);
        match self.poll_ahead() {
            // `None`: another thread was first, which the next look sees.
            Some(Poll::Ready(Ok(Filled::More))) | None => None,
            Some(Poll::Ready(Ok(Filled::End))) => {
                self.enter().ok()?.ended_without_notify();
                Some(Seen::End)
            }
            // An error has reached the session or will reach it, or is the refusal of a call beside a close;
            // else the next arrival wakes the task that looks.
            Some(Poll::Ready(Err(_)) | Poll::Pending) => Some(Seen::Nothing),
        }
    }

    /// Makes the writer report a failure that was found ahead of the reader. There may be no reader that would
    /// come to it, and a writer that waits for room would wait for a peer that reads nothing any more.
    fn tell_upper_of_failure(&self) {
        let Ok(state) = self.enter() else { return };
        let failed = match (&state.end, state.phase, &state.loss) {
            (Some(End::Failed(error)), SessionPhase::Failed, Loss::None) => error.clone(),
            // A loss is reported by the call that looks into it.
            _ => return,
        };
        drop(state);
        self.tell_upper(&self.cause.record(failed));
    }

    /// Wakes a reader that came meanwhile, found nothing and waits.
    fn wake_reader_for_kept(&self) {
        let has_answer =
            self.enter().is_ok_and(|state| !state.kept.is_empty() || state.end.is_some());
        if has_answer {
            let mut after = WakeList::new();
            self.wakes().input(&mut after);
            after.run();
        }
    }

    /// Notifies the tasks that look for the end after a read, if what was in their way may be gone or the
    /// end may be there.
    pub(super) fn after_reading(&self, has_ended: bool) {
        if !self.watched.load(Relaxed) {
            return;
        }
        let may_look = self.is_obstructed.load(Relaxed)
            && self.enter().is_ok_and(|state| state.kept.is_empty());
        if may_look {
            self.is_obstructed.store(false, Relaxed);
        }
        if may_look || has_ended {
            let mut after = WakeList::new();
            self.tell_watchers(&mut after);
            after.run();
        }
    }

    /// Wakes the reader, the driver of the handshake and the tasks that look for the end.
    pub(super) fn wake_input(&self, after: &mut WakeList) {
        self.wakes().input(after);
        self.tell_watchers(after);
    }

    /// Wakes everything that waits for the session.
    pub(super) fn wake_all(&self, after: &mut WakeList) {
        self.wakes().all(after);
        self.tell_watchers(after);
    }

    fn tell_watchers(&self, after: &mut WakeList) {
        if self.watched.load(Relaxed)
            && let Some(peer) = &self.peer
        {
            peer.changed(after);
        }
    }
}
