//! Everybody is believed, and that is said once.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::chain::Presented;
use super::judge::{Judge, Refused};

/// Believes whoever answers. Clones share the warning, so that a config says it once.
#[derive(Debug, Clone, Default)]
pub(super) struct Anybody {
    warned: Arc<AtomicBool>,
}

impl Judge for Anybody {
    fn judge(&self, _: &Presented<'_>) -> Result<(), Refused> {
        // Relaxed: nothing but the warning hangs on it.
        if !self.warned.swap(true, Ordering::Relaxed) {
            // Where nobody can be warned, nobody is: a closed standard error is no reason to fail.
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
