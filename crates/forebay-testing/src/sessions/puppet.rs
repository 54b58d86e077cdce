//! A peer that the test controls: rustls performs the handshake and reveals its keys; from then on the test
//! decides the content of each record.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_lite::future::zip;
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundPlainMessage,
};
use rustls::kernel::KernelConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{
    ClientConfig, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
    ServerConfig, SupportedCipherSuite,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::sides::{Raw, Side, Version, client, handshake, identity_pem, server, side_and_raw};

/// Returns the provider of the peer, whichever the sessions have.
pub fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// A connection of rustls, of either side.
pub enum Conn {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

enum Kernel {
    Client(KernelConnection<rustls::client::ClientConnectionData>),
    Server(KernelConnection<rustls::server::ServerConnectionData>),
}

/// The keys of one direction.
struct Keys<T: ?Sized> {
    cipher: Box<T>,
    next: u64,
}

/// The peer.
pub struct Puppet {
    suite: SupportedCipherSuite,
    kernel: Kernel,
    seals: Keys<dyn MessageEncrypter>,
    opens: Keys<dyn MessageDecrypter>,
    /// From the wire, and not decrypted yet.
    arrived: Vec<u8>,
}

impl Conn {
    /// Makes a client of this version, with ciphers that reveal their keys.
    pub fn client(version: Version) -> Self {
        let mut roots = RootCertStore::empty();
        let pem = identity_pem().0.as_bytes();
        roots.add(CertificateDer::from_pem_slice(pem).expect("a certificate")).expect("a root");
        let mut config = ClientConfig::builder_with_provider(chacha())
            .with_protocol_versions(&[of(version)])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        let name = ServerName::try_from("localhost").expect("a name");
        Self::Client(UnbufferedClientConnection::new(Arc::new(config), name).expect("a client"))
    }

    /// Makes a server of this version.
    pub fn server(version: Version) -> Self {
        let (certificate, key) = identity_pem();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(chacha())
            .with_protocol_versions(&[of(version)])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("a certificate")], key)
            .expect("a pair");
        config.enable_secret_extraction = true;
        config.send_tls13_tickets = 0;
        Self::Server(UnbufferedServerConnection::new(Arc::new(config)).expect("a server"))
    }

    /// Goes as far as possible with the bytes that have arrived. Returns the bytes to send, and whether the
    /// handshake is complete.
    pub fn go(&mut self, arrived: &mut Vec<u8>) -> (Vec<u8>, bool) {
        let mut own = Vec::new();
        loop {
            let (discard, next) = match self {
                Self::Client(conn) => step(conn.process_tls_records(arrived), &mut own),
                Self::Server(conn) => step(conn.process_tls_records(arrived), &mut own),
            };
            arrived.drain(..discard);
            if let Some(complete) = next {
                return (own, complete);
            }
        }
    }
}

/// Takes one step. Returns `None` if there are more, else whether the handshake is complete.
fn step<Side>(status: UnbufferedStatus<'_, '_, Side>, own: &mut Vec<u8>) -> (usize, Option<bool>) {
    let next = match status.state.expect("the peer does what it should") {
        ConnectionState::EncodeTlsData(mut message) => {
            let start = own.len();
            own.resize(start + 32 * 1024, 0);
            match message.encode(&mut own[start..]) {
                Ok(count) => own.truncate(start + count),
                Err(EncodeError::InsufficientSize(_) | EncodeError::AlreadyEncoded) => {
                    unreachable!("no flight is that long")
                }
            }
            None
        }
        ConnectionState::TransmitTlsData(message) => {
            message.done();
            None
        }
        ConnectionState::BlockedHandshake => Some(false),
        ConnectionState::WriteTraffic(_) => Some(true),
        state => panic!("not in a handshake: {state:?}"),
    };
    (status.discard, next)
}

/// Makes a side of ours with the puppet opposite: a client's, or a server's.
pub async fn led(version: Version, by_client: bool) -> (Side, Raw, Puppet) {
    let (side, mut raw) = side_and_raw();
    let (conn, config) = if by_client {
        (Conn::client(version), server(version))
    } else {
        (Conn::server(version), client(version))
    };
    let (puppet, made) = zip(Puppet::over(&mut raw, conn), handshake(&side, &config)).await;
    made.expect("a handshake");
    (side, raw, puppet)
}

