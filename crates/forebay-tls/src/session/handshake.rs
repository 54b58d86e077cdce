//! The handshake.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Filled, WaiterKey, WakeList, unwinding};
use forebay_io::{Error, ErrorKind, Result, TlsFault};

use super::engine::Step;
use super::state::Loss;
use super::{Conn, Engine, Session, SessionPhase, State, TransportEnd};
use crate::TlsConfig;
use crate::callback_facts::{self, Answer};
use crate::config::Store;

impl Session {
    /// Waits until the peer has sent something.
    ///
    /// # Errors
    ///
    /// Those of [`handshake`](Self::handshake).
    ///
    /// # Cancel safety
    ///
    /// Resumes: dropping it loses nothing.
    pub async fn heard(self: &Arc<Self>) -> Result<()> {
        let heard = poll_fn(|cx| {
            self.drive(cx, |_, state| {
                let has_arrived = state.inbox.as_ref().is_some_and(|inbox| !inbox.is_empty());
                has_arrived.then_some(Ok(()))
            })
        });
        heard.await.map_err(|error| self.end_by(&error))
    }

    /// Performs the handshake, as a client or as a server depending on the configuration. `host` is the
    /// name that was connected to.
    ///
    /// # Errors
    ///
    /// [`Tls`](ErrorKind::Tls), with the reason; the connection's error; and
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a configuration that does not fit. After any error the
    /// session is over.
    ///
    /// # Cancel safety
    ///
    /// Aborts: dropping it before it is complete resets the connection.
    pub async fn handshake(
        self: &Arc<Self>,
        config: &TlsConfig,
        store: &Store,
        host: Option<&str>,
    ) -> Result<()> {
        // Before the first step, so that dropping this future at any point resets the connection.
        let unfinished = HandshakeGuard(self);
        let outcome = match self.begin(config, store, host) {
            Ok(()) => poll_fn(|cx| self.drive(cx, Self::shake)).await,
            Err(error) => Err(error),
        };
        let outcome = outcome.and_then(|()| {
            let checked = self.enter()?;
            let state = checked.engine.as_ref().map(Engine::state);
            config.check_alpn(state.and_then(|state| state.alpn_protocol()))
        });
        let outcome = outcome.and_then(|()| self.open());
        let outcome = outcome.map_err(|error| self.hinted(self.end_by(&error)));
        drop(unfinished);
        outcome
    }

    /// Opens the session after a complete handshake, unless it has failed meanwhile.
    fn open(&self) -> Result<()> {
        let mut state = self.enter()?;
        // A close or a time limit has ended the handshake meanwhile.
        if state.phase != SessionPhase::Handshaking {
            drop(state);
            return Err(self.why());
        }
        // If the transport is lost already, what had arrived before can still be read.
        let is_lost = matches!(state.loss, Loss::Met(_));
        let mut after = WakeList::new();
        if let Some(peer) = &self.peer {
            // Not when this task goes on: another thread may write and close before.
            peer.opened(&mut after);
        }
        state.phase = if is_lost { SessionPhase::Failed } else { SessionPhase::Open };
        state.was_open = true;
        // The first read may be a long time away.
        if let Some(inbox) = &mut state.inbox {
            inbox.trim();
        }
        drop(state);
        self.wake_all(&mut after);
        after.run();
        self.look_into_loss();
        Ok(())
    }

    /// Resets the connection if the handshake is not complete. For an owner that does not continue the
    /// handshake.
    pub fn abandon(&self) {
        if self.is_handshaking() {
            self.fail(&dropped(), TransportEnd::Reset);
        }
    }

    /// Waits until the handshake, performed by any task, is complete.
    ///
    /// # Errors
    ///
    /// Those of [`handshake`](Self::handshake).
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    pub async fn opened(&self) -> Result<()> {
        let mut waiting = Opening { session: self, key: None };
        poll_fn(|cx| waiting.poll(cx)).await
    }

    fn begin(&self, config: &TlsConfig, store: &Store, host: Option<&str>) -> Result<()> {
        let (conn, name) = if config.is_client() {
            let conn = Conn::Client(Box::new(config.client_connection(store, host)?));
            (conn, Some(config.checked_name(host)?.to_str().into()))
        } else {
            // The client sends the name.
            (Conn::Server(Box::new(config.server_connection()?)), None)
        };
        let mut state = self.enter()?;
        state.server_name = name;
        state.engine = Some(Engine::new(conn));
        state.end_without_notify = config.ends_without_notify();
        state.begin_counting(self.below.accepted());
        Ok(())
    }

