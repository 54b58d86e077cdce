//! The values that one selector keeps for all of its configurations.

use std::fmt;
use std::sync::Arc;

use forebay_io::Result;
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;

use super::client::ClientSide;
use super::success_cell::SuccessCell;
use crate::trust::SystemRoots;

/// The roots of the system, and the default configuration with its sessions: read once, when they are first
/// needed.
///
/// A failure is not kept, because its reason may pass and a selector lives long: the next connection that
/// needs them reads them again.
#[derive(Default)]
pub struct Store {
    roots: SuccessCell<SystemRoots>,
    default_client: SuccessCell<Arc<ClientConfig>>,
}

impl Store {
    /// Returns the roots of the system. The first call reads them; calls at the same time wait for it.
    pub(crate) fn roots(&self, provider: &Arc<CryptoProvider>) -> Result<SystemRoots> {
        self.roots.get_or_try(|| SystemRoots::load(provider))
    }

    /// Returns the default configuration. The first call makes it.
    pub(super) fn default_client(&self) -> Result<Arc<ClientConfig>> {
        self.default_client.get_or_try(|| ClientSide::of_default()?.rustls(self))
    }

    /// Returns the default configuration, if it has been made.
    pub(super) fn loaded_default_client(&self) -> Option<Arc<ClientConfig>> {
        self.default_client.get()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("has_roots", &self.roots.get().is_some())
            .field("has_default_client", &self.loaded_default_client().is_some())
            .finish_non_exhaustive()
    }
}
