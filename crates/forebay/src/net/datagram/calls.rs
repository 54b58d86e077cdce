//! The calls of users that every socket of datagrams has.

/// Expands to these calls, for a type whose field `core` is an `Arc` of a type that [`Receives`](super::Receives).
/// Each is a call of [`DatagramSocket`](super::DatagramSocket), [`Receives`](super::Receives) or
/// [`DatagramWaits`](super::DatagramWaits). What only one protocol's documentation says is handed over.
macro_rules! shared_calls {
    (
        $(#[$of_receive:meta])*
        receive -> $datagram:ty;
        $(#[$of_incoming:meta])*
        incoming -> $stream:ident;
        $(#[$of_descriptor:meta])*
        try_clone_fd;
    ) => {
        /// Returns the next datagram, however many tasks receive.
        ///
        $(#[$of_receive])*
        ///
        /// # Cancel safety
        ///
        /// Lossless: a datagram is returned, or stays with the socket for the next call.
        pub async fn receive(&self) -> Result<$datagram> {
            Receiving::new(&*self.core).await
        }

        /// Returns a datagram that has arrived already; `None` if there is none.
        ///
        /// # Errors
        ///
        /// As for [`receive`](Self::receive).
        pub fn try_receive(&self) -> Result<Option<$datagram>> {
            self.core.try_receive()
        }

        /// Returns the datagrams as a stream.
        $(#[$of_incoming])*
        pub fn incoming(&self) -> $stream {
            $stream::new(&self.core)
        }

        /// Returns the options that took effect, as the system reports them now.
        ///
        /// # Errors
        ///
        /// [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed.
        #[doc(alias = "getsockopt")]
        pub fn options(&self) -> Result<crate::SocketOptions> {
            self.core.options()
        }

        /// Returns another descriptor of the system's socket, for what this library does not have; see
        /// [`Socket::try_clone_fd`](crate::Socket::try_clone_fd).
        $(#[$of_descriptor])*
        ///
        /// # Errors
        ///
        /// [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed;
        /// [`Exhausted`](crate::ErrorKind::Exhausted): the process has no descriptor left.
        #[doc(alias = "as_fd")]
        #[doc(alias = "AsFd")]
        pub fn try_clone_fd(&self) -> Result<rustix::fd::OwnedFd> {
            self.core.try_clone_fd()
        }

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
            self.core.waits().until_closed().await;
        }
    };
}
pub(in crate::net) use shared_calls;
