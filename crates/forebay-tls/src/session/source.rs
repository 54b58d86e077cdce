//! The reading half of a session: decrypts.

use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Filled, Inlet, Source};
use forebay_io::{Error, ErrorKind, Result};

use super::Session;
use super::engine::{Engine, Failure, Step};
use super::state::{End, Loss, SessionPhase, State};
use crate::callback_facts;
use crate::config::EndWithoutNotify;

/// The longest plaintext of one record (RFC 8446, section 5.1).
const RECORD_BYTES: usize = 16 * 1024;

impl Session {
    /// Makes the source that the session's reader reads from. It keeps `keep` alive.
    pub fn make_source(self: &Arc<Self>, keep: Arc<dyn Any + Send + Sync>) -> Box<dyn Source> {
        Box::new(TlsSource::new(Arc::clone(self), keep))
    }
}

/// The reading end of a session.
pub(super) struct TlsSource {
    session: Arc<Session>,
    /// Keeps the session's owner alive.
    _keep: Arc<dyn Any + Send + Sync>,
    /// The reader's waker is stored in the session.
    waits: bool,
}

impl TlsSource {
    pub(super) fn new(session: Arc<Session>, keep: Arc<dyn Any + Send + Sync>) -> Self {
        Self { session, _keep: keep, waits: false }
    }
}

impl Source for TlsSource {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        let mut filled = self.session.poll_fill(inlet);
        if filled.is_pending() {
            self.wait(Some(cx.waker().clone()));
            // An event before the waker was stored has woken no task.
            filled = self.session.poll_fill(inlet);
        }
        if filled.is_pending() {
            filled = self.session.poll_loss();
        }
        filled = self.believed(cx, filled);
        if filled.is_ready() && self.waits {
            // Removed, because the task may end while the session goes on, and its memory must not be kept
            // for its waker.
            self.wait(None);
        }
        self.session.send_own();
        if filled.is_ready() {
            self.session.after_reading(!matches!(filled, Poll::Ready(Ok(Filled::More))));
        }
        match (&filled, self.session.cause.get()) {
            (Poll::Ready(Err(error)), _)
                if self.session.has_failed() && !self.session.has_met_loss() =>
            {
                self.session.tell_upper(error);
            }
            // The error lies behind what this call returns, and the reader may never call again.
            (Poll::Ready(Ok(_)), Some(error)) => self.session.tell_upper(error),
            _ => {}
        }
        filled
    }

    fn abort(&mut self, _: &Error) {}

    fn cause(&self) -> Option<Error> {
        self.session.cause.get().cloned()
    }

    fn peer(&self) -> Option<String> {
        self.session.peer_address()
    }
}

impl TlsSource {
    /// Replaces the answer if the transport may be lost: the reported cause takes the place of an error of
    /// this call and of a clean end.
    fn believed(&mut self, cx: &Context<'_>, filled: Poll<Result<Filled>>) -> Poll<Result<Filled>> {
        if self.session.has_met_loss() {
            // The loss was noticed in this call, or while this call held the input that is to be read
            // first.
            self.session.look_into_loss();
        }
        // Data, or a wait, is not affected by a loss: it lies in front of it.
        if !matches!(filled, Poll::Ready(Ok(Filled::End) | Err(_))) {
            return filled;
        }
        if filled.is_ready() && self.session.has_met_loss() {
            if let Some(closed) = self.session.closed_here() {
                // The close reads the rest, and reports the loss.
                return Poll::Ready(Err(closed));
            }
            self.wait(Some(cx.waker().clone()));
            if self.session.has_met_loss() {
                // Another thread reads the rest, reports the loss and wakes this task.
                return Poll::Pending;
            }
        }
        let told = match filled {
            Poll::Ready(Err(_)) => self.session.told().or_else(|| self.session.known_error()),
            _ => self.session.told(),
        };
        told.map_or(filled, |cause| Poll::Ready(Err(cause)))
    }

    fn wait(&mut self, waker: Option<Waker>) {
        self.waits = waker.is_some();
        let replaced = self.session.wakes().set_reader(waker);
        drop(replaced);
    }
}

impl Drop for TlsSource {
    fn drop(&mut self) {
        if self.waits {
            self.wait(None);
        }
    }
}

impl Session {
    /// Returns the error for a reader while a close reads; `None` if there is no close.
    fn closed_here(&self) -> Option<Error> {
        let state = self.enter().ok()?;
        state.is_closing().then(|| state.closed_here())
    }

    /// Returns an error that another call has found in front of what this call has found.
    pub(super) fn known_error(&self) -> Option<Error> {
        match &self.enter().ok()?.end {
            Some(End::Failed(error)) => Some(error.clone()),
            _ => self.cause.get().cloned(),
        }
    }

