//! Drives rustls one step at a time: asks for its state and does what it demands.

use std::panic::{AssertUnwindSafe, catch_unwind};

use forebay_io::seam::Inbox;
use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};

use super::inside;
use crate::fault;

/// A rustls connection, which has no access to channels or sockets.
pub(crate) enum Conn {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// A rustls connection and the messages that it sends by itself: handshake flights, answers to key updates,
/// alerts.
pub(super) struct Engine {
    conn: Conn,
    own: Vec<u8>,
    peer_closed: bool,
    notified: bool,
}

/// The alert `handshake_failure` as a plaintext record of TLS 1.2 (RFC 5246, sections 6.2.1 and 7.2).
/// rustls sends no alert if it cannot sign its answer to a `ClientHello`.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// The point at which the work stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The plaintext of a record was handed over; there may be more.
    Plaintext,
    /// The handshake needs more input.
    Handshaking,
    /// Everything that has arrived is processed, and data can be sent.
    Traffic,
    /// Both sides have sent `close_notify`.
    Closed,
}

/// Encrypts, for a client or a server.
pub(super) trait Seal {
    /// Encrypts into records and returns the number of their bytes.
    fn seal(&mut self, plaintext: &[u8], records: &mut [u8]) -> Result<usize, EncryptError>;

    /// Writes the `close_notify` record.
    fn notify(&mut self, record: &mut [u8]) -> Result<usize, EncryptError>;
}

impl<Side> Seal for WriteTraffic<'_, Side> {
    fn seal(&mut self, plaintext: &[u8], records: &mut [u8]) -> Result<usize, EncryptError> {
        self.encrypt(plaintext, records)
    }

    fn notify(&mut self, record: &mut [u8]) -> Result<usize, EncryptError> {
        self.queue_close_notify(record)
    }
}

type Sealing<'a> = &'a mut dyn FnMut(&mut dyn Seal) -> Result<(), EncryptError>;

impl Engine {
    pub(super) fn new(conn: Conn) -> Self {
        Self { conn, own: Vec::new(), peer_closed: false, notified: false }
    }

    /// Takes the messages of rustls itself, which must be sent before anything that is sealed later.
    pub(super) fn take_own(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.own)
    }

    /// Returns `true` once the peer has sent `close_notify`.
    pub(super) fn has_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Records that this side has sent `close_notify`.
    pub(super) fn set_notified(&mut self) {
        self.notified = true;
    }

    pub(super) fn has_notified(&self) -> bool {
        self.notified
    }

    pub(super) fn is_client(&self) -> bool {
        matches!(self.conn, Conn::Client(_))
    }

    pub(super) fn state(&self) -> &CommonState {
        match &self.conn {
            Conn::Client(conn) => conn,
            Conn::Server(conn) => conn,
        }
    }

    /// Processes what has arrived until there is plaintext, or nothing more to do.
    ///
    /// Every call passes all ciphertext that was not consumed, because rustls remembers its position in an
    /// unfinished message as an offset into it.
    pub(super) fn work(
        &mut self,
        inbox: &mut Inbox,
        plaintext: &mut dyn FnMut(&[u8]),
        sealing: Sealing<'_>,
    ) -> Result<Step, Failure> {
        let _inside = inside::enter();
        let outcome = loop {
            let (discard, met) = if self.notified {
                self.step_behind_notify(inbox.arrived(), plaintext, sealing)
            } else {
                self.step(inbox.arrived(), plaintext, sealing)
            };
            inbox.consume(discard);
            match met {
                Met::Again => {}
                Met::PeerClosed => self.peer_closed = true,
                Met::Stop(step) => break Ok(step),
                Met::Sealing(error) => break Err(Failure::Sealing(error)),
                Met::Failed(error) => {
                    self.gather_alert(inbox);
                    if fault::has_no_scheme(&error) {
                        self.own.extend_from_slice(&HANDSHAKE_FAILURE);
                    }
                    break Err(Failure::Rustls(error));
                }
            }
        };
        if inbox.is_empty() {
            // The next call may be a long time away.
            inbox.trim();
        }
        outcome
    }

    fn step(
        &mut self,
        arrived: &mut [u8],
        plaintext: &mut dyn FnMut(&[u8]),
        sealing: Sealing<'_>,
    ) -> (usize, Met) {
        let Self { conn, own, .. } = self;
        match conn {
            Conn::Client(conn) => {
                handle(conn.process_tls_records(arrived), own, plaintext, sealing)
            }
            Conn::Server(conn) => {
                handle(conn.process_tls_records(arrived), own, plaintext, sealing)
            }
        }
    }

    /// Calls `step`, and turns a panic into an error. With debug assertions, rustls 0.23 panics over a bad
    /// record after this side has sent `close_notify`, because the alert about it would be a second one. A
    /// peer must not be able to end a task that way.
    fn step_behind_notify(
        &mut self,
        arrived: &mut [u8],
        plaintext: &mut dyn FnMut(&[u8]),
        sealing: Sealing<'_>,
    ) -> (usize, Met) {
        let step = AssertUnwindSafe(|| self.step(arrived, plaintext, sealing));
        // The connection is not used again after the panic: the session fails.
        catch_unwind(step).unwrap_or((0, Met::Failed(rustls::Error::DecryptError)))
    }

    /// Collects the alert that tells the peer what was wrong. While rustls has something to send it reads
    /// no input, so it does not hit the same error again.
    fn gather_alert(&mut self, inbox: &mut Inbox) {
        while self.state().wants_write() {
            let (discard, met) = self.step(inbox.arrived(), &mut |_| {}, &mut |_| Ok(()));
            inbox.consume(discard);
            if !matches!(met, Met::Again) {
                return;
            }
        }
    }
}

