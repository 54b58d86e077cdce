//! The calls that Unix datagram sockets with and without a peer have in common.

/// Expands to these calls, for a type with a field `core`.
macro_rules! common_calls {
    () => {
        /// Returns the address that the socket is bound to; [`Unnamed`](UnixAddress::Unnamed) if it is not bound.
        pub fn local_address(&self) -> &UnixAddress {
            self.core.local()
        }

        shared_calls! {
            /// # Errors
            ///
            /// [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed. On Linux also
            /// [`Reset`](crate::ErrorKind::Reset), once, if the peer of a connected socket has taken another peer.
            receive -> UnixDatagram;
            incoming -> IncomingUnixDatagrams;
            /// While it is open, the socket is.
            try_clone_fd;
        }
    };
}
pub(super) use common_calls;
