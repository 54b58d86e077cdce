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

        end_calls!();
    };
}
pub(super) use common_calls;
