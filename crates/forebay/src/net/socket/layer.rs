//! A session on top of a connection: TLS, with a cause of its own.

#[cfg(feature = "tls")]
use std::borrow::Cow;
use std::sync::OnceLock;
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
pub(super) struct Layer(OnceLock<Box<OnTop>>);

#[derive(Debug)]
struct OnTop {
    /// The first error that the layer reports.
    cause: Cause,
    /// It holds the core, so the core must not hold it.
    #[cfg(feature = "tls")]
    session: Weak<Session>,
}

impl Core {
    /// The cause of the layer on top of the link.
    pub(super) fn cause_above(&self) -> Option<&Cause> {
        self.layer().0.get().map(|on_top| &on_top.cause)
    }

    /// Returns `true` if the connection has failed when the peer of its layer had ended, and had acknowledged
    /// everything. Read after the cause.
    pub(super) fn loses_nothing(&self) -> bool {
        self.life().state().loses_nothing()
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
        self.layer().0.get_or_init(|| {
            Box::new(OnTop { cause: session.cause().clone(), session: Arc::downgrade(session) })
        });
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

    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.layer().0.get()?.session.upgrade()
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