/// The reason why the work cannot go on.
pub(super) enum Failure {
    /// A fault of the peer, or a refusal by rustls or a verifier. The alert is among rustls' own messages.
    Rustls(rustls::Error),
    /// Nothing more can be encrypted.
    Sealing(EncryptError),
}

impl Failure {
    /// Returns `true` for an alert of the peer.
    pub(super) fn is_told_by_peer(&self) -> bool {
        matches!(self, Self::Rustls(rustls::Error::AlertReceived(_)))
    }
}

enum Met {
    Again,
    PeerClosed,
    Stop(Step),
    Sealing(EncryptError),
    Failed(rustls::Error),
}

/// Carries out what rustls demands. Returns the number of input bytes to consume, and how to go on.
fn handle<Side>(
    status: UnbufferedStatus<'_, '_, Side>,
    own: &mut Vec<u8>,
    plaintext: &mut dyn FnMut(&[u8]),
    sealing: Sealing<'_>,
) -> (usize, Met) {
    let mut discard = status.discard;
    let state = match status.state {
        Ok(state) => state,
        Err(error) => return (discard, Met::Failed(error)),
    };
    let met = match state {
        ConnectionState::ReadTraffic(mut records) => loop {
            match records.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plaintext(record.payload);
                }
                Some(Err(error)) => break Met::Failed(error),
                None => break Met::Stop(Step::Plaintext),
            }
        },
        ConnectionState::EncodeTlsData(message) => {
            encode(message, own);
            Met::Again
        }
        ConnectionState::TransmitTlsData(message) => {
            // Sent already, as far as rustls is concerned: `own` keeps the order, in front of anything
            // sealed later.
            message.done();
            Met::Again
        }
        // Not the end of the work: this side may still send.
        ConnectionState::PeerClosed => Met::PeerClosed,
        ConnectionState::Closed => Met::Stop(Step::Closed),
        ConnectionState::BlockedHandshake => Met::Stop(Step::Handshaking),
        // rustls returns this state only when nothing is left to be read or sent by itself.
        ConnectionState::WriteTraffic(mut traffic) => match sealing(&mut traffic) {
            Ok(()) => Met::Stop(Step::Traffic),
            Err(error) => Met::Sealing(error),
        },
        // Early data is never offered, so its states do not occur; no other state is known.
        _ => Met::Failed(rustls::Error::General("an unexpected state of the connection".into())),
    };
    (discard, met)
}

/// Appends a message to the bytes to be sent.
fn encode<Side>(mut message: EncodeTlsData<'_, Side>, own: &mut Vec<u8>) {
    let start = own.len();
    // Enough for most messages; otherwise rustls says how much it needs.
    let mut wanted = 512;
    loop {
        own.resize(start + wanted, 0);
        match message.encode(&mut own[start..]) {
            Ok(count) => return own.truncate(start + count),
            Err(EncodeError::InsufficientSize(size)) => wanted = size.required_size,
            // Cannot happen with a fresh message; nothing is to be added then.
            Err(EncodeError::AlreadyEncoded) => return own.truncate(start),
        }
    }
}
