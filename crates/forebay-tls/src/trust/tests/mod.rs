//! The verifiers, called directly: the chains they accept, and the errors for the others.

mod anybody;
mod bad_clients;
mod bad_servers;
mod certificates;
mod debug;
mod files;
mod good;
mod handshakes;
mod hostile;
mod hosts;
mod long;
mod pins;
mod program;
mod signatures;
mod system;
mod weak;

use forebay_testing::report;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::{Error, TlsFault};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::anybody::Anybody;
use super::{SystemRoots, Trust, TrustKind};
use crate::callback_facts;
use crate::fault::{Known, explained};
use crate::samples::{Authority, named, pem, self_signed};

/// New Year of 2030, the time of all these tests, which use no clock.
const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_893_456_000));

fn provider() -> Arc<CryptoProvider> {
    crate::provider::provider().unwrap()
}

/// Trusts every peer, as `Trust::dangerous_accept_any` does, without its warning.
fn accept_any() -> Trust {
    Trust(TrustKind::Anybody(Anybody::warned()))
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn for_servers(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

/// Verifies a server with this chain as `host`.
fn ask(trust: &Trust, host: &str, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
    ask_loaded(trust, None, host, chain)
}

fn ask_loaded(
    trust: &Trust,
    system: Option<&SystemRoots>,
    host: &str,
    chain: &[CertificateDer<'_>],
) -> Result<(), Error> {
    let verifier = trust.server_verifier(&provider(), system)?;
    let name = ServerName::try_from(host).unwrap();
    callback_facts::take();
    match verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], NOW) {
        Ok(_) => Ok(()),
        Err(error) => Err(explained("tls", error, callback_facts::take(), Known::default())),
    }
}

/// Verifies a client with this chain.
fn ask_client(trust: &Trust, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
    let verifier = trust.client_verifier(&provider(), true)?;
    callback_facts::take();
    match verifier.verify_client_cert(&chain[0], &chain[1..], NOW) {
        Ok(_) => Ok(()),
        Err(error) => Err(explained("accept_tls", error, callback_facts::take(), Known::default())),
    }
}

/// Checks that a refusal has its own kind, and says what was expected, what was received, and what to do.
#[track_caller]
fn refused(result: Result<(), Error>, fault: TlsFault, expected: &str, came: &str, remedy: &str) {
    let error = result.expect_err("a bad chain was believed");
    assert_eq!(error.tls_fault(), Some(fault), "{error}");
    let text = error.to_string();
    report(&format!("{fault:?}: {text}"));
    let (head, tail) = text.split_once(", but ").unwrap_or_default();
    let (middle, end) = tail.split_once("; ").unwrap_or_default();
    for (part, words, what) in
        [(head, expected, "was expected"), (middle, came, "came"), (end, remedy, "to do")]
    {
        assert!(part.contains(words), "what {what} lacks {words:?}: {text}");
    }
}
