//! A client and a server, each a session over two pipes.

use std::sync::{Arc, LazyLock};

use forebay_io::seam::{Inbox, Outbox, PipeSource, pipe_ends};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result, TlsFault};
use forebay_tls::seam::{Session, Store};
use forebay_tls::{Identity, TlsClientBuilder, TlsConfig, TlsServerBuilder, Trust};
use futures_lite::future::zip;

/// A version of the protocol, by the name that configurations know.
pub type Version = &'static str;

/// Both versions; a rule that holds for one is shown for both.
pub const BOTH: [Version; 2] = ["1.3", "1.2"];

/// More than any test leaves unread in a pipe.
const ROOMY: usize = 4 * 1024 * 1024;

/// One side of a connection.
pub struct Side {
    pub session: Arc<Session>,
    pub input: ByteReadChannel,
    pub output: ByteWriteChannel,
}

/// The end of a connection without TLS.
pub struct Raw {
    pub input: ByteReadChannel,
    pub output: ByteWriteChannel,
}

/// A certificate for `localhost` and its key, in PEM.
static IDENTITY: LazyLock<(String, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
});

/// Returns the certificate and the key, for a foreign peer.
pub fn identity_pem() -> (&'static str, &'static str) {
    (&IDENTITY.0, &IDENTITY.1)
}

/// Returns a client that trusts the server below, with this version only.
pub fn client_of(version: Version) -> TlsClientBuilder {
    let trust = Trust::roots_pem(&IDENTITY.0).expect("a root");
    TlsConfig::client().trust(trust).versions([version])
}

/// Returns a server for `localhost`, with this version only, that gives no tickets: everything it sends
/// after the handshake is data.
pub fn server_of(version: Version) -> TlsServerBuilder {
    let identity = format!("{}{}", IDENTITY.0, IDENTITY.1);
    let identity = Identity::from_pem(identity).expect("an identity");
    TlsConfig::server(identity).versions([version]).ticket_count(0)
}

pub fn client(version: Version) -> TlsConfig {
    client_of(version).build().expect("a client")
}

pub fn server(version: Version) -> TlsConfig {
    server_of(version).build().expect("a server")
}

/// Makes a side over a source and a drain.
pub fn side(arrives: PipeSource, below: Arc<Outbox>) -> Side {
    over(Inbox::new(Box::new(arrives)), below)
}

/// Makes a side over an inbox of one's own.
pub fn over(inbox: Inbox, below: Arc<Outbox>) -> Side {
    let session = Session::new(inbox, below);
    let input = ByteReadChannel::from_source(session.make_source(Arc::new(())));
    let output = ByteWriteChannel::new(session.make_outbox(), None);
    Side { session, input, output }
}

/// Makes two sides with this much room between them, each way.
pub fn pair(capacity: usize) -> (Side, Side) {
    let ((there, forth), (here, back)) = (pipe_ends(capacity), pipe_ends(capacity));
    (side(here, forth), side(there, back))
}

/// Makes a side, and the raw end of its bytes.
pub fn side_and_raw() -> (Side, Raw) {
    side_and_raw_over(ROOMY)
}

/// Makes the same with a smaller pipe.
pub fn side_and_raw_over(capacity: usize) -> (Side, Raw) {
    let ((there, forth), (here, back)) = (pipe_ends(capacity), pipe_ends(capacity));
    let input = ByteReadChannel::from_source(Box::new(there));
    (side(here, forth), Raw { input, output: ByteWriteChannel::new(back, None) })
}

/// Performs one side's handshake.
pub async fn handshake(side: &Side, config: &TlsConfig) -> Result<()> {
    side.session.handshake(config, &Store::default(), Some("localhost")).await
}

/// Makes a client and a server with a complete handshake.
pub async fn opened(version: Version) -> (Side, Side) {
    opened_over(ROOMY, &client(version), &server(version)).await
}

/// Makes the same with this much room between them, and with these configurations.
pub async fn opened_over(capacity: usize, client: &TlsConfig, server: &TlsConfig) -> (Side, Side) {
    let (left, right) = pair(capacity);
    let (ours, theirs) = zip(handshake(&left, client), handshake(&right, server)).await;
    ours.expect("the client's handshake");
    theirs.expect("the server's handshake");
    (left, right)
}

/// Returns the fault that was found with the peer.
#[track_caller]
pub fn fault(error: &Error) -> TlsFault {
    match error.kind() {
        ErrorKind::Tls(fault) => fault,
        _ => panic!("no fault of the peer's: {error}"),
    }
}
