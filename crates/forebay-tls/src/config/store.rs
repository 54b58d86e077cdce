//! What one selector keeps for all of its configurations.

use std::fmt;
use std::sync::{Arc, OnceLock};

use forebay_io::Result;
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;

use super::client::ClientSide;
use crate::trust::SystemRoots;

/// The roots of the system, and the configuration that is the default with its sessions: read when
/// they are first needed, and once.
///
/// A failure is kept like a success, so that a machine without roots does not look for them at
/// every connection.
#[derive(Default)]
pub struct Store {
    roots: OnceLock<Result<SystemRoots>>,
    default_client: OnceLock<Result<Arc<ClientConfig>>>,
}

impl Store {
    /// The roots of the system. The first call reads them, and calls at the same time wait for it.
    pub(crate) fn roots(&self, provider: &Arc<CryptoProvider>) -> Result<SystemRoots> {
        self.roots.get_or_init(|| SystemRoots::load(provider)).clone()
    }

    /// The default configuration. The first call makes it.
    pub(super) fn default_client(&self) -> Result<Arc<ClientConfig>> {
        self.default_client.get_or_init(|| ClientSide::of_default()?.rustls(self)).clone()
    }

    pub(super) fn loaded_default_client(&self) -> Option<Result<Arc<ClientConfig>>> {
        self.default_client.get().cloned()
    }

    pub(super) fn has_default_client(&self) -> bool {
        self.default_client.get().is_some()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("has_roots", &self.roots.get().is_some())
            .field("has_default_client", &self.has_default_client())
            .finish_non_exhaustive()
    }
}
