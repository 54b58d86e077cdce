//! The error that is reported for a connection that has failed.
//!
//! Without TLS it is the first error of any call on the link. With TLS it is the error that the session
//! reports: the session learns of the link's error first, and then reads what had arrived before, in which
//! the peer often explains the failure.

use forebay_io::Error;

use super::core::Core;

impl Core {
    /// The first error, once it is decided which one is reported.
    pub(super) fn first_cause(&self) -> Option<&Error> {
        self.cause_above().unwrap_or(self.cause()).get()
    }

    /// If the connection has failed, makes the writer report that from its next call on, before it accepts
    /// bytes that can never be sent. Never called under the outbox's lock.
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

    /// If the link has failed, records that nothing more is read from it. Never called under the outbox's
    /// lock.
    pub(super) fn report_loss(&self) {
        let Some(cause) = self.cause().get() else { return };
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            return session.report_loss(cause);
        }
        if let Some(above) = self.cause_above() {
            above.record(cause.clone());
        }
    }

    /// True if the link has failed, and bytes that had arrived on it before need not be read.
    pub(super) fn has_failed(&self) -> bool {
        let Some(_cause) = self.cause().get() else { return false };
        #[cfg(feature = "tls")]
        if let Some(session) = self.session() {
            // A handshake reads by itself, for as long as the link exists.
            return self.is_handshaking() || !session.is_loss_unreported();
        }
        true
    }
}
