//! Roots from PEM, and the peers that they vouch for.

use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{DistinguishedName, RootCertStore};

use super::chain::{Presented, Role};
use super::explain;
use super::judge::{Judge, Refused};
use crate::pem::{self, Pem};

/// The limit for the names of authorities in a request for a certificate: half of what rustls can write
/// there without making a message that no peer can read.
const HINTS_BYTES_MAX: usize = 32 * 1024;

/// Accepts peers that these roots vouch for.
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
        let builder = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone());
        Self::new(roots, builder.build().map(|verifier| Inner::Servers(verifier)))
    }

    pub(super) fn of_clients(
        roots: &Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self> {
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        // Each name has its length of two bytes in front of it.
        let hints_bytes: usize = roots.subjects().iter().map(|name| name.as_ref().len() + 2).sum();
        if hints_bytes > HINTS_BYTES_MAX {
            builder = builder.clear_root_hint_subjects();
        }
        Self::new(roots, builder.build().map(Inner::Clients))
    }

    fn new(
        roots: &Arc<RootCertStore>,
        verifier: std::result::Result<Inner, VerifierBuilderError>,
    ) -> Result<Self> {
        let verifier = verifier.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "Trust").with_detail(error.to_string())
        })?;
        Ok(Self { roots: roots.clone(), verifier })
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
            // A verifier for the other side cannot be used, and a peer that was not verified is not
            // accepted.
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

#[cfg(feature = "webpki-roots")]
pub(super) fn mozilla() -> Arc<RootCertStore> {
    Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
}

pub(super) fn from_pem(pem: &Pem<'_>) -> Result<Arc<RootCertStore>> {
    let certificates = pem.certificates()?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        roots.add(certificate.clone()).map_err(|_| {
            pem.origin.invalid(pem::malformed(index, certificates.len(), certificate))
        })?;
    }
    Ok(Arc::new(roots))
}
