//! A session on top of a connection: TLS, with a cause of its own.

#[cfg(feature = "tls")]
use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "tls")]
use std::sync::{Arc, Weak};

use forebay_io::seam::Cause;
#[cfg(feature = "tls")]
use forebay_io::seam::WakeList;
#[cfg(feature = "tls")]
use forebay_tls::seam::Session;

use super::core::Core;

/// The layer on top of a connection, if there is one.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// The first error that the layer reports.
    cause: OnceLock<Cause>,
    /// It holds the core, so the core must not hold it.
    #[cfg(feature = "tls")]
    session: OnceLock<Weak<Session>>,
    /// True if the cause is the loss of a link by which nothing was lost.
    loses_nothing: AtomicBool,
}

impl Core {
    /// The cause of the layer on top of the link.
    pub(super) fn cause_above(&self) -> Option<&Cause> {
        self.layer().cause.get()
    }

    /// Returns `true` if the connection has failed when the peer of its layer had ended, and had acknowledged
    /// everything. Read after the cause.
    pub(super) fn loses_nothing(&self) -> bool {
        // Pairs with the store below, which comes before the cause.
        self.layer().loses_nothing.load(Ordering::Acquire)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.life().state().is_handshaking()
    }

    /// Counts discarded input.
    pub(super) fn discard(&self, bytes: &[u8]) {
        self.count_discarded(bytes.len());
        #[cfg(feature = "tls")]
        let is_data = self.session().is_none_or(|session| session.discard(bytes));
        #[cfg(not(feature = "tls"))]
        let is_data = true;
        if is_data {
            self.life().discarded_data();
        }
    }
}

#[cfg(feature = "tls")]
impl Core {
    /// Adds a session on top of the link, and begins its handshake.
    pub(super) fn set_session(&self, session: &Arc<Session>) {
        let layer = self.layer();
        layer.cause.get_or_init(|| session.cause().clone());
        layer.session.get_or_init(|| Arc::downgrade(session));
        let mut after = WakeList::new();
        self.announce(self.life().lay_on_top(), &mut after);
        after.run();
    }

    /// Ends the handshake, whether it has succeeded or failed.
    pub(super) fn end_handshake(&self) {
        let mut after = WakeList::new();
        self.announce(self.life().layer_is_ready(), &mut after);
        after.run();
    }

    pub(super) fn set_loses_nothing(&self) {
        self.layer().loses_nothing.store(true, Ordering::Release);
    }

    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.layer().session.get()?.upgrade()
    }

    /// The host on the other side: the name that was connected to, or its IP address.
    pub(super) fn host(&self) -> Option<Cow<'_, str>> {
        let parts = self.parts();
        match &parts.host_name {
            Some(name) => Some(Cow::Borrowed(name)),
            None => parts.remote.ip().map(|ip| Cow::Owned(ip.to_string())),
        }
    }
}
