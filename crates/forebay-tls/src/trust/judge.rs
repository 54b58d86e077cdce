//! Who decides about a peer, and what comes of it.

use std::fmt;

use rustls::{DistinguishedName, Error};

use super::chain::Presented;
use crate::notes::Refusal;

/// Decides whether to believe who is presented.
pub(super) trait Judge: fmt::Debug + Send + Sync {
    fn judge(&self, presented: &Presented<'_>) -> Result<(), Refused>;

    /// Whether issuers are searched for among what the peer sent.
    fn searches(&self) -> bool {
        false
    }

    /// The authorities that clients are told of, so that they choose a certificate of theirs.
    fn hints(&self) -> &[DistinguishedName] {
        &[]
    }
}

/// A refusal: what rustls makes its alert of, and what a person is told.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: Error,
    pub(super) refusal: Refusal,
}
