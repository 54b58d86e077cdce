//! The state that every clone of a socket and every open channel holds.

use std::sync::{Arc, OnceLock};

use forebay_io::seam::{FlushSchedule, Outbox, Source, unwinding};
use forebay_io::{Error, ErrorKind};
#[cfg(feature = "tls")]
use forebay_tls::TlsConfig;

use super::close;
use super::core::Core;
use super::drain::SocketDrain;
use super::source::SocketSource;
#[cfg(feature = "tls")]
use super::tls_stream::{self, TlsStream};

/// The TLS that a listener has for its connections, if it has any. It begins at their first use.
#[derive(Debug, Clone, Default)]
pub(in crate::net) struct PendingTls {
    #[cfg(feature = "tls")]
    tls: Option<TlsConfig>,
}

#[cfg(feature = "tls")]
impl PendingTls {
    pub(in crate::net) fn of(config: &TlsConfig) -> Self {
        Self { tls: Some(config.clone()) }
    }

    pub(in crate::net) fn is_some(&self) -> bool {
        self.tls.is_some()
    }
}

/// Held by every clone and every open channel; dropping the last one closes the connection.
pub(super) struct Handle {
    core: Arc<Core>,
    /// The write side, once it is open. It holds the core, so the core must not hold it.
    outbox: OnceLock<Arc<Outbox>>,
    #[cfg_attr(not(feature = "tls"), expect(dead_code))]
    pending_tls: PendingTls,
    /// The TLS session, which writes into that write side.
    #[cfg(feature = "tls")]
    secured: OnceLock<TlsStream>,
}

impl Handle {
    pub(super) fn new(core: Arc<Core>, pending_tls: PendingTls) -> Self {
        Self {
            core,
            outbox: OnceLock::new(),
            pending_tls,
            #[cfg(feature = "tls")]
            secured: OnceLock::new(),
        }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The outermost write side, if one was opened.
    pub(super) fn outbox(&self) -> Option<Arc<Outbox>> {
        #[cfg(feature = "tls")]
        if let Some(secured) = self.secured() {
            return Some(Arc::clone(secured.outbox()));
        }
        if self.outbox.get().is_none() && self.core.is_handshake_pending() {
            // It ends the connection in order, which the system does not do before the handshake is complete.
            return Some(Arc::clone(self.open_outbox()));
        }
        self.outbox.get().cloned()
    }

    /// The outermost write side, which is opened if necessary.
    pub(super) fn outermost_outbox(&self) -> &Arc<Outbox> {
        #[cfg(feature = "tls")]
        if let Some(secured) = self.secured_or_pending() {
            return secured.outbox();
        }
        self.open_outbox()
    }

    /// The source of a user's channel, which is one more handle.
    pub(super) fn source(self: &Arc<Self>) -> Box<dyn Source> {
        #[cfg(feature = "tls")]
        if let Some(secured) = self.secured_or_pending() {
            return secured.source(Arc::clone(self) as _);
        }
        Box::new(SocketSource::new(Arc::clone(&self.core), Arc::clone(self) as _))
    }

    /// The write side of the connection itself, which is opened if necessary.
    pub(super) fn open_outbox(&self) -> &Arc<Outbox> {
        self.outbox.get_or_init(|| {
            let turns = Arc::clone(&self.core) as Arc<dyn FlushSchedule>;
            let drain = Box::new(SocketDrain::new(Arc::clone(&self.core)));
            let outbox = Outbox::new(drain, self.core.cause().clone(), turns);
            self.core.set_outbox(&outbox);
            outbox
        })
    }
}

#[cfg(feature = "tls")]
impl Handle {
    /// Begins the handshake of the listener's TLS, unless it has begun: without it nothing of the peer is
    /// read, not even its end.
    pub(super) fn begin_pending_tls(&self) {
        self.secured_or_pending();
    }

    pub(super) fn secured(&self) -> Option<&TlsStream> {
        self.secured.get()
    }

    /// True if the connection has TLS, or will have it.
    pub(super) fn is_secure(&self) -> bool {
        self.pending_tls.is_some() || self.secured.get().is_some()
    }

    /// Adds TLS on top; `None` if another call has done so.
    pub(super) fn set_secured(&self, make: impl FnOnce() -> TlsStream) -> Option<&TlsStream> {
        let mut is_first = false;
        let secured = self.secured.get_or_init(|| {
            is_first = true;
            make()
        });
        is_first.then_some(secured)
    }

    /// The TLS session, if there is one. A pending one begins now.
    pub(super) fn secured_or_pending(&self) -> Option<&TlsStream> {
        let config = match (self.secured.get(), &self.pending_tls.tls) {
            (None, Some(config)) => config,
            (secured, _) => return secured,
        };
        let secure = || TlsStream::over(&self.core, Arc::clone(self.open_outbox()));
        match self.set_secured(secure) {
            Some(secured) => {
                tls_stream::begin(&self.core, secured, config);
                Some(secured)
            }
            None => self.secured.get(),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if unwinding() {
            let cause =
                Error::new(ErrorKind::Panicked, "drop a socket").with_detail("its task panicked");
            return self.core.abort_whole(self.core.named(cause));
        }
        let outbox = self.outbox();
        close::close_in_background(&self.core, outbox);
    }
}