    /// Calls `look` and waits for more input until `look` returns an outcome. For the task that drives the
    /// handshake.
    fn drive(
        &self,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&Self, &mut State) -> Option<Result<()>>,
    ) -> Poll<Result<()>> {
        // Set before looking, so that whatever happens after the look wakes the driver.
        let waker = cx.waker().clone();
        self.set_driver(Some(waker));
        loop {
            let mut state = self.enter()?;
            if state.phase == SessionPhase::Failed {
                drop(state);
                return Poll::Ready(Err(self.why()));
            }
            let met = look(self, &mut state);
            drop(state);
            self.send_own();
            if let Some(outcome) = met {
                return Poll::Ready(outcome);
            }
            match self.poll_arrival()? {
                Poll::Ready(Filled::More) => {}
                // The peer ended before the handshake was complete.
                Poll::Ready(Filled::End) => return Poll::Ready(Err(ended())),
                Poll::Pending => {
                    return match self.enter()?.loss.clone() {
                        Loss::Met(error) => self.poll_rest(error),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    }

    /// Handles a transport that is lost and has nothing to deliver for now: the handshake fails, unless
    /// something has arrived after all.
    fn poll_rest(&self, error: Error) -> Poll<Result<()>> {
        match self.poll_ahead_for_reader() {
            // The driver is woken for its next turn, and finds the input; or another thread asks, and what
            // it finds comes first.
            Some(Poll::Ready(Ok(Filled::More))) | None => Poll::Pending,
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Some(Poll::Ready(Ok(Filled::End)) | Poll::Pending) => Poll::Ready(Err(error)),
        }
    }

    fn set_driver(&self, waker: Option<Waker>) {
        let replaced = self.wakes().set_driver(waker);
        drop(replaced);
    }

    /// Processes what has arrived. Returns `None` while more is needed.
    fn shake(&self, state: &mut State) -> Option<Result<()>> {
        let State { inbox: Some(inbox), kept, engine: Some(engine), .. } = &mut *state else {
            return None;
        };
        // A peer may send data directly behind its last handshake message.
        let mut keep = |plaintext: &[u8]| kept.push(plaintext);
        // Left over by a session that panicked on this thread.
        drop(callback_facts::take());
        let met = engine.work(inbox, &mut keep, &mut |_| Ok(()));
        self.queue_own(state);
        let mut notes = callback_facts::take();
        if let Some(name) = notes.server_name.take() {
            state.server_name = Some(name);
        }
        state.answer = notes.answer.or(state.answer);
        if let Some(cause) = self.cause.get() {
            // A verifier or key log has tried to use this session's writer, which has failed.
            return Some(Err(cause.clone()));
        }
        match met {
            Ok(Step::Traffic | Step::Plaintext) => Some(Ok(())),
            Ok(Step::Closed) => Some(Err(ended())),
            Ok(Step::Handshaking) => None,
            Err(failure) => Some(Err(state.failed("tls handshake", failure, notes))),
        }
    }

    /// Adds what the peer did not say. Some servers (mbedTLS, wolfSSL) refuse a client without a
    /// certificate by an end or a reset, without an alert.
    fn hinted(&self, error: Error) -> Error {
        let is_silent =
            matches!(error.kind(), ErrorKind::Reset | ErrorKind::Tls(TlsFault::EndedInHandshake));
        let had_nothing =
            is_silent && self.enter().is_ok_and(|state| state.answer == Some(Answer::None));
        if !had_nothing {
            return error;
        }
        error.with_detail(
            "the peer ended the connection in the middle of the TLS handshake, without saying why, \
             after it had asked for a client certificate, and this client has none: set `identity`",
        )
    }

    /// Ends the session with this error, and returns the session's first error.
    fn end_by(&self, error: &Error) -> Error {
        self.fail(error, TransportEnd::InOrder);
        self.why()
    }

    /// Returns the session's first error. The driver of a handshake that has failed may not have recorded it yet.
    fn why(&self) -> Error {
        match (self.cause.get(), self.known_error()) {
            (Some(cause), _) => cause.clone(),
            (None, Some(error)) => self.cause.record(error),
            (None, None) => ended(),
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Tls(TlsFault::EndedInHandshake), "tls handshake").with_detail(
        "the peer closed the connection in the middle of the TLS handshake, without saying why: \
         does it speak TLS at this port, and does its log tell more?",
    )
}

/// The error of a handshake that nothing continues.
fn dropped() -> Error {
    let (kind, why) = if unwinding() {
        (ErrorKind::Panicked, "its task, or a verifier or key log that it called, panicked")
    } else {
        (ErrorKind::Cancelled, "it was dropped before it was complete")
    };
    Error::new(kind, "tls handshake").with_detail(why)
}

/// Resets the connection if the handshake is dropped before it is complete.
struct HandshakeGuard<'a>(&'a Session);

impl Drop for HandshakeGuard<'_> {
    fn drop(&mut self) {
        self.0.set_driver(None);
        self.0.abandon();
    }
}

/// A task that waits for the handshake.
///
/// Not a `wait_in`, which would check the phase under the lock of the waiters. That lock is the innermost,
/// and the phase is under the session's.
struct Opening<'a> {
    session: &'a Session,
    key: Option<WaiterKey>,
}

impl Opening<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // Set before looking, so that whatever happens after the look wakes this task.
        let waker = cx.waker().clone();
        let replaced = self.session.wakes().set_opening(&mut self.key, waker);
        drop(replaced);
        let phase = self.session.enter()?.phase;
        match phase {
            SessionPhase::Handshaking => Poll::Pending,
            SessionPhase::Open => Poll::Ready(Ok(())),
            SessionPhase::Failed => Poll::Ready(Err(self.session.why())),
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let removed = self.session.wakes().forget_opening(key);
            drop(removed);
        }
    }
}
