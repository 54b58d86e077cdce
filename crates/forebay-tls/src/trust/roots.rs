//! Roots from PEM, and whom they vouch for.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, SectionKind};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{DistinguishedName, RootCertStore};

use super::chain::{Presented, Role};
use super::explain;
use super::judge::{Judge, Refused};

/// Believes whom these roots vouch for.
#[derive(Debug)]
pub(super) struct Roots {
    roots: Arc<RootCertStore>,
    verifier: Inner,
}

#[derive(Debug)]
enum Inner {
    Servers(Arc<dyn ServerCertVerifier>),
    Clients(Arc<dyn ClientCertVerifier>),
}

impl Roots {
    pub(super) fn of_servers(
        roots: &Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self> {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let verifier = verifier.map_err(|error| unusable(&error))?;
        Ok(Self { roots: roots.clone(), verifier: Inner::Servers(verifier) })
    }

    pub(super) fn of_clients(
        roots: &Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let verifier = verifier.map_err(|error| unusable(&error))?;
        Ok(Self { roots: roots.clone(), verifier: Inner::Clients(verifier) })
    }

    fn ask(&self, presented: &Presented<'_>) -> std::result::Result<(), rustls::Error> {
        let &Presented { end_entity, intermediates, role, ocsp_response, now } = presented;
        match (&self.verifier, role) {
            (Inner::Servers(verifier), Role::Server(name)) => verifier
                .verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
                .map(|_| ()),
            (Inner::Clients(verifier), Role::Client) => {
                verifier.verify_client_cert(end_entity, intermediates, now).map(|_| ())
            }
            // A verifier of the other side cannot be asked, and nobody is believed unasked.
            _ => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }
}

impl Judge for Roots {
    fn judge(&self, presented: &Presented<'_>) -> std::result::Result<(), Refused> {
        self.ask(presented).map_err(|error| {
            let refusal = explain::refusal(&error, presented, Some(&self.roots));
            Refused { error, refusal }
        })
    }

    fn searches(&self) -> bool {
        true
    }

    fn hints(&self) -> &[DistinguishedName] {
        match &self.verifier {
            Inner::Servers(_) => &[],
            Inner::Clients(verifier) => verifier.root_hint_subjects(),
        }
    }
}

fn unusable(error: &rustls::server::VerifierBuilderError) -> Error {
    Error::new(ErrorKind::InvalidInput, "Trust").with_detail(error.to_string())
}

#[cfg(feature = "webpki-roots")]
pub(super) fn mozilla() -> Arc<RootCertStore> {
    Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
}

/// What a file of roots may hold. All that a system trusts takes less than one of these 16 MiB.
const FILE_MAX: u64 = 16 << 20;

pub(super) fn from_file(operation: &'static str, path: &Path) -> Result<Arc<RootCertStore>> {
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut pem))
        .map_err(|error| Error::from_io(operation, error).with_address(path.display()))?;
    if pem.len() as u64 > FILE_MAX {
        let detail = format!("expected a file of at most {FILE_MAX} bytes, but it is larger");
        let error = Error::new(ErrorKind::InvalidInput, operation).with_detail(detail);
        return Err(error.with_address(path.display()));
    }
    from_pem(operation, &pem).map_err(|error| error.with_address(path.display()))
}

pub(super) fn from_pem(operation: &'static str, pem: &[u8]) -> Result<Arc<RootCertStore>> {
    let complain = |came: &str| {
        Error::new(ErrorKind::InvalidInput, operation)
            .with_detail(format!("expected certificates in PEM (BEGIN CERTIFICATE), but {came}"))
    };
    let mut roots = RootCertStore::empty();
    let mut input = pem;
    loop {
        match pem::from_buf(&mut input) {
            Ok(Some((SectionKind::Certificate, der))) => {
                let number = roots.len() + 1;
                roots
                    .add(CertificateDer::from(der))
                    .map_err(|_| complain(&format!("certificate {number} is malformed")))?;
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            // The text of these errors quotes the file, which may be a key.
            Err(pem::Error::MissingSectionEnd { .. }) => {
                return Err(complain("the last section has no end; was the file cut?"));
            }
            Err(_) => return Err(complain("a section is malformed")),
        }
    }
    if roots.is_empty() {
        return Err(complain(found_instead(pem)));
    }
    Ok(Arc::new(roots))
}

/// What is there, when no certificate is; told by fixed words, for the file may be a secret.
fn found_instead(pem: &[u8]) -> &'static str {
    let has = |what: &[u8]| pem.windows(what.len()).any(|window| window == what);
    if pem.iter().all(u8::is_ascii_whitespace) {
        "there is nothing"
    } else if has(b"PRIVATE KEY-----") {
        "there is only a private key; the certificate is usually a file beside it"
    } else if has(b"BEGIN TRUSTED CERTIFICATE-----") {
        "there is OpenSSL's own format; `openssl x509 -in FILE` converts it"
    } else if has(b"BEGIN CERTIFICATE REQUEST-----") {
        "there is only a request for a certificate; have it signed first"
    } else if has(b"-----BEGIN ") {
        "there are only sections of other kinds"
    } else if pem.starts_with(&[0x30, 0x82]) {
        "it looks like DER; `openssl x509 -inform der -in FILE` converts it"
    } else {
        "it is not PEM"
    }
}
