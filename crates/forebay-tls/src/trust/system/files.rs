//! The roots of systems that keep them in files.

use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls_native_certs::{ErrorKind as Met, load_native_certs};

use crate::text::{NAME_MAX, list};
use forebay_io::seam::printable;

const OPERATION: &str = "Trust::system";

/// The number of unreadable files that a message names.
const FILES_SHOWN: usize = 3;

/// Reads the files, and makes a verifier of the roots in them.
///
/// A file that is missing, damaged or not readable costs only its own roots, as long as there are others:
/// one bad file among a hundred must not stop a program. A temporary lack of resources is an error, because
/// the next attempt will find more.
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

/// Returns `true` if a file could not be read because the process or the system was out of some resource.
fn is_for_lack(met: &Met) -> bool {
    let Met::Io { inner, .. } = met else { return false };
    // The kind of an `io::Error` does not tell EMFILE, but its number does; an error cannot be cloned.
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

/// Lists the errors, behind a colon.
fn said(errors: &[rustls_native_certs::Error]) -> String {
    let texts: Vec<_> =
        errors.iter().map(|error| printable(&error.to_string(), NAME_MAX)).collect();
    if texts.is_empty() { String::new() } else { format!(": {}", list(&texts, FILES_SHOWN)) }
}
