//! A TLS session over two channels.
//!
//! ```text
//!   upper outbox ── TlsDrain ──┐                      ┌── lower outbox ──► records out
//!                              ├─► session: rustls ───┤
//!   reader ──────── TlsSource ─┘    one lock          └── inbox ◄───────── records in
//! ```
//!
//! One lock protects rustls *and* the ciphertext that it has not consumed, because rustls remembers its
//! position in an unfinished message as an offset into that ciphertext. The lock is never held over a wait,
//! nor while the transport is asked for more. What a writer's call finds in that ciphertext (plaintext, the
//! peer's end, an error) is kept for the reader.
//!
//! Locks are taken in this order: upper outbox, session, lower outbox.

mod arrival;
mod discard;
mod drain;
mod engine;
mod handshake;
mod inside;
mod kept;
mod loss;
mod source;
#[cfg(test)]
mod tests;
mod wakes;
mod watch;

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Wake, Waker};

use forebay_io::seam::{Afterwards, Below, Cause, Inbox, Outbox, Parcel, Source};
use forebay_io::{Error, Result};

use self::discard::Discarded;
use self::drain::TlsDrain;
pub(crate) use self::engine::Conn;
use self::engine::{Engine, Failure};
use self::kept::Kept;
pub use self::loss::Acknowledged;
use self::loss::Loss;
use self::source::TlsSource;
use self::wakes::Wakes;
use crate::config::EndWithoutNotify;
use crate::fault::{self, Known, Side};
use crate::info::TlsInfo;
use crate::notes::{Answer, Notes};

/// The largest amount of ciphertext that may wait for the rest of its message: twice the longest handshake
/// message (RFC 8446, section 4; rustls accepts 64 KiB), because short records have headers.
const ARRIVED_BYTES_MAX: usize = 128 * 1024;

/// A TLS session: the state that its two channels share.
pub struct Session {
    state: Mutex<State>,
    wakes: Mutex<Wakes>,
    /// The first error of either direction.
    cause: Cause,
    /// The outbox whose drain encrypts into `below`. The drain holds the session, so this is weak.
    upper: OnceLock<Weak<Outbox>>,
    below: Arc<Outbox>,
    /// Records were queued in `below`, and sending them has not been scheduled yet.
    unsent: AtomicBool,
    /// `state.loss` is `Met`; read without the lock.
    met_loss: AtomicBool,
    /// Notified when looking for the peer's end may tell more, once `watched` is set.
    peer: Option<Arc<dyn Peer>>,
    /// `look_for_end` was called.
    watched: AtomicBool,
    /// Looking for the peer's end was not possible: a reader had the inbox, or too much lay in front of it.
    is_obstructed: AtomicBool,
    /// The input that a close has discarded; only one thread closes.
    discarded: Discarded,
    /// Wakes the reader and the driver of the handshake. Made once; the inbox is polled with it.
    own_waker: Waker,
}

/// The other side of the connection, as far as errors and ends need it.
pub trait Peer: Send + Sync {
    /// Returns the peer's address.
    fn address(&self) -> String;

    /// Returns how much of what was sent the peer has acknowledged.
    fn acknowledged(&self) -> Acknowledged {
        Acknowledged::WhatWasTaken
    }

    /// Returns `true` while the connection is being closed: the close then reads past the session.
    fn is_closing(&self) -> bool {
        false
    }

    /// Called when the session begins to report the loss of its transport or, if the loss was harmless,
    /// that both sides have ended.
    fn loss_told(&self, _is_harmless: bool, _after: &mut Afterwards) {}

    /// Called when a task that looks for the peer's end ([`look_for_end`](Session::look_for_end)) should
    /// look again. This may happen under the session's lock.
    fn changed(&self, _after: &mut Afterwards) {}
}

struct State {
    peer: Option<Arc<dyn Peer>>,
    /// `None` while the transport fills it.
    inbox: Option<Inbox>,
    /// A writer waits until the inbox is back.
    is_awaited: bool,
    kept: Kept,
    phase: Phase,
    /// The handshake was complete once, whether or not the session has failed since.
    was_open: bool,
    /// Set when the handshake begins, and used from then on.
    engine: Option<Engine>,
    server_name: Option<Box<str>>,
    /// The client's answer to a server that asked for a certificate.
    answer: Option<Answer>,
    end_without_notify: EndWithoutNotify,
    /// The answer to every read, once everything before the end has been read.
    end: Option<End>,
    loss: Loss,
    /// Bytes of records handed to the transport.
    sealed: u64,
    /// Bytes of records handed to the transport up to the end of the last record with data. Behind it are
    /// only session tickets and the `close_notify`, which no writer can lose.
    sealed_data: u64,
    /// The transport's counters before the first record: acknowledged, and accepted.
    counted_from: (Acknowledged, u64),
    /// The way in which the transport is left when the session fails.
    leave: Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshaking,
    Open,
    Failed,
}

