//! The verifiers, asked directly: which chains are believed, and what is said of the others.

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
mod pins;
mod program;
mod signatures;
mod system;
mod weak;

use std::sync::Arc;
use std::time::Duration;

use forebay_io::{Error, TlsFault};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::{SystemRoots, Trust};
use crate::fault::explained;
use crate::notes;

/// New Year of 2030, the day of all these tests: no clock of a machine takes part.
const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_893_456_000));

fn provider() -> Arc<CryptoProvider> {
    crate::provider::provider().unwrap()
}

/// An authority with its key, and how it was made.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

impl Authority {
    /// A root.
    fn new(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (Self::params(name, change), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    /// An authority below this one.
    fn authority(&self, name: &str) -> Self {
        self.authority_with(name, |_| {})
    }

    fn authority_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (Self::params(name, change), KeyPair::generate().unwrap());
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().clone();
        Self { params, key, der }
    }

    fn params(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        params
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A certificate for these names, with nothing wrong about it.
    fn leaf(&self, names: &[&str]) -> CertificateDer<'static> {
        self.leaf_with(names, |_| {})
    }

    fn leaf_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        self.leaf_for(&KeyPair::generate().unwrap(), names, change)
    }

    fn leaf_for(
        &self,
        key: &KeyPair,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        let mut params = named("the leaf", names);
        change(&mut params);
        params.signed_by(key, &self.issuer()).unwrap().der().clone()
    }

    /// The trust of whoever has this root, and no other.
    fn trust(&self) -> Trust {
        Trust::roots_pem(pem(&self.der)).unwrap()
    }
}

/// Parameters that are good at [`NOW`], for a subject of this name.
fn named(name: &str, alternative: &[&str]) -> CertificateParams {
    let names: Vec<String> = alternative.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2029, 1, 1), date_time_ymd(2031, 1, 1));
    params
}

/// A certificate that its own key has signed.
fn self_signed(params: &CertificateParams) -> CertificateDer<'static> {
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn for_servers(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

/// The text form of a certificate; the words around it are all that matters here.
fn pem(der: &[u8]) -> String {
    let engine = pem_body(der);
    format!("-----BEGIN CERTIFICATE-----\n{engine}-----END CERTIFICATE-----\n")
}

fn pem_body(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut lines = String::new();
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for digit in 0..4 {
                let value = (bits >> (18 - 6 * digit)) & 63;
                lines.push(if digit > group.len() { '=' } else { DIGITS[value as usize].into() });
            }
        }
        lines.push('\n');
    }
    lines
}

/// Asks whether a server with this chain is believed to be `host`.
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
    notes::take();
    match verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], NOW) {
        Ok(_) => Ok(()),
        Err(error) => Err(explained("tls", error, notes::take())),
    }
}

/// Asks whether a client with this chain is believed.
fn ask_client(trust: &Trust, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
    let verifier = trust.client_verifier(&provider(), true)?;
    notes::take();
    match verifier.verify_client_cert(&chain[0], &chain[1..], NOW) {
        Ok(_) => Ok(()),
        Err(error) => Err(explained("accept_tls", error, notes::take())),
    }
}

/// A refusal has its own kind, and says what was expected, what came, and what to do.
#[track_caller]
fn refused(result: Result<(), Error>, fault: TlsFault, expected: &str, came: &str, remedy: &str) {
    let error = result.expect_err("a bad chain was believed");
    assert_eq!(error.tls_fault(), Some(fault), "{error}");
    let text = error.to_string();
    println!("{fault:?}: {text}");
    let (head, tail) = text.split_once(", but ").unwrap_or_default();
    let (middle, end) = tail.split_once("; ").unwrap_or_default();
    for (part, words, what) in
        [(head, expected, "was expected"), (middle, came, "came"), (end, remedy, "to do")]
    {
        assert!(part.contains(words), "what {what} lacks {words:?}: {text}");
    }
}
