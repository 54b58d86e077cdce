//! Accepts every peer, with one warning.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::chain::Presented;
use super::judge::{Judge, Refused};

/// Accepts every peer. Clones share the warning, so that a configuration writes it once.
#[derive(Debug, Clone, Default)]
pub(super) struct Anybody {
    warned: Arc<AtomicBool>,
}

#[cfg(test)]
impl Anybody {
    /// Makes one that has given its warning, so that a test prints none.
    pub(super) fn warned() -> Self {
        Self { warned: Arc::new(AtomicBool::new(true)) }
    }
}

impl Judge for Anybody {
    fn judge(&self, _: &Presented<'_>) -> Result<(), Refused> {
        // Relaxed: only the warning depends on it.
        if !self.warned.swap(true, Ordering::Relaxed) {
            // A closed standard error is no reason to fail; then there is no warning.
            writeln!(
                std::io::stderr(),
                "forebay: warning: a TlsConfig accepts any certificate, and so any impostor \
                 (Trust::dangerous_accept_any)"
            )
            .unwrap_or_default();
        }
        Ok(())
    }
}
