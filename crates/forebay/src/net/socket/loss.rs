//! Which error is told of a connection that has failed.
//!
//! Without TLS it is the first error of any call on the link. With TLS it is what the session tells: the
//! link's error comes to it first, and it reads what had arrived before, where the peer often says why.

use forebay_io::Error;

use super::core::Core;

impl Core {
    /// The first error, once it is known which one is told.
    pub(super) fn first_cause(&self) -> Option<&Error> {
        self.cause_above().unwrap_or(self.cause()).get()
    }

    /// The connection has failed: the writer says so from its next call on, and does not first
    /// accept something that can never be sent. Never under the outbox's lock.
    pub(super) fn tell_writer(&self) {
        let Some(cause) = self.cause().get() else { return };
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            return session.lose(cause);
        }
        if let Some(outbox) = self.outbox() {
            outbox.abort(cause);
        }
    }

    /// The link has failed, and nothing more is read from it. Never under the outbox's lock.
    pub(super) fn settle_loss(&self) {
        let Some(cause) = self.cause().get() else { return };
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            return session.settle(cause);
        }
        if let Some(above) = self.cause_above() {
            above.record(cause.clone());
        }
    }

    /// True when the link has failed, and what had arrived on it before need not be read.
    pub(super) fn has_failed(&self) -> bool {
        let Some(_cause) = self.cause().get() else { return false };
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            // A handshake reads by itself, for as long as the link is there.
            return self.is_handshaking() || !session.is_unsettled();
        }
        true
    }
}
