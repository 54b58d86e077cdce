//! The calls that wait on a socket of datagrams, of any protocol.
//!
//! Any number of tasks receive and send at once: they wait in two lists, and all of a list are woken and compete.

mod receiving;
pub(super) mod share;
mod waits;

pub(super) use self::receiving::{Receives, Receiving, unless_closed};
pub(super) use self::waits::DatagramWaits;

/// Expands to the calls of a datagram socket's end, for a type whose field `core` has the [`DatagramWaits`].
macro_rules! end_calls {
    () => {
        /// Closes the socket: every call that waits fails with [`Closed`](crate::ErrorKind::Closed). What has
        /// arrived and is not received is discarded.
        pub fn close(&self) {
            self.core.close();
        }

        /// Returns `true` once the socket is closed.
        pub fn is_closed(&self) -> bool {
            self.core.waits().is_closed()
        }

        /// Waits until the socket is closed, by [`close`](Self::close) or with its selector.
        ///
        /// # Cancel safety
        ///
        /// Releases: nothing is left behind.
        #[doc(alias = "awaitClosed")]
        pub async fn closed(&self) {
            giving_way(self.core.waits().closers.until(|| self.is_closed())).await;
        }
    };
}
pub(super) use end_calls;
