//! The life of a connection: one value, which only goes forward.
//!
//! ```text
//!   link     carries ────────────────────► lost       the system has given the connection up
//!   input    open ───────────────────────► ended      a receive returned the peer's end mark
//!   output   open ──► ends by release ───► ended      our end mark goes out with the release ─► is out
//!   close    open ──► closing ───────────► attended   users' reads are refused ─► one call closes it
//!   layer    none ──► shaking hands ─────► ready      the layer on top reads, also while closing
//!   discard  nothing ────────────────────► data       there was data in the discarded input
//!   loss     of bytes, perhaps ──────────► of nothing  the layer has lost its link, and no byte
//!   cause    none ───────────────────────► recorded   the connection has failed, or was aborted
//! ```
//!
//! Each line goes from left to right, and never back. All of them are one atomic word, and each event is
//! one step of it: so of two events that depend on each other, the second has seen the first.
//!
//! An event returns which others must look again, or `false` if it is refused. This value does not hold
//! whether the descriptor is released (`net/registration.rs` does), nor why the connection has failed (its
//! cause does).

use crate::sync::atomic::{AtomicU16, Ordering};

const LOST: u16 = 1;
const PEER_ENDED: u16 = 1 << 1;
const ENDS_BY_RELEASE: u16 = 1 << 2;
const WE_ENDED: u16 = 1 << 3;
const CLOSING: u16 = 1 << 4;
const ATTENDED: u16 = 1 << 5;
const HAS_LAYER: u16 = 1 << 6;
const LAYER_IS_READY: u16 = 1 << 7;
const DISCARDED_DATA: u16 = 1 << 8;
const LOSES_NOTHING: u16 = 1 << 9;
const FAILED: u16 = 1 << 10;

/// The events that have happened.
#[derive(Debug, Default)]
pub(crate) struct Life(AtomicU16);

/// The calls that must look again after an event.
#[must_use]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Announce {
    /// Calls that receive and send: the link must be woken.
    pub(crate) calls: bool,
    /// Calls that wait for the end of the connection.
    pub(crate) waiters: bool,
}

impl Announce {
    const NOTHING: Self = Self { calls: false, waiters: false };
    const CALLS: Self = Self { calls: true, waiters: false };
    const WAITERS: Self = Self { calls: false, waiters: true };
}

impl Life {
    /// Records an event, and returns the state before it.
    ///
    /// It acquires, so that this thread has seen what other threads did before their events, and releases,
    /// so that they see what this thread did before this one.
    fn note(&self, event: u16) -> State {
        State(self.0.fetch_or(event, Ordering::AcqRel))
    }

    /// Returns the state now.
    pub(crate) fn state(&self) -> State {
        State(self.0.load(Ordering::Acquire))
    }

    /// Records that the system has given the connection up: there is nothing left to reset.
    pub(crate) fn lose(&self) {
        self.note(LOST);
    }

    /// Records that the connection's cause has been recorded. The calls that check it look here first: it is in
    /// memory of its own.
    pub(crate) fn fail(&self) {
        self.note(FAILED);
    }

    /// Records that a receive has returned the peer's end mark.
    pub(crate) fn peer_ended(&self) -> Announce {
        if self.note(PEER_ENDED).has_peer_ended() { Announce::NOTHING } else { Announce::WAITERS }
    }

    /// Lets our end mark go out with the release of the link: one system call instead of two. Refused if
    /// the end mark is already out.
    pub(crate) fn end_by_release(&self) -> bool {
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (!State(state).have_we_ended()).then_some(state | ENDS_BY_RELEASE)
        });
        before.is_ok()
    }

    /// Records that our end mark is out, or that it goes out with the release and nothing follows it.
    pub(crate) fn we_ended(&self) -> Announce {
        if self.note(WE_ENDED).have_we_ended() { Announce::NOTHING } else { Announce::WAITERS }
    }

    /// Begins to close the connection: reads of users are refused from now on.
    pub(crate) fn begin_closing(&self) -> Announce {
        if self.note(CLOSING).is_closing() { Announce::NOTHING } else { Announce::CALLS }
    }

    /// Makes the caller the one that completes the close. Refused unless the close has begun, and if
    /// another call does so already.
    pub(crate) fn attend(&self) -> bool {
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            let now = State(state);
            (now.is_closing() && !now.is_attended()).then_some(state | ATTENDED)
        });
        before.is_ok()
    }

    /// Records that a layer is on top of the link from now on, and has begun its handshake.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "TLS is the only layer"))]
    pub(crate) fn lay_on_top(&self) -> Announce {
        if self.note(HAS_LAYER).has_layer() { Announce::NOTHING } else { Announce::WAITERS }
    }

    /// Records that the layer's handshake is complete, or has failed. A close that has begun before reads
    /// by itself from now on.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "TLS is the only layer"))]
    pub(crate) fn layer_is_ready(&self) -> Announce {
        let before = self.note(HAS_LAYER | LAYER_IS_READY);
        if before.is_layer_ready() {
            return Announce::NOTHING;
        }
        Announce { calls: before.is_closing(), waiters: true }
    }

    /// Records that there was data in the discarded input: the peer is, or was, still sending.
    pub(crate) fn discarded_data(&self) {
        self.note(DISCARDED_DATA);
    }

    /// Records that the layer has failed by the loss of its link, when its peer had ended and had acknowledged
    /// everything. Before the layer's cause is recorded.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "TLS is the only layer"))]
    pub(crate) fn lose_nothing(&self) {
        self.note(LOSES_NOTHING);
    }
}

/// The state of a connection's life at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(u16);

impl State {
    fn has(self, event: u16) -> bool {
        self.0 & event != 0
    }

    pub(crate) fn is_lost(self) -> bool {
        self.has(LOST)
    }

    pub(crate) fn has_failed(self) -> bool {
        self.has(FAILED)
    }

    pub(crate) fn has_peer_ended(self) -> bool {
        self.has(PEER_ENDED)
    }

    pub(crate) fn ends_by_release(self) -> bool {
        self.has(ENDS_BY_RELEASE)
    }

    pub(crate) fn have_we_ended(self) -> bool {
        self.has(WE_ENDED)
    }

    pub(crate) fn is_closing(self) -> bool {
        self.has(CLOSING)
    }

    fn is_attended(self) -> bool {
        self.has(ATTENDED)
    }

    fn has_layer(self) -> bool {
        self.has(HAS_LAYER)
    }

    fn is_layer_ready(self) -> bool {
        self.has(LAYER_IS_READY)
    }

    /// True while the layer's handshake is not complete: the layer reads then, even if the connection is
    /// being closed.
    pub(crate) fn is_handshaking(self) -> bool {
        self.has_layer() && !self.is_layer_ready()
    }

    /// True if a read of a user may not begin: only the close receives.
    pub(crate) fn refuses_reads(self) -> bool {
        self.is_closing()
    }

    /// True if a read of the layer may not begin either.
    pub(crate) fn refuses_reads_of_layer(self) -> bool {
        self.is_closing() && !self.is_handshaking()
    }

    pub(crate) fn has_discarded_data(self) -> bool {
        self.has(DISCARDED_DATA)
    }

    pub(crate) fn loses_nothing(self) -> bool {
        self.has(LOSES_NOTHING)
    }
}
