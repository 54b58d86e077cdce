//! A TLS session over two channels.
//!
//! ```text
//!   upper outbox ── TlsDrain ──┐                      ┌── lower outbox ──► records out
//!                              ├─► session: rustls ───┤
//!   reader ──────── TlsSource ─┘    one lock          └── inbox ◄───────── records in
//! ```
//!
//! One lock owns rustls *and* the ciphertext that it has not consumed, because rustls keeps its
//! place in an unfinished message by where it lies there. It is never held over a wait, nor while
//! the transport is asked for more. What a writer's call meets in that ciphertext (plaintext, the
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

/// The most ciphertext that may wait for the rest of its message: twice the longest handshake
/// message there is (RFC 8446, section 4; rustls takes 64 KiB), because short records have headers.
const ARRIVED_BYTES_MAX: usize = 128 * 1024;

/// A TLS session: what both of its channels share.
pub struct Session {
    state: Mutex<State>,
    wakes: Mutex<Wakes>,
    /// The first error, of both directions.
    cause: Cause,
    /// The outbox whose drain encrypts into `below`; it holds the session.
    upper: OnceLock<Weak<Outbox>>,
    below: Arc<Outbox>,
    /// Something was queued there that nobody has had sent.
    unsent: AtomicBool,
    /// A loss of the transport was met and is not told: what `state` says, without its lock.
    met_loss: AtomicBool,
    /// Whom to tell when looking for the peer's end may tell more, once it has been looked for.
    peer: Option<Arc<dyn Peer>>,
    watched: AtomicBool,
    /// It could not be looked for: a reader had the inbox, or had too much in front of it.
    is_obstructed: AtomicBool,
    /// What nobody is to read any more; one thread closes.
    discarded: Discarded,
    /// Wakes whoever reads; made once, and what the inbox is polled with.
    own_waker: Waker,
}

/// Who is on the other side, as far as errors name them.
pub trait Peer: Send + Sync {
    /// The address.
    fn address(&self) -> String;

    /// How much of what was sent it has acknowledged.
    fn acknowledged(&self) -> Acknowledged {
        Acknowledged::WhatWasTaken
    }

    /// True while the connection is being closed: from then on that reads, past the session.
    fn is_closing(&self) -> bool {
        false
    }

    /// The session tells from now on of the loss of its transport; or, where that was harmless, that
    /// both sides have ended.
    fn loss_told(&self, _is_harmless: bool, _after: &mut Afterwards) {}

    /// Something has changed for who looks for the peer's end
    /// ([`look_for_end`](Session::look_for_end)). It may be called under the session's lock.
    fn changed(&self, _after: &mut Afterwards) {}
}

struct State {
    peer: Option<Arc<dyn Peer>>,
    /// Nothing while the transport fills it.
    inbox: Option<Inbox>,
    /// Somebody waits until it is back.
    is_awaited: bool,
    kept: Kept,
    phase: Phase,
    /// The handshake was complete once, whatever came of it.
    was_open: bool,
    /// Set in a handshake, used from then on.
    engine: Option<Engine>,
    server_name: Option<Box<str>>,
    /// What a client answered when its server asked for a certificate.
    answer: Option<Answer>,
    end_without_notify: EndWithoutNotify,
    /// What every read answers once everything before it was handed out.
    end: Option<End>,
    loss: Loss,
    /// Bytes of records given to the transport.
    sealed: u64,
    /// Those of them up to the end of the last record with data: what a writer has to lose. Behind it are
    /// tickets and our end mark.
    sealed_data: u64,
    /// What the transport counted before the first of them: acknowledged, and taken.
    counted_from: (Acknowledged, u64),
    /// How the transport is left when the session fails.
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
    /// The peer has said so.
    Clean,
    /// It has not, or something else went wrong.
    Failed(Error),
}

