//! The calls that sockets with and without a peer have in common.

/// Expands to these calls, for a type with a field `core`.
macro_rules! common_calls {
    () => {
        /// Returns the next datagram, however many tasks receive.
        ///
        /// # Errors
        ///
        /// [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed. On Linux also
        /// [`Reset`](crate::ErrorKind::Reset), once, if the peer of a connected socket has taken another peer.
        ///
        /// # Cancel safety
        ///
        /// Lossless: a datagram is returned, or stays with the socket for the next call.
        pub async fn receive(&self) -> Result<UnixDatagram> {
            let mut receiving = Receiving::new(&*self.core);
            poll_fn(|cx| receiving.poll(cx)).await
        }

        /// Returns a datagram that has arrived already; `None` if there is none.
        ///
        /// # Errors
        ///
        /// As for [`receive`](Self::receive).
        pub fn try_receive(&self) -> Result<Option<UnixDatagram>> {
            self.core.try_receive()
        }

        /// Returns the datagrams as a stream.
        pub fn incoming(&self) -> IncomingUnixDatagrams {
            IncomingUnixDatagrams::new(&self.core)
        }

        /// Returns the address that the socket is bound to; [`Unnamed`](UnixAddress::Unnamed) if it is not bound.
        pub fn local_address(&self) -> &UnixAddress {
            self.core.local()
        }

        /// Returns the options that took effect, as the system reports them now.
        ///
        /// # Errors
        ///
        /// [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed.
        #[doc(alias = "getsockopt")]
        pub fn options(&self) -> Result<crate::SocketOptions> {
            self.core.told_options()
        }

        /// Returns another descriptor of the system's socket, for what this library does not have; see
        /// [`Socket::try_clone_fd`](crate::Socket::try_clone_fd). While it is open, the socket is.
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

        end_calls!();
    };
}
pub(super) use common_calls;
