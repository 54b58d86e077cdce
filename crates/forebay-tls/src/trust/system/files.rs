//! Roots of systems that keep them in files.

use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls_native_certs::{ErrorKind as Met, load_native_certs};

use crate::text::{NAME_MAX, clean, list};

const OPERATION: &str = "Trust::system";

/// Files in a message that could not be read.
const FILES_SHOWN: usize = 3;

/// Reads the files, and makes a verifier of what they hold.
///
/// A file that is damaged, that may not be read or that is not there costs its own roots only, as
/// long as there are others: one bad file among a hundred is to stop no program. What the system
/// was out of for a moment is an error, because the next attempt finds more.
pub(super) fn verifier(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    let read = load_native_certs();
    let said = said(&read.errors);
    if let Some(at) = read.errors.iter().position(|error| is_for_lack(&error.kind)) {
        return Err(failed(ErrorKind::Exhausted, read.errors.into_iter().nth(at)).with_detail(
            format!(
                "expected to read all root certificates of the system, but some could not be read\
                 {said}; the next connection tries again"
            ),
        ));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read.certs);
    if roots.is_empty() {
        return Err(failed(ErrorKind::NotFound, read.errors.into_iter().next()).with_detail(
            format!(
                "expected root certificates of the system, but none could be loaded{said}; install \
                 the package ca-certificates, name a file in SSL_CERT_FILE, or use \
                 Trust::roots_pem_file (the next connection looks again)"
            ),
        ));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    match verifier.build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(Error::new(ErrorKind::Other, OPERATION).with_cause(error)),
    }
}

/// True if a file could not be read because the process or the system had run out of something.
fn is_for_lack(met: &Met) -> bool {
    let Met::Io { inner, .. } = met else { return false };
    // The kind of an `io::Error` does not tell EMFILE; its number does, and an error cannot be cloned.
    let copy = inner
        .raw_os_error()
        .map_or_else(|| std::io::Error::from(inner.kind()), std::io::Error::from_raw_os_error);
    Error::from_io(OPERATION, copy).kind() == ErrorKind::Exhausted
}

fn failed(kind: ErrorKind, cause: Option<rustls_native_certs::Error>) -> Error {
    let error = Error::new(kind, OPERATION);
    match cause {
        Some(cause) => error.with_cause(cause),
        None => error,
    }
}

/// What went wrong with which files, behind a colon.
fn said(errors: &[rustls_native_certs::Error]) -> String {
    let texts: Vec<_> = errors.iter().map(|error| clean(&error.to_string(), NAME_MAX)).collect();
    if texts.is_empty() { String::new() } else { format!(": {}", list(&texts, FILES_SHOWN)) }
}