impl Puppet {
    /// Performs the handshake over a raw end, and takes the keys.
    pub async fn over(raw: &mut Raw, mut conn: Conn) -> Self {
        let mut arrived = Vec::new();
        loop {
            let (own, complete) = conn.go(&mut arrived);
            raw.output.write_all(&own).await.expect("the side's transport is open");
            if complete {
                return Self::with_keys(conn, arrived);
            }
            let chunk = raw.input.read_chunk().await.expect("a handshake").expect("no end in it");
            arrived.extend_from_slice(&chunk);
        }
    }

    fn with_keys(conn: Conn, arrived: Vec<u8>) -> Self {
        let (secrets, kernel, suite) = match conn {
            Conn::Client(conn) => {
                let suite = conn.negotiated_cipher_suite().expect("a suite");
                let (secrets, kernel) = conn.dangerous_into_kernel_connection().expect("keys");
                (secrets, Kernel::Client(kernel), suite)
            }
            Conn::Server(conn) => {
                let suite = conn.negotiated_cipher_suite().expect("a suite");
                let (secrets, kernel) = conn.dangerous_into_kernel_connection().expect("keys");
                (secrets, Kernel::Server(kernel), suite)
            }
        };
        let seals = Keys { cipher: sealing(suite, secrets.tx.1), next: secrets.tx.0 };
        let opens = Keys { cipher: opening(suite, secrets.rx.1), next: secrets.rx.0 };
        Self { suite, kernel, seals, opens, arrived }
    }

    /// Returns a record with this content.
    pub fn seal(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let typ = ContentType::from(kind);
        let version = ProtocolVersion::TLSv1_2;
        let plain = OutboundPlainMessage { typ, version, payload: payload.into() };
        let sealed = self.seals.cipher.encrypt(plain, self.seals.next).expect("it fits");
        self.seals.next += 1;
        sealed.encode()
    }

    /// Returns the content of the records that have arrived.
    pub fn open(&mut self, arrived: &[u8]) -> VecDeque<(u8, Vec<u8>)> {
        self.arrived.extend_from_slice(arrived);
        let mut found = VecDeque::new();
        let mut left = std::mem::take(&mut self.arrived);
        while left.len() >= 5 {
            let length = 5 + usize::from(u16::from_be_bytes([left[3], left[4]]));
            if left.len() < length {
                break;
            }
            let mut record: Vec<u8> = left.drain(..length).collect();
            let typ = ContentType::from(record[0]);
            let message =
                InboundOpaqueMessage::new(typ, ProtocolVersion::TLSv1_2, &mut record[5..]);
            let plain = self.opens.cipher.decrypt(message, self.opens.next).expect("our keys");
            self.opens.next += 1;
            found.push_back((u8::from(plain.typ), plain.payload.to_vec()));
        }
        self.arrived = left;
        found
    }

    /// Encrypts with the next keys from now on (RFC 8446, section 7.2).
    pub fn update_sealing(&mut self) {
        let (next, secrets) = match &mut self.kernel {
            Kernel::Client(kernel) => kernel.update_tx_secret(),
            Kernel::Server(kernel) => kernel.update_tx_secret(),
        }
        .expect("the next keys");
        self.seals = Keys { cipher: sealing(self.suite, secrets), next };
    }

    /// Decrypts with the next keys from now on.
    pub fn update_opening(&mut self) {
        let (next, secrets) = match &mut self.kernel {
            Kernel::Client(kernel) => kernel.update_rx_secret(),
            Kernel::Server(kernel) => kernel.update_rx_secret(),
        }
        .expect("the next keys");
        self.opens = Keys { cipher: opening(self.suite, secrets), next };
    }
}

fn sealing(
    suite: SupportedCipherSuite,
    secrets: ConnectionTrafficSecrets,
) -> Box<dyn MessageEncrypter> {
    let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
        unreachable!("no other cipher was offered")
    };
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => suite.aead_alg.encrypter(key, iv.as_ref(), &[]),
    }
}

fn opening(
    suite: SupportedCipherSuite,
    secrets: ConnectionTrafficSecrets,
) -> Box<dyn MessageDecrypter> {
    let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
        unreachable!("no other cipher was offered")
    };
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => suite.aead_alg.decrypter(key, iv.as_ref()),
    }
}

/// The one cipher with keys that both versions reveal in one form.
fn chacha() -> Arc<CryptoProvider> {
    let mut provider = provider();
    provider.cipher_suites.retain(|suite| format!("{suite:?}").contains("CHACHA20"));
    Arc::new(provider)
}

fn of(version: Version) -> &'static rustls::SupportedProtocolVersion {
    if version == "1.3" { &rustls::version::TLS13 } else { &rustls::version::TLS12 }
}
