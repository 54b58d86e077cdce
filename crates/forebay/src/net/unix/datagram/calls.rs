//! The calls that Unix datagram sockets with and without a peer have in common.

/// Expands to these calls, for a type with a field `core`.
macro_rules! common_calls {
    () => {
        /// Returns the address that the socket is bound to; [`Unnamed`](UnixAddress::Unnamed) if it is not bound.
        pub fn local_address(&self) -> &UnixAddress {
            self.core.local()
        }

        /// Returns the next datagram with its descriptors (`SCM_RIGHTS`, `unix(7)`), of which it may have none. They are
        /// close-on-exec.
        ///
        /// Each datagram has as many as [`descriptors_max`](crate::UnixDatagramBuilder::descriptors_max) at most. The
        /// other calls that receive leave a datagram without its descriptors, which the system closes.
        ///
        /// # Errors
        ///
        /// - [`LimitExceeded`](crate::ErrorKind::LimitExceeded): a datagram had more than `descriptors_max`. It was
        ///   discarded, all of its descriptors were closed, and the socket goes on; the error names its sender.
        /// - [`Exhausted`](crate::ErrorKind::Exhausted): the process had no room for the descriptors; likewise.
        /// - [`Unsupported`](crate::ErrorKind::Unsupported): `descriptors_max` is not set.
        /// - Those of [`receive`](Self::receive).
        ///
        /// # Cancel safety
        ///
        /// Lossless: a datagram is returned, or stays with the socket for the next call.
        #[doc(alias = "SCM_RIGHTS")]
        pub async fn receive_with_fds(&self) -> Result<(UnixDatagram, Vec<OwnedFd>)> {
            self.core.check_receives_descriptors()?;
            Receiving::new(&WithDescriptors(&self.core)).await
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
