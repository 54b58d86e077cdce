//! Decrypting.

use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Afterwards, Filled, Inlet, Source};
use forebay_io::{Error, ErrorKind, Result};

use super::engine::{Engine, Failure, Step};
use super::loss::Loss;
use super::{End, Phase, Session, State};
use crate::config::EndWithoutNotify;
use crate::notes;

/// The longest plaintext of one record (RFC 8446, section 5.1).
const RECORD_BYTES: usize = 16 * 1024;

/// The reading end of a session.
pub(super) struct TlsSource {
    session: Arc<Session>,
    /// Keeps what the session belongs to.
    _keep: Arc<dyn Any + Send + Sync>,
    /// The reader's waker was left with the session.
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
            // What happened before the waker was there has woken nobody.
            filled = self.session.poll_fill(inlet);
        }
        if filled.is_pending() {
            filled = self.session.poll_loss();
        }
        filled = self.believed(cx, filled);
        if filled.is_ready() && self.waits {
            // The task may end while the session goes on: its memory is not kept for its waker.
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
            // Met behind what this call brought, and the reader may never call again.
            (Poll::Ready(Ok(_)), Some(error)) => self.session.tell_upper(error),
            _ => {}
        }
        filled
    }

    fn abort(&mut self, _: &Error) {}

    fn cause(&self) -> Option<Error> {
        self.session.cause.get().cloned()
    }
}

impl TlsSource {
    /// What is answered where the transport may be lost: what is told of it, in place of what this call
    /// has met and of a clean end.
    fn believed(&mut self, cx: &Context<'_>, filled: Poll<Result<Filled>>) -> Poll<Result<Filled>> {
        if self.session.has_met_loss() {
            // It was met in this call, or while this call had what is to be read first.
            self.session.look_into_loss();
        }
        if !matches!(filled, Poll::Ready(Ok(Filled::End) | Err(_))) {
            return filled;
        }
        if filled.is_ready() && self.session.has_met_loss() {
            if let Some(closed) = self.session.closed_here() {
                // The close reads the rest, and tells.
                return Poll::Ready(Err(closed));
            }
            self.wait(Some(cx.waker().clone()));
            if self.session.has_met_loss() {
                // Another thread reads the rest, tells and wakes.
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
    /// The answer to a reader while a close reads; none while there is no close.
    fn closed_here(&self) -> Option<Error> {
        let state = self.enter().ok()?;
        state.is_closing().then(|| state.closed_here())
    }

    /// What another call has met in front of what this one has.
    fn known_error(&self) -> Option<Error> {
        match &self.enter().ok()?.end {
            Some(End::Failed(error)) => Some(error.clone()),
            _ => self.cause.get().cloned(),
        }
    }

    fn has_failed(&self) -> bool {
        self.enter().is_ok_and(|state| state.phase == Phase::Failed)
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

    /// A reader has to wait. Where the transport is lost, that ends here, unless something is there
    /// still: a transport also has its reader wait to give way to other tasks.
    fn poll_loss(&self) -> Poll<Result<Filled>> {
        let (Loss::Met(error) | Loss::Told(error)) = self.enter()?.loss.clone() else {
            return Poll::Pending;
        };
        match self.poll_ahead() {
            // The reader is woken for its next turn, and finds it.
            Some(Poll::Ready(Ok(Filled::More))) => Poll::Pending,
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Some(Poll::Ready(Ok(Filled::End)) | Poll::Pending) => Poll::Ready(Err(error)),
            None => {
                // What another thread finds is to be read first.
                let mut after = Afterwards::new();
                self.wakes().input(&mut after);
                after.run();
                Poll::Pending
            }
        }
    }

    /// Decrypts what has arrived, as long as there is room for a whole record. True if that brought
    /// anything; if not, everything that has arrived is done, or the end is known.
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
                Ok(Step::Plaintext) if room < RECORD_BYTES => break None,
                Ok(Step::Plaintext) => {}
                Ok(Step::Handshaking | Step::Traffic | Step::Closed) => break None,
                Err(failure) => break Some(failure),
            }
        };
        // The reader may wait for something else from here on.
        inbox.settle();
        self.met(state, failure);
        filled
    }

    /// Takes note of what decrypting has met.
    pub(super) fn met(&self, state: &mut State, failure: Option<Failure>) {
        self.queue_own(state);
        if let Some(failure) = failure {
            let error = state.failed("read", failure, notes::take());
            // If something else was told before, that is told here, too.
            state.end = Some(End::Failed(self.cause.record(error)));
        } else if state.engine.as_ref().is_some_and(Engine::has_peer_closed) {
            state.end.get_or_insert(End::Clean);
        }
    }
}

impl State {
    /// What a read can be answered without asking the transport.
    fn known(&mut self, session: &Session, inlet: &mut Inlet<'_>) -> Option<Poll<Result<Filled>>> {
        // What came with the end of a handshake counts when the peer is let in, and not before.
        if self.phase != Phase::Handshaking && self.kept.give(inlet) {
            return Some(Poll::Ready(Ok(Filled::More)));
        }
        if self.end.is_none() {
            if self.phase == Phase::Handshaking {
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

    /// The transport has ended, and the peer has not said so: somebody else may have cut it.
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
