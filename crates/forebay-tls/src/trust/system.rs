//! What the operating system trusts, and roots of one's own besides.

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
    /// - `NotFound` where the system has none.
    /// - `Exhausted` where there was no descriptor or no memory to read all of them. A part of the
    ///   roots is not taken for the whole: peers would be refused for what is a matter of ours.
    pub(crate) fn load(provider: &Arc<CryptoProvider>) -> Result<Self> {
        verifier(provider).map(Self)
    }
}

/// The verifier of the operating system, which finds its roots by itself.
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

/// Believes whom the system believes, or whom the extra roots vouch for.
///
/// A chain ends in one root, so that trusting two sets is to be believed by either; this way the
/// system's are loaded once for every config.
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
                // What is wrong with a chain of one's own roots is the better answer, should the
                // system not believe it.
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
