//! Keys wear out: a side encrypts no more with one than is safe (RFC 8446, section 5.5).

use std::sync::Arc;

use forebay_io::seam::{Inbox, Outbox, PipeSource, pipe_ends};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Fault, TlsFault};
use futures_lite::future::{block_on, zip};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::sides;
use crate::TlsConfig;
use crate::config::Store;
use crate::provider::{Cryptography, WantedCryptography};
use crate::session::Session;

/// So few records may be encrypted with one key. The client's last message of a handshake with TLS
/// 1.2 is the first of them.
const LIMIT: u64 = 4;

/// Cryptography whose keys wear out soon. It is never freed, because rustls wants it so.
fn short_lived(version: &str) -> Cryptography {
    let wanted = WantedCryptography {
        versions: Some(vec![version.to_owned()]),
        ..WantedCryptography::default()
    };
    let mut cryptography = Cryptography::of(&wanted, "test").unwrap();
    let suites = &mut Arc::make_mut(&mut cryptography.provider).cipher_suites;
    for suite in suites {
        *suite = match *suite {
            SupportedCipherSuite::Tls12(suite) => {
                let common = CipherSuiteCommon { confidentiality_limit: LIMIT, ..suite.common };
                let suite = Tls12CipherSuite { common, ..*suite };
                SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
            }
            SupportedCipherSuite::Tls13(suite) => {
                let common = CipherSuiteCommon { confidentiality_limit: LIMIT, ..suite.common };
                let suite = Tls13CipherSuite { common, ..*suite };
                SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
            }
        };
    }
    cryptography
}

struct ConfigSide {
    session: Arc<Session>,
    input: ByteReadChannel,
    output: ByteWriteChannel,
}

impl ConfigSide {
    fn new(arrives: PipeSource, below: Arc<Outbox>) -> Self {
        let session = Session::new(Inbox::new(Box::new(arrives)), below);
        let input = ByteReadChannel::from_source(session.make_source(Arc::new(())));
        let output = ByteWriteChannel::new(session.make_outbox(), None);
        Self { session, input, output }
    }

    async fn handshake(&self, config: &TlsConfig) {
        self.session.handshake(config, &Store::default(), Some("localhost")).await.unwrap();
    }
}

/// A client with keys that wear out soon, and its server.
async fn opened(version: &str) -> (ConfigSide, ConfigSide) {
    let (_root, client, server) = sides();
    let client = client.build_with(short_lived(version)).unwrap();
    let server = server.build().unwrap();
    let ((there, forth), (here, back)) = (pipe_ends(1 << 20), pipe_ends(1 << 20));
    let (ours, theirs) = (ConfigSide::new(here, forth), ConfigSide::new(there, back));
    zip(ours.handshake(&client), theirs.handshake(&server)).await;
    (ours, theirs)
}

/// Writes a record each, until one cannot be.
async fn write_records(output: &mut ByteWriteChannel, count: usize) -> Result<(), Error> {
    for number in 0..count {
        output.write_str(&format!("line {number}\n")).await?;
        output.flush().await?;
    }
    Ok(())
}

#[test]
fn with_tls_1_2_the_limit_is_nobodys_fault_and_the_peer_can_tell_that_something_is_missing() {
    block_on(async {
        let (mut ours, mut theirs) = opened("1.2").await;
        let error = write_records(&mut ours.output, 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls(TlsFault::KeysExhausted), "{error}");
        assert_eq!(error.kind().fault(), Fault::Limit);
        let message = error.to_string();
        for part in ["expected no more records than", "but that many were sent", "; connect again"]
        {
            assert!(message.contains(part), "{message}\nlacks {part}");
        }
        for number in 0..LIMIT - 1 {
            let line = theirs.input.read_line().await.unwrap();
            assert_eq!(line, Some(format!("line {number}")));
        }
        let cut = theirs.input.read_line().await.unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::EndedWithoutNotify, "{cut}");
    });
}

#[test]
fn with_tls_1_3_keys_are_renewed_before_they_wear_out() {
    block_on(async {
        let (mut ours, mut theirs) = opened("1.3").await;
        write_records(&mut ours.output, 100).await.unwrap();
        for number in 0..100 {
            let line = theirs.input.read_line().await.unwrap();
            assert_eq!(line, Some(format!("line {number}")));
        }
        ours.output.finish().await.unwrap();
        assert_eq!(theirs.input.read_line().await.unwrap(), None);
    });
}
