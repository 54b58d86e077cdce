//! The interface of what decides about a peer, and its refusals.

use std::fmt;

use rustls::{DistinguishedName, Error};

use super::chain::Presented;
use crate::callback_facts::Refusal;

/// Decides whether a peer is accepted.
pub(super) trait Judge: fmt::Debug + Send + Sync {
    fn judge(&self, presented: &Presented<'_>) -> Result<(), Refused>;

    /// Returns `true` if issuers are searched for among the certificates that the peer sent.
    fn searches(&self) -> bool {
        false
    }

    /// Returns the authorities that clients are told of, so that they can choose a certificate.
    fn hints(&self) -> &[DistinguishedName] {
        &[]
    }
}

/// A refusal: the error that rustls derives its alert from, and the explanation for the user.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: Error,
    pub(super) refusal: Refusal,
}
