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
mod leftover;
mod loss;
mod peer;
mod source;
mod state;
mod waiters;
mod watch;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::{Wake, Waker};

use forebay_io::seam::{Below, Cause, Inbox, Outbox, WakeList, lock};
use forebay_io::{Error, Result};

use self::discard::Discarded;
pub(crate) use self::engine::Conn;
use self::engine::Engine;
pub use self::peer::{Acknowledged, Peer};
use self::state::{Loss, SessionPhase, State, TransportEnd};
use self::waiters::SessionWaiters;
use crate::info::TlsInfo;

/// A TLS session: the state that its two channels share.
pub struct Session {
    state: Mutex<State>,
    wakes: Mutex<SessionWaiters>,
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

/// The session's own waker.
struct InputWaker(Weak<Session>);

impl Wake for InputWaker {
    fn wake(self: Arc<Self>) {
        if let Some(session) = self.0.upgrade() {
            let mut after = WakeList::new();
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
            state: Mutex::new(State::new(peer, inbox)),
            wakes: Mutex::default(),
            cause: Cause::default(),
            upper: OnceLock::new(),
            below,
            unsent: AtomicBool::new(false),
            met_loss: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            is_obstructed: AtomicBool::new(false),
            discarded: Discarded::default(),
            own_waker: Waker::from(Arc::new(InputWaker(Weak::clone(weak)))),
        })
    }

    /// Returns the first error, if there was one.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Returns the peer's address, if it is known.
    fn peer_address(&self) -> Option<String> {
        self.peer.as_ref().and_then(|peer| peer.address())
    }

    /// Returns what was negotiated, once the handshake has been complete.
    pub fn info(&self) -> Option<TlsInfo> {
        let state = self.enter().ok()?;
        let engine = state.engine.as_ref().filter(|_| state.was_open)?;
        Some(TlsInfo::new(engine.state(), state.server_name.as_deref()))
    }

    /// Returns `true` until the handshake is complete or has failed.
    pub fn is_handshaking(&self) -> bool {
        self.enter().is_ok_and(|state| state.phase == SessionPhase::Handshaking)
    }

    /// Ends the session and resets its transport.
    pub fn abort(&self, error: &Error) {
        self.fail(error, TransportEnd::Reset);
    }

    /// Ends the session: wakes both halves and leaves the transport.
    fn fail(&self, error: &Error, leave: TransportEnd) {
        let named = self.enter().map_or_else(
            |_| error.clone(),
            |state| match &state.loss {
                // The selector or socket was closed because of this loss, so the loss is the cause.
                Loss::Met(loss) if error.is_closed() => state.named(loss),
                _ => state.named(error),
            },
        );
        let error = self.cause.record(named);
        let mut after = WakeList::new();
        if let Ok(mut state) = self.enter() {
            state.fail(error.clone(), leave);
        }
        self.wake_all(&mut after);
        // First, so that no call that is woken, on another thread for instance, writes any more.
        self.tell_upper(&error);
        after.run();
    }

    /// Aborts the upper outbox, so that the writer's next call returns the error. Must not be called under
    /// the session's lock.
    fn tell_upper(&self, error: &Error) {
        // The upper outbox's drain leaves the transport. Without an outbox, this call does.
        if let Some(upper) = self.upper.get().and_then(Weak::upgrade) {
            upper.abort(error);
        } else {
            let mut after = WakeList::new();
            let leave = self.enter().map_or(TransportEnd::Reset, |state| state.leave);
            self.leave_below(leave, error, &mut after);
            after.run();
        }
    }

    /// Leaves the transport.
    fn leave_below(&self, leave: TransportEnd, error: &Error, after: &mut WakeList) {
        let below = Below::new(Arc::clone(&self.below));
        match leave {
            TransportEnd::Reset => below.abort(error, after),
            TransportEnd::InOrder => {
                if !below.finish(after) {
                    // Not finished yet: the rest is sent in the background, started when no lock is held.
                    after.wake(Waker::from(Arc::new(FinishInBackground(Arc::clone(&self.below)))));
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
        lock(&self.state)
    }

    fn wakes(&self) -> MutexGuard<'_, SessionWaiters> {
        lock(&self.wakes)
    }

    /// Queues rustls' own messages; [`send_own`](Self::send_own) sends them.
    fn queue_own(&self, state: &mut State) {
        let own = state.engine.as_mut().map(Engine::take_own).unwrap_or_default();
        if !own.is_empty() {
            state.push(&Below::new(Arc::clone(&self.below)), &own);
            self.unsent.store(true, Ordering::Release);
        }
    }

    /// Schedules sending rustls' own messages for the end of the turn. Must not be called under the
    /// session's lock: on a thread without turns they are sent at once, and waiters are woken.
    fn send_own(&self) {
        // The load saves the exchange when there is nothing. The exchange acquires what another thread has queued
        // before it set this: if that thread finds this reset, it relies on this call.
        if self.unsent.load(Ordering::Relaxed) && self.unsent.swap(false, Ordering::AcqRel) {
            Below::new(Arc::clone(&self.below)).send_later();
        }
    }
}

/// Finishes, when woken, an outbox that has no owner any more.
struct FinishInBackground(Arc<Outbox>);

impl Wake for FinishInBackground {
    fn wake(self: Arc<Self>) {
        self.0.finish_in_background();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
