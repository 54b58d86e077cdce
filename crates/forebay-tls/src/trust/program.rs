//! The program's own verifier.

use std::fmt;
use std::sync::Arc;

use forebay_io::{Error, Result, TlsFault};
use rustls::CertificateError;

use super::chain::{Presented, Role};
use super::judge::{Judge, Refused};
use crate::callback_facts::Refusal;
use crate::info::PeerCertificate;

/// The chain that a peer presents to [`Trust::verifier`](crate::Trust::verifier), which has an example.
/// Nothing in it has been verified, except that an RSA key in its first certificate has at least 2048 bits.
#[derive(Debug)]
pub struct PeerChain {
    certificates: Vec<PeerCertificate>,
    server_name: Option<String>,
}

impl PeerChain {
    /// Returns the certificates as they were sent. The first is the peer's own (RFC 8446, section 4.4.2);
    /// there is at least one.
    pub fn certificates(&self) -> &[PeerCertificate] {
        &self.certificates
    }

    /// Returns the name or address of the server that was connected to; `None` for a client.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}

type Function = dyn Fn(&PeerChain) -> Result<()> + Send + Sync;

/// The program's function, which decides.
#[derive(Clone)]
pub(super) struct Program(Arc<Function>);

impl Program {
    pub(super) fn new(verify: impl Fn(&PeerChain) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(verify))
    }
}

impl Judge for Program {
    fn judge(&self, presented: &Presented<'_>) -> std::result::Result<(), Refused> {
        let chain = PeerChain {
            certificates: presented.ders().map(|der| PeerCertificate::parse(der)).collect(),
            server_name: match presented.role {
                Role::Server(name) => Some(name.to_str().into_owned()),
                Role::SomeServer | Role::Client => None,
            },
        };
        (self.0)(&chain).map_err(|error| Refused {
            error: CertificateError::ApplicationVerificationFailure.into(),
            refusal: refusal(presented.role, error),
        })
    }
}

fn refusal(role: Role<'_>, error: Error) -> Refusal {
    Refusal {
        fault: TlsFault::RefusedByVerifier,
        detail: format!(
            "expected a {role} that the function of Trust::verifier accepts, but it said: {error}"
        ),
        cause: Some(error),
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}