#[derive(Clone)]
enum End {
    /// The peer has sent `close_notify`.
    Clean,
    /// The input ended without it, or the session failed.
    Failed(Error),
}

/// The way in which the transport is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// Its queue (an alert, for instance) is sent, then its end mark.
    InOrder,
    /// It is reset at once.
    Reset,
}

/// The session's own waker.
struct Bell(Weak<Session>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(session) = self.0.upgrade() {
            let mut after = Afterwards::new();
            session.wake_input(&mut after);
            after.run();
        }
    }
}

impl Session {
    /// Makes a session over the bytes that arrive in `inbox`, which sends through `below`. The handshake
    /// has not begun.
    pub fn new(inbox: Inbox, below: Arc<Outbox>) -> Arc<Self> {
        Self::make(inbox, below, None)
    }

    /// Makes a session as [`new`](Self::new) does, with a peer that its errors name.
    pub fn with_peer(inbox: Inbox, below: Arc<Outbox>, peer: Arc<dyn Peer>) -> Arc<Self> {
        Self::make(inbox, below, Some(peer))
    }

    fn make(inbox: Inbox, below: Arc<Outbox>, peer: Option<Arc<dyn Peer>>) -> Arc<Self> {
        Arc::new_cyclic(|weak| Self {
            peer: peer.clone(),
            state: Mutex::new(State {
                peer,
                inbox: Some(inbox),
                is_awaited: false,
                kept: Kept::default(),
                phase: Phase::Handshaking,
                was_open: false,
                engine: None,
                server_name: None,
                answer: None,
                end_without_notify: EndWithoutNotify::Error,
                end: None,
                loss: Loss::None,
                sealed: 0,
                sealed_data: 0,
                counted_from: (Acknowledged::Unknown, 0),
                leave: Leave::Reset,
            }),
            wakes: Mutex::default(),
            cause: Cause::default(),
            upper: OnceLock::new(),
            below,
            unsent: AtomicBool::new(false),
            met_loss: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            is_obstructed: AtomicBool::new(false),
            discarded: Discarded::default(),
            own_waker: Waker::from(Arc::new(Bell(Weak::clone(weak)))),
        })
    }

    /// Makes the outbox that the session's writer writes into. Called once.
    pub fn make_outbox(self: &Arc<Self>) -> Arc<Outbox> {
        let drain = Box::new(TlsDrain::new(Arc::clone(self), Arc::clone(&self.below)));
        let upper = Outbox::over(drain, self.cause.clone(), Arc::clone(&self.below));
        self.upper.get_or_init(|| Arc::downgrade(&upper));
        upper
    }

    /// Makes the source that the session's reader reads from. It keeps `keep` alive.
    pub fn make_source(self: &Arc<Self>, keep: Arc<dyn Any + Send + Sync>) -> Box<dyn Source> {
        Box::new(TlsSource::new(Arc::clone(self), keep))
    }

    /// Returns the first error, if there was one.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Returns what was negotiated, once the handshake has been complete.
    pub fn info(&self) -> Option<TlsInfo> {
        let state = self.enter().ok()?;
        let engine = state.engine.as_ref().filter(|_| state.was_open)?;
        Some(TlsInfo::new(engine.state(), state.server_name.as_deref()))
    }

    /// Returns `true` until the handshake is complete or has failed.
    pub fn is_handshaking(&self) -> bool {
        self.enter().is_ok_and(|state| state.phase == Phase::Handshaking)
    }

    /// Ends the session and resets its transport.
    pub fn abort(&self, error: &Error) {
        self.fail(error, Leave::Reset);
    }

    /// Ends the session: wakes both halves and leaves the transport.
    fn fail(&self, error: &Error, leave: Leave) {
        let named = self.enter().map_or_else(
            |_| error.clone(),
            |state| match &state.loss {
                // The selector or socket was closed because of this loss, so the loss is the cause.
                Loss::Met(loss) if error.is_closed() => state.named(loss),
                _ => state.named(error),
            },
        );
        let error = self.cause.record(named);
        let mut after = Afterwards::new();
        if let Ok(mut state) = self.enter() {
            state.fail(error.clone(), leave);
        }
        self.wake_all(&mut after);
        after.run();
        self.tell_upper(&error);
    }