/// How the transport is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// Behind what is queued there, an alert for instance, with its end mark.
    InOrder,
    /// At once.
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
    /// A session that has not begun its handshake, over what arrives in `inbox` and is sent by
    /// `below`.
    pub fn new(inbox: Inbox, below: Arc<Outbox>) -> Arc<Self> {
        Self::make(inbox, below, None)
    }

    /// The same, with somebody on the other side whom its errors name.
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

    /// What the session's writer writes into; made once.
    pub fn make_outbox(self: &Arc<Self>) -> Arc<Outbox> {
        let drain = Box::new(TlsDrain::new(Arc::clone(self), Arc::clone(&self.below)));
        let upper = Outbox::over(drain, self.cause.clone(), Arc::clone(&self.below));
        self.upper.get_or_init(|| Arc::downgrade(&upper));
        upper
    }

    /// What the session's reader reads from. It keeps `keep` alive.
    pub fn make_source(self: &Arc<Self>, keep: Arc<dyn Any + Send + Sync>) -> Box<dyn Source> {
        Box::new(TlsSource::new(Arc::clone(self), keep))
    }

    /// The first error.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// What was agreed on; nothing before the handshake is complete, nor if it never was.
    pub fn info(&self) -> Option<TlsInfo> {
        let state = self.enter().ok()?;
        let engine = state.engine.as_ref().filter(|_| state.was_open)?;
        Some(TlsInfo::new(engine.state(), state.server_name.as_deref()))
    }

    /// True until the handshake is complete or has failed.
    pub fn is_handshaking(&self) -> bool {
        self.enter().is_ok_and(|state| state.phase == Phase::Handshaking)
    }

    /// Ends the session, and resets what carries it.
    pub fn abort(&self, error: &Error) {
        self.fail(error, Leave::Reset);
    }

    /// The session is over: both halves are told, and what carries it is left.
    fn fail(&self, error: &Error, leave: Leave) {
        let named = self.enter().map_or_else(
            |_| error.clone(),
            |state| match &state.loss {
                // Closed because it was lost.
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

    /// The writer says why from its next call on. Never under the session's lock.
    fn tell_upper(&self, error: &Error) {
        if let Some(upper) = self.upper.get().and_then(Weak::upgrade) {
            upper.abort(error);
        } else {
            let mut after = Afterwards::new();
            let leave = self.enter().map_or(Leave::Reset, |state| state.leave);
            self.leave_below(leave, error, &mut after);
            after.run();
        }
    }

    /// Leaves what carries the session.
    fn leave_below(&self, leave: Leave, error: &Error, after: &mut Afterwards) {
        let below = Below::new(Arc::clone(&self.below));
        match leave {
            Leave::Reset => below.abort(error, after),
            Leave::InOrder => {
                if !below.finish(after) {
                    after.wake(Waker::from(Arc::new(SeeOff(Arc::clone(&self.below)))));
                }
            }
        }
    }

    /// Locks the session, unless this thread is in the middle of its work.
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

    /// Queues what rustls wants to have sent by itself; it leaves with
    /// [`send_own`](Self::send_own).
    fn queue_own(&self, state: &mut State) {
        let own = state.engine.as_mut().map(Engine::take_own).unwrap_or_default();
        if !own.is_empty() {
            state.push(&Below::new(Arc::clone(&self.below)), &own);
            self.unsent.store(true, Ordering::Relaxed);
        }
    }

    /// Has that sent by the end of the turn. Never under the session's lock: where there is no
    /// turn, it is sent at once, and whoever waits for that is woken.
    fn send_own(&self) {
        if self.unsent.load(Ordering::Relaxed) {
            self.unsent.store(false, Ordering::Relaxed);
            Below::new(Arc::clone(&self.below)).send_later();
        }
    }
}

impl State {
    /// Gives records to the transport.
    fn push_parcel(&mut self, below: &Below, parcel: Parcel) {
        self.sealed += parcel.len() as u64;
        below.push(parcel);
    }

    /// Copies records for the transport.
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

    /// With the peer's address, unless it has one.
    fn named(&self, error: &Error) -> Error {
        match (&self.peer, error.address()) {
            (Some(peer), None) => error.clone().with_address(peer.address()),
            _ => error.clone(),
        }
    }

    /// Nothing more is decrypted or encrypted. What was decrypted before stays readable, unless the
    /// handshake has failed: whoever was not let in is not heard, either.
    fn fail(&mut self, error: Error, leave: Leave) {
        if self.phase == Phase::Handshaking {
            self.kept = Kept::default();
        }
        if self.phase != Phase::Failed {
            self.phase = Phase::Failed;
            self.leave = leave;
        }
        self.end.get_or_insert(End::Failed(error));
    }

    /// Notes why rustls gives up, and what the peer is told.
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

/// Woken, sees an outbox off that has no owner any more.
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