    fn has_failed(&self) -> bool {
        self.enter().is_ok_and(|state| state.phase == SessionPhase::Failed)
    }

    fn poll_fill(&self, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        loop {
            if let Some(known) = self.enter()?.known(self, inlet) {
                return known;
            }
            match self.poll_arrival()? {
                Poll::Ready(Filled::More) => {}
                Poll::Ready(Filled::End) => self.enter()?.ended_without_notify(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Ends a reader's wait if the transport is lost and has nothing to deliver. A transport also lets its
    /// reader wait to give way to other tasks, so it is asked again.
    fn poll_loss(&self) -> Poll<Result<Filled>> {
        let (Loss::Met(error) | Loss::Told(error)) = self.enter()?.loss.clone() else {
            return Poll::Pending;
        };
        match self.poll_ahead_for_reader() {
            // The reader is woken for its next turn, and finds the input; or another thread asks, and what
            // it finds comes first.
            Some(Poll::Ready(Ok(Filled::More))) | None => Poll::Pending,
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Some(Poll::Ready(Ok(Filled::End)) | Poll::Pending) => Poll::Ready(Err(error)),
        }
    }

    /// Decrypts what has arrived, while there is space for a whole record. Returns `true` if that yielded
    /// plaintext. If not, everything that has arrived is processed, or the end is known.
    fn decrypt(&self, state: &mut State, inlet: &mut Inlet<'_>) -> bool {
        let State { inbox: Some(inbox), kept, engine: Some(engine), .. } = state else {
            return false;
        };
        let mut room = inlet.space().len();
        let mut filled = false;
        let failure = loop {
            let mut put = |plaintext: &[u8]| {
                let count = plaintext.len().min(room);
                if count > 0 {
                    inlet.space()[..count].copy_from_slice(&plaintext[..count]);
                    inlet.fill(count);
                }
                room -= count;
                filled |= count > 0;
                kept.push(&plaintext[count..]);
            };
            match engine.work(inbox, &mut put, &mut |_| Ok(())) {
                // Without space for a whole record, the rest would have to be kept, and copied twice.
                Ok(Step::Plaintext) if room < RECORD_BYTES => break None,
                Ok(Step::Plaintext) => {}
                Ok(Step::Handshaking | Step::Traffic | Step::Closed) => break None,
                Err(failure) => break Some(failure),
            }
        };
        // The reader may wait for something else from here on.
        inbox.trim();
        self.met(state, failure);
        filled
    }

    /// Records what decrypting has found.
    pub(super) fn met(&self, state: &mut State, failure: Option<Failure>) {
        self.queue_own(state);
        if let Some(failure) = failure {
            let error = state.failed("read", failure, callback_facts::take());
            // If another error was reported before, it is the one that is reported here too.
            state.end = Some(End::Failed(self.cause.record(error)));
        } else if state.engine.as_ref().is_some_and(Engine::has_peer_closed) {
            state.end.get_or_insert(End::Clean);
        }
    }
}

impl State {
    /// Answers a read, if that is possible without asking the transport.
    fn known(&mut self, session: &Session, inlet: &mut Inlet<'_>) -> Option<Poll<Result<Filled>>> {
        // Data that came with the end of a handshake counts only once the peer is authenticated.
        if self.phase != SessionPhase::Handshaking && self.kept.give(inlet) {
            return Some(Poll::Ready(Ok(Filled::More)));
        }
        if self.end.is_none() {
            if self.phase == SessionPhase::Handshaking {
                return Some(Poll::Pending);
            }
            if session.decrypt(self, inlet) {
                return Some(Poll::Ready(Ok(Filled::More)));
            }
        }
        match &self.end {
            Some(End::Clean) => Some(Poll::Ready(Ok(Filled::End))),
            Some(End::Failed(error)) => Some(Poll::Ready(Err(error.clone()))),
            None => None,
        }
    }

    /// Records that the transport has ended without the peer's `close_notify`: an attacker may have cut it.
    pub(super) fn ended_without_notify(&mut self) {
        let end = match (&self.loss, self.end_without_notify) {
            (Loss::Met(error) | Loss::Told(error), _) => End::Failed(error.clone()),
            (_, EndWithoutNotify::AsEnd) => End::Clean,
            _ => End::Failed(self.named(&without_notify())),
        };
        self.end.get_or_insert(end);
    }
}

fn without_notify() -> Error {
    Error::new(ErrorKind::EndedWithoutNotify, "read").with_detail(
        "the connection ended, but the peer has not said that it sends no more (close_notify): what \
         came before is whole, but there may have been more (TlsConfig's end_without_notify sets how \
         this is taken)",
    )
}
