//! The roots that the operating system trusts, and a program's own in addition.

#[cfg(all(unix, not(target_os = "android"), not(target_vendor = "apple")))]
mod files;

use std::sync::Arc;

use forebay_io::Result;
use rustls::CertificateError;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;

#[cfg(all(unix, not(target_os = "android"), not(target_vendor = "apple")))]
use self::files::verifier;
use super::chain::{Presented, Role};
use super::explain;
use super::judge::{Judge, Refused};
use super::roots::Roots;

/// The system's roots, loaded. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct SystemRoots(Arc<dyn ServerCertVerifier>);

impl SystemRoots {
    /// Reads the roots. Blocks: on most systems they are a file of some hundred kilobytes.
    ///
    /// # Errors
    ///
    /// - `NotFound` if the system has none.
    /// - `Exhausted` if there was no descriptor or no memory to read all of them. Some of the roots are not
    ///   used in place of all: peers would be refused because of a local problem.
    pub(crate) fn load(provider: &Arc<CryptoProvider>) -> Result<Self> {
        verifier(provider).map(Self)
    }
}

/// Returns the verifier of the operating system, which finds its roots by itself.
#[cfg(not(all(unix, not(target_os = "android"), not(target_vendor = "apple"))))]
fn verifier(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    use forebay_io::{Error, ErrorKind};

    match rustls_platform_verifier::Verifier::new(provider.clone()) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => Err(Error::new(ErrorKind::NotFound, "Trust::system")
            .with_detail(
                "expected root certificates of the system, but none could be loaded; use \
                 Trust::roots_pem_file",
            )
            .with_cause(error)),
    }
}

/// Accepts peers that the system accepts, or that the extra roots vouch for.
///
/// A chain ends in one root, so trusting two sets of roots means accepting what either of them accepts.
/// This way the system's roots are loaded once for all configurations.
#[derive(Debug)]
pub(super) struct System {
    system: SystemRoots,
    extra: Option<Roots>,
}

impl System {
    pub(super) fn new(system: SystemRoots, extra: Option<Roots>) -> Self {
        Self { system, extra }
    }

    fn ask_system(&self, presented: &Presented<'_>) -> std::result::Result<(), rustls::Error> {
        let Role::Server(name) = presented.role else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        self.system
            .0
            .verify_server_cert(
                presented.end_entity,
                presented.intermediates,
                name,
                presented.ocsp_response,
                presented.now,
            )
            .map(|_| ())
    }
}

impl Judge for System {
    fn judge(&self, presented: &Presented<'_>) -> std::result::Result<(), Refused> {
        if let Some(extra) = &self.extra {
            match extra.judge(presented) {
                Err(Refused {
                    error: rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer),
                    ..
                }) => {}
                // If the system does not accept the peer either, a fault of a chain from the program's own
                // roots explains more.
                Err(refused) => return self.ask_system(presented).or(Err(refused)),
                Ok(()) => return Ok(()),
            }
        }
        self.ask_system(presented).map_err(|error| {
            let refusal = explain::refusal(&error, presented, None);
            Refused { error, refusal }
        })
    }

    fn searches(&self) -> bool {
        true
    }
}
