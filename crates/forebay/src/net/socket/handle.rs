//! What every clone of a socket and every open channel holds.

use std::sync::{Arc, OnceLock};

use forebay_io::seam::{Outbox, unwinding};
use forebay_io::{Error, ErrorKind};

use super::drain::SocketDrain;
use super::turns::SocketTurns;
use super::{Core, close};

/// Held by every clone and every open channel; dropping the last one closes the connection.
pub(super) struct Handle {
    core: Arc<Core>,
    /// The write side, from its opening on. It holds the core, and the core does not hold it.
    outbox: OnceLock<Arc<Outbox>>,
}

impl Handle {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, outbox: OnceLock::new() }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The write side, if it was opened.
    pub(super) fn outbox(&self) -> Option<Arc<Outbox>> {
        self.outbox.get().cloned()
    }

    pub(super) fn open_outbox(&self) -> &Arc<Outbox> {
        self.outbox.get_or_init(|| {
            let turns = Arc::new(SocketTurns::new(Arc::clone(&self.core)));
            let drain = Box::new(SocketDrain::new(Arc::clone(&self.core)));
            let outbox = Outbox::new(drain, self.core.cause().clone(), turns);
            self.core.set_outbox(&outbox);
            outbox
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if unwinding() {
            let cause =
                Error::new(ErrorKind::Panicked, "drop a socket").with_detail("its task panicked");
            return self.core.abort_whole(cause);
        }
        close::close_unattended(&self.core, self.outbox.take());
    }
}
