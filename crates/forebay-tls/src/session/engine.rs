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

#[cfg(test)]
mod tests {
    use forebay_io::seam::{Inbox, pipe_ends};
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::{Conn, Engine, Step};
    use crate::provider::provider;
    use crate::samples::Authority;
    use crate::{Identity, TlsConfig};

    /// A server's engine and its inbox, and a client of rustls that the test controls.
    struct Pair {
        engine: Engine,
        inbox: Inbox,
        client: ClientConnection,
        /// Plaintext from the client.
        read: Vec<u8>,
    }

    fn said(peer: &mut ClientConnection) -> Vec<u8> {
        let mut said = Vec::new();
        while peer.wants_write() {
            peer.write_tls(&mut said).unwrap();
        }
        said
    }

    impl Pair {
        fn opened(version: &str) -> Self {
            let root = Authority::new("root");
            let identity = Identity::from_pem(root.issue(&["localhost"]).both()).unwrap();
            let server = TlsConfig::server(identity).versions([version]).build().unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(root.der.clone()).unwrap();
            let client = ClientConfig::builder_with_provider(provider().unwrap())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let name = "localhost".try_into().unwrap();
            let mut pair = Self {
                engine: Engine::new(Conn::Server(Box::new(server.server_connection().unwrap()))),
                inbox: Inbox::new(Box::new(pipe_ends(1).0)),
                client: ClientConnection::new(client.into(), name).unwrap(),
                read: Vec::new(),
            };
            while pair.client.is_handshaking() || pair.client.wants_write() {
                pair.receive();
                assert_ne!(pair.work(), Step::Plaintext);
                pair.answer();
            }
            pair
        }

        /// Hands the engine everything that the client has to say.
        fn receive(&mut self) {
            let said = said(&mut self.client);
            self.inbox.append(&said);
        }

        /// Hands the client what the engine has to say by itself.
        fn answer(&mut self) {
            let own = self.engine.take_own();
            let mut left = &own[..];
            while !left.is_empty() {
                self.client.read_tls(&mut left).unwrap();
                self.client.process_new_packets().unwrap();
            }
        }

        fn work(&mut self) -> Step {
            let Self { engine, inbox, read, .. } = self;
            let mut put = |plaintext: &[u8]| read.extend_from_slice(plaintext);
            engine.work(inbox, &mut put, &mut |_| Ok(())).ok().unwrap()
        }

        /// Works until the inbox is empty, and shows that nothing was left behind it.
        #[track_caller]
        fn work_off(&mut self) {
            while !self.inbox.is_empty() {
                self.work();
            }
            self.engine.take_own();
            let known = (self.read.clone(), self.engine.has_peer_closed());
            assert_ne!(self.work(), Step::Plaintext);
            assert_eq!((self.read.clone(), self.engine.has_peer_closed()), known);
            assert!(self.engine.take_own().is_empty(), "rustls had something to say");
        }
    }

    /// Something that the client says, by its first letter: data, a key update, `close_notify`.
    fn say(client: &mut ClientConnection, what: char) -> Vec<u8> {
        match what {
            'd' => std::io::Write::write_all(&mut client.writer(), b"data").unwrap(),
            'k' => client.refresh_traffic_keys().unwrap(),
            _ => client.send_close_notify(),
        }
        said(client)
    }

    #[test]
    fn behind_an_empty_inbox_rustls_keeps_nothing_back() {
        let both = ["d", "dd", "c", "dc", "ddc"].map(|script| ("1.2", script));
        let newer = ["k", "kd", "dk", "dkd", "kdc", "dkc"].map(|script| ("1.3", script));
        let same = both.map(|(_, script)| ("1.3", script));
        for (version, script) in both.into_iter().chain(same).chain(newer) {
            // All at once, and a byte at a time.
            for at_once in [true, false] {
                let mut pair = Pair::opened(version);
                pair.work_off();
                for what in script.chars() {
                    let said = say(&mut pair.client, what);
                    assert!(!said.is_empty());
                    if at_once {
                        pair.inbox.append(&said);
                        continue;
                    }
                    for byte in said {
                        pair.inbox.append(&[byte]);
                        while pair.work() == Step::Plaintext {}
                    }
                }
                pair.work_off();
                let expected = b"data".repeat(script.matches('d').count());
                assert_eq!(pair.read, expected, "{version} {script}");
                assert_eq!(
                    pair.engine.has_peer_closed(),
                    script.contains('c'),
                    "{version} {script}"
                );
            }
        }
    }
}
