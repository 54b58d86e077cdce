//! The handshake.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Afterwards, Filled, WaiterKey, unwinding};
use forebay_io::{Error, ErrorKind, Result, TlsFault};

use super::engine::Step;
use super::loss::Loss;
use super::{Conn, Engine, Leave, Phase, Session, State};
use crate::TlsConfig;
use crate::config::Store;
use crate::notes::{self, Answer};

impl Session {
    /// Waits until the peer has sent something.
    ///
    /// # Errors
    ///
    /// As [`handshake`](Self::handshake).
    ///
    /// # Cancel safety
    ///
    /// Resumes: dropping it gives nothing up.
    pub async fn heard(self: &Arc<Self>) -> Result<()> {
        let heard = poll_fn(|cx| {
            self.drive(cx, |_, state| {
                let has_arrived = state.inbox.as_ref().is_some_and(|inbox| !inbox.is_empty());
                has_arrived.then_some(Ok(()))
            })
        });
        heard.await.map_err(|error| self.end_by(&error))
    }

    /// Makes the handshake, as a client or a server by what the configuration is for. `host` is
    /// what was connected to.
    ///
    /// # Errors
    ///
    /// [`Tls`](ErrorKind::Tls), with what is wrong; what the connection met; and
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a configuration that does not fit. Whatever it
    /// is, the session is over.
    ///
    /// # Cancel safety
    ///
    /// Aborts: dropped before it is complete, it resets the connection.
    pub async fn handshake(
        self: &Arc<Self>,
        config: &TlsConfig,
        store: &Store,
        host: Option<&str>,
    ) -> Result<()> {
        let unfinished = Unfinished(self);
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

    /// The handshake is complete, unless somebody has given it up meanwhile.
    fn open(&self) -> Result<()> {
        let mut state = self.enter()?;
        if state.phase != Phase::Handshaking {
            drop(state);
            return Err(self.why());
        }
        // Where the transport is lost already, what had arrived is read still.
        let is_lost = matches!(state.loss, Loss::Met(_));
        state.phase = if is_lost { Phase::Failed } else { Phase::Open };
        state.was_open = true;
        // Nobody need read for long.
        if let Some(inbox) = &mut state.inbox {
            inbox.settle();
        }
        drop(state);
        let mut after = Afterwards::new();
        self.wake_all(&mut after);
        after.run();
        self.look_into_loss();
        Ok(())
    }

    /// Nobody goes on with the handshake; if it is not complete, the connection is reset.
    pub fn abandon(&self) {
        if self.is_handshaking() {
            self.fail(&dropped(), Leave::Reset);
        }
    }

    /// Waits until the handshake is complete, whoever makes it.
    ///
    /// # Errors
    ///
    /// As [`handshake`](Self::handshake).
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
            // Its client tells the name.
            (Conn::Server(Box::new(config.server_connection()?)), None)
        };
        let mut state = self.enter()?;
        state.server_name = name;
        state.engine = Some(Engine::new(conn));
        state.end_without_notify = config.ends_without_notify();
        state.begin_counting(self.below.accepted());
        Ok(())
    }

    /// Looks, and waits for more until that says something: for whoever drives the handshake.
    fn drive(
        &self,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&Self, &mut State) -> Option<Result<()>>,
    ) -> Poll<Result<()>> {
        // Before looking, so that whatever happens after the look wakes the driver.
        let waker = cx.waker().clone();
        self.set_driver(Some(waker));
        loop {
            let mut state = self.enter()?;
            if state.phase == Phase::Failed {
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

    /// The transport is lost and has nothing for now: it is over, unless something is there still.
    fn poll_rest(&self, error: Error) -> Poll<Result<()>> {
        match self.poll_ahead() {
            // The driver is woken for its next turn, and finds it. Nothing else asks in a handshake.
            Some(Poll::Ready(Ok(Filled::More))) | None => Poll::Pending,
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Some(Poll::Ready(Ok(Filled::End)) | Poll::Pending) => Poll::Ready(Err(error)),
        }
    }

    fn set_driver(&self, waker: Option<Waker>) {
        let replaced = self.wakes().set_driver(waker);
        drop(replaced);
    }

    /// Works on what has arrived; nothing while more is needed.
    fn shake(&self, state: &mut State) -> Option<Result<()>> {
        let State { inbox: Some(inbox), kept, engine: Some(engine), .. } = &mut *state else {
            return None;
        };
        // A peer may send data right behind its last message of the handshake.
        let mut keep = |plaintext: &[u8]| kept.push(plaintext);
        // Of a session that panicked on this thread.
        drop(notes::take());
        let met = engine.work(inbox, &mut keep, &mut |_| Ok(()));
        self.queue_own(state);
        let mut notes = notes::take();
        if let Some(name) = notes.server_name.take() {
            state.server_name = Some(name);
        }
        state.answer = notes.answer.or(state.answer);
        if let Some(cause) = self.cause.get() {
            // Of the writer, which a verifier or a key log has tried to use.
            return Some(Err(cause.clone()));
        }
        match met {
            Ok(Step::Traffic | Step::Plaintext) => Some(Ok(())),
            Ok(Step::Closed) => Some(Err(ended())),
            Ok(Step::Handshaking) => None,
            Err(failure) => Some(Err(state.failed("tls handshake", failure, notes))),
        }
    }

    /// Adds what the peer has left unsaid. Some servers refuse a client without a certificate by an
    /// end or a reset, and by no alert (mbedTLS, wolfSSL).
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

    /// The session is over by this error, or by one that came before it.
    fn end_by(&self, error: &Error) -> Error {
        self.fail(error, Leave::InOrder);
        self.why()
    }

    fn why(&self) -> Error {
        self.cause.get().cloned().unwrap_or_else(ended)
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Tls(TlsFault::EndedInHandshake), "tls handshake").with_detail(
        "the peer closed the connection in the middle of the TLS handshake, without saying why: \
         does it speak TLS at this port, and does its log tell more?",
    )
}

/// Why a handshake is over that nobody goes on with.
fn dropped() -> Error {
    let (kind, why) = if unwinding() {
        (ErrorKind::Panicked, "its task, or a verifier or key log that it called, panicked")
    } else {
        (ErrorKind::Cancelled, "it was dropped before it was complete")
    };
    Error::new(kind, "tls handshake").with_detail(why)
}

/// A handshake that may be dropped in the middle.
struct Unfinished<'a>(&'a Session);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.set_driver(None);
        self.0.abandon();
    }
}

/// Somebody who waits for the handshake.
struct Opening<'a> {
    session: &'a Session,
    key: Option<WaiterKey>,
}

impl Opening<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // Before looking, so that whatever happens after the look wakes this.
        let waker = cx.waker().clone();
        let replaced = self.session.wakes().set_opening(&mut self.key, waker);
        drop(replaced);
        let phase = self.session.enter()?.phase;
        match phase {
            Phase::Handshaking => Poll::Pending,
            Phase::Open => Poll::Ready(Ok(())),
            Phase::Failed => Poll::Ready(Err(self.session.why())),
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
