//! One step of rustls at a time: what it wants, and what is done about it.

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

/// A connection of rustls: it does the arithmetic and knows neither channels nor sockets.
pub(crate) enum Conn {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// The connection and what it wants to send by itself: flights of a handshake, answers to a key
/// update, alerts.
pub(super) struct Engine {
    conn: Conn,
    own: Vec<u8>,
    peer_closed: bool,
    notified: bool,
}

/// The alert `handshake_failure` as a record of TLS 1.2, in plain text (RFC 5246, sections 6.2.1 and
/// 7.2): rustls sends none where its answer to a `ClientHello` cannot be signed.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// How far the work went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A record's plaintext was handed over; there may be more.
    Plaintext,
    /// The handshake needs more input.
    Handshaking,
    /// Everything that has arrived is done; data can be sent.
    Traffic,
    /// Both sides have said that they send no more.
    Closed,
}

/// What encrypts, whichever side it is of.
pub(super) trait Seal {
    /// Encrypts into records, and says how many bytes they have.
    fn seal(&mut self, plaintext: &[u8], records: &mut [u8]) -> Result<usize, EncryptError>;

    /// Writes the record that says that no more comes.
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

    /// What it wants to have sent, before anything that is sealed later.
    pub(super) fn take_own(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.own)
    }

    /// The peer has said that it sends no more.
    pub(super) fn has_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// We have said that we send no more.
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

    /// Works on what has arrived until there is plaintext, or nothing more to do.
    ///
    /// Always on everything that was not consumed, whoever works: rustls keeps its place in an
    /// unfinished message by where it lies there.
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
            // Nobody may come back for long.
            inbox.settle();
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

    /// Built with debug assertions, rustls 0.23 panics over a bad record once we have said that we send
    /// no more: the alert about it would be a second one. No peer is to end a task by that.
    fn step_behind_notify(
        &mut self,
        arrived: &mut [u8],
        plaintext: &mut dyn FnMut(&[u8]),
        sealing: Sealing<'_>,
    ) -> (usize, Met) {
        let step = AssertUnwindSafe(|| self.step(arrived, plaintext, sealing));
        // What was unwound is not used again: the session fails.
        catch_unwind(step).unwrap_or((0, Met::Failed(rustls::Error::DecryptError)))
    }

    /// The alert that tells the peer what was wrong. While rustls has something to send it looks at
    /// no input, so it does not meet the same error again.
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

/// Why work cannot go on.
pub(super) enum Failure {
    /// The peer's fault, or rustls' verdict; an alert is among its own messages.
    Rustls(rustls::Error),
    /// No more can be encrypted.
    Sealing(EncryptError),
}

impl Failure {
    /// An alert of the peer's.
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

/// Does what rustls asks for; how many bytes of the input are done with, and how to go on.
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
            // It is sent in the order of `own`, in front of whatever is sealed later.
            message.done();
            Met::Again
        }
        ConnectionState::PeerClosed => Met::PeerClosed,
        ConnectionState::Closed => Met::Stop(Step::Closed),
        ConnectionState::BlockedHandshake => Met::Stop(Step::Handshaking),
        ConnectionState::WriteTraffic(mut traffic) => match sealing(&mut traffic) {
            Ok(()) => Met::Stop(Step::Traffic),
            Err(error) => Met::Sealing(error),
        },
        // Early data is never offered, so there is none; and nothing else is known to exist.
        _ => Met::Failed(rustls::Error::General("an unexpected state of the connection".into())),
    };
    (discard, met)
}

/// Appends a message to what is to be sent.
fn encode<Side>(mut message: EncodeTlsData<'_, Side>, own: &mut Vec<u8>) {
    let start = own.len();
    let mut wanted = 512;
    loop {
        own.resize(start + wanted, 0);
        match message.encode(&mut own[start..]) {
            Ok(count) => return own.truncate(start + count),
            Err(EncodeError::InsufficientSize(size)) => wanted = size.required_size,
            Err(EncodeError::AlreadyEncoded) => return own.truncate(start),
        }
    }
}