    /// Aborts the upper outbox, so that the writer's next call returns the error. Must not be called under
    /// the session's lock.
    fn tell_upper(&self, error: &Error) {
        // The upper outbox's drain leaves the transport. Without an outbox, this call does.
        if let Some(upper) = self.upper.get().and_then(Weak::upgrade) {
            upper.abort(error);
        } else {
            let mut after = Afterwards::new();
            let leave = self.enter().map_or(Leave::Reset, |state| state.leave);
            self.leave_below(leave, error, &mut after);
            after.run();
        }
    }

    /// Leaves the transport.
    fn leave_below(&self, leave: Leave, error: &Error, after: &mut Afterwards) {
        let below = Below::new(Arc::clone(&self.below));
        match leave {
            Leave::Reset => below.abort(error, after),
            Leave::InOrder => {
                if !below.finish(after) {
                    // Not finished yet: the rest is sent in the background, started when no lock is held.
                    after.wake(Waker::from(Arc::new(SeeOff(Arc::clone(&self.below)))));
                }
            }
        }
    }

    /// Locks the session. Fails if this thread is inside rustls, and so holds the lock already.
    fn enter(&self) -> Result<MutexGuard<'_, State>> {
        inside::check()?;
        Ok(self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wakes(&self) -> MutexGuard<'_, Wakes> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues rustls' own messages; [`send_own`](Self::send_own) sends them.
    fn queue_own(&self, state: &mut State) {
        let own = state.engine.as_mut().map(Engine::take_own).unwrap_or_default();
        if !own.is_empty() {
            state.push(&Below::new(Arc::clone(&self.below)), &own);
            self.unsent.store(true, Ordering::Relaxed);
        }
    }

    /// Schedules sending rustls' own messages for the end of the turn. Must not be called under the
    /// session's lock: on a thread without turns they are sent at once, and waiters are woken.
    fn send_own(&self) {
        if self.unsent.load(Ordering::Relaxed) {
            self.unsent.store(false, Ordering::Relaxed);
            Below::new(Arc::clone(&self.below)).send_later();
        }
    }
}

impl State {
    /// Hands records to the transport.
    fn push_parcel(&mut self, below: &Below, parcel: Parcel) {
        self.sealed += parcel.len() as u64;
        below.push(parcel);
    }

    /// Copies records and hands them to the transport.
    fn push(&mut self, below: &Below, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut parcel = Parcel::new(bytes.len());
            let space = parcel.space();
            let count = bytes.len().min(space.len());
            space[..count].copy_from_slice(&bytes[..count]);
            parcel.fill(count);
            self.push_parcel(below, parcel);
            bytes = &bytes[count..];
        }
    }

    /// Adds the peer's address to an error that has none.
    fn named(&self, error: &Error) -> Error {
        match (&self.peer, error.address()) {
            (Some(peer), None) => error.clone().with_address(peer.address()),
            _ => error.clone(),
        }
    }

    /// Stops decrypting and encrypting. What was decrypted before stays readable, unless the handshake has
    /// failed: data of a peer that was not authenticated is dropped.
    fn fail(&mut self, error: Error, leave: Leave) {
        // Data that came with the handshake was kept for a peer that is not accepted now.
        if self.phase == Phase::Handshaking {
            self.kept = Kept::default();
        }
        if self.phase != Phase::Failed {
            self.phase = Phase::Failed;
            self.leave = leave;
        }
        // An end that was found before stands: it lies in front of this error.
        self.end.get_or_insert(End::Failed(error));
    }

    /// Records why rustls gives up, and returns the error to report.
    fn failed(&mut self, operation: &'static str, failure: Failure, notes: Notes) -> Error {
        let is_client = self.engine.as_ref().is_some_and(Engine::is_client);
        let side = if is_client { Side::Client(self.answer) } else { Side::Server };
        let known = Known { side, server_name: self.server_name.as_deref() };
        let error = match failure {
            Failure::Rustls(error) => fault::explained(operation, error, notes, known),
            Failure::Sealing(error) => fault::not_sealed(operation, error),
        };
        let error = self.named(&error);
        self.fail(error.clone(), Leave::InOrder);
        error
    }
}

/// Finishes, when woken, an outbox that has no owner any more.
struct SeeOff(Arc<Outbox>);

impl Wake for SeeOff {
    fn wake(self: Arc<Self>) {
        self.0.finish_unattended();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
