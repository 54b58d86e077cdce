//! The state that the two channels of a session share, under its lock.

use std::sync::Arc;

use forebay_io::Error;
use forebay_io::seam::{Below, Inbox, Parcel};

use super::engine::{Engine, Failure};
use super::leftover::Leftover;
use super::peer::{Acknowledged, Peer};
use crate::callback_facts::{Answer, CallbackFacts};
use crate::config::EndWithoutNotify;
use crate::fault::{self, Known, Side};

/// The largest amount of ciphertext that may wait for the rest of its message: twice the longest handshake
/// message (RFC 8446, section 4; rustls accepts 64 KiB), because short records have headers.
pub(super) const ARRIVED_BYTES_MAX: usize = 128 * 1024;

pub(super) struct State {
    pub(super) peer: Option<Arc<dyn Peer>>,
    /// `None` while the transport fills it.
    pub(super) inbox: Option<Inbox>,
    /// Those that have found the inbox missing, and wait until it is back.
    pub(super) awaited: InboxWaits,
    pub(super) kept: Leftover,
    pub(super) phase: SessionPhase,
    /// The handshake was complete once, whether or not the session has failed since.
    pub(super) was_open: bool,
    /// Set when the handshake begins, and used from then on.
    pub(super) engine: Option<Engine>,
    pub(super) server_name: Option<Box<str>>,
    /// The client's answer to a server that asked for a certificate.
    pub(super) answer: Option<Answer>,
    pub(super) end_without_notify: EndWithoutNotify,
    /// The answer to every read, once everything before the end has been read.
    pub(super) end: Option<End>,
    pub(super) loss: Loss,
    /// Bytes of records handed to the transport.
    pub(super) sealed: u64,
    /// Bytes of records handed to the transport up to the end of the last record with data. Behind it are
    /// only session tickets and the `close_notify`, which no writer can lose.
    pub(super) sealed_data: u64,
    /// The transport's counters before the first record: acknowledged, and accepted.
    pub(super) counted_from: (Acknowledged, u64),
    /// The way in which the transport is left when the session fails.
    pub(super) leave: TransportEnd,
}

/// Those that wait until the thread that asks the transport puts the inbox back.
#[derive(Debug, Default)]
pub(super) struct InboxWaits {
    pub(super) by_writer: bool,
    /// The reader, or the driver of the handshake.
    pub(super) by_reader: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionPhase {
    Handshaking,
    Open,
    Failed,
}

#[derive(Clone)]
pub(super) enum End {
    /// The peer has sent `close_notify`.
    Clean,
    /// The input ended without it, or the session failed.
    Failed(Error),
}

/// The way in which the transport is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransportEnd {
    /// Its queue (an alert, for instance) is sent, then its end mark.
    InOrder,
    /// It is reset at once.
    Reset,
}

/// The state of a lost transport, and of the input that had arrived before.
#[derive(Debug, Clone)]
pub(super) enum Loss {
    None,
    /// Lost with this error. What had arrived before is not read yet.
    Met(Error),
    /// Lost, with the cause that every call returns from now on.
    Told(Error),
    /// Lost, but nothing was lost with it, so no error is reported.
    Harmless,
}

impl State {
    pub(super) fn new(peer: Option<Arc<dyn Peer>>, inbox: Inbox) -> Self {
        Self {
            peer,
            inbox: Some(inbox),
            awaited: InboxWaits::default(),
            kept: Leftover::default(),
            phase: SessionPhase::Handshaking,
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
            leave: TransportEnd::Reset,
        }
    }

    /// Hands records to the transport.
    pub(super) fn push_parcel(&mut self, below: &Below, parcel: Parcel) {
        self.sealed += parcel.len() as u64;
        below.push(parcel);
    }

    /// Copies records and hands them to the transport.
    pub(super) fn push(&mut self, below: &Below, mut bytes: &[u8]) {
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
    pub(super) fn named(&self, error: &Error) -> Error {
        error.clone().or_address(|| self.peer.as_ref().and_then(|peer| peer.address()))
    }

    /// Stops decrypting and encrypting. What was decrypted before stays readable, unless the handshake has
    /// failed: data of a peer that was not authenticated is dropped.
    pub(super) fn fail(&mut self, error: Error, leave: TransportEnd) {
        // Data that came with the handshake was kept for a peer that is not accepted now.
        if self.phase == SessionPhase::Handshaking {
            self.kept = Leftover::default();
        }
        if self.phase != SessionPhase::Failed {
            self.phase = SessionPhase::Failed;
            self.leave = leave;
        }
        // An end that was found before stands: it lies in front of this error.
        self.end.get_or_insert(End::Failed(error));
    }

    /// Records why rustls gives up, and returns the error to report.
    pub(super) fn failed(
        &mut self,
        operation: &'static str,
        failure: Failure,
        notes: CallbackFacts,
    ) -> Error {
        let is_client = self.engine.as_ref().is_some_and(Engine::is_client);
        let side = if is_client { Side::Client(self.answer) } else { Side::Server };
        let known = Known { side, server_name: self.server_name.as_deref() };
        let error = match failure {
            Failure::Rustls(error) => fault::explained(operation, error, notes, known),
            Failure::Sealing(error) => fault::not_sealed(operation, error),
        };
        let error = self.named(&error);
        self.fail(error.clone(), TransportEnd::InOrder);
        error
    }
}

impl State {
    /// Returns `true` while a close of the connection reads the input, past the session.
    pub(super) fn is_closing(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.is_closing())
    }

    pub(super) fn has_peer_closed(&self) -> bool {
        self.engine.as_ref().is_some_and(Engine::has_peer_closed)
    }

    /// Records the transport's counters before anything is sent.
    pub(super) fn begin_counting(&mut self, taken: u64) {
        self.counted_from = (self.acknowledged(), taken);
    }

    pub(super) fn acknowledged(&self) -> Acknowledged {
        self.peer.as_ref().map_or(Acknowledged::WhatWasTaken, |peer| peer.acknowledged())
    }

    /// Returns `true` if the peer has acknowledged all records with data. `taken` is what the transport has
    /// accepted so far.
    pub(super) fn is_all_acknowledged(&self, taken: u64) -> bool {
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
