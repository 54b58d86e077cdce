//! The calls that UDP sockets with and without a peer have in common.

/// Expands to these calls, for a type with a field `core`.
macro_rules! common_calls {
    () => {
        /// Sends all datagrams of a batch, and removes them from it. Those of one length to one peer leave several at a
        /// time where the system can do that.
        ///
        /// # Errors
        ///
        /// Those of [`send`](Self::send), of the first datagram that cannot be sent. It is removed from the batch; the
        /// ones behind it are still there, to be sent by another call. A datagram without an address is
        /// [`InvalidInput`](crate::ErrorKind::InvalidInput) on a socket without a peer, and one with another address
        /// than its peer's on a connected socket.
        ///
        /// # Cancel safety
        ///
        /// Resumes: what was sent has left the batch, and another call continues from there.
        pub async fn send_batch(&self, batch: &mut DatagramBatch) -> Result<()> {
            let mut sending = SendingBatch::new(&self.core, batch);
            poll_fn(|cx| sending.poll(cx)).await
        }

        /// Waits for a datagram, and appends it to `datagrams`, with those that have arrived behind it, until there are
        /// `most` in all. Returns how many it has appended; zero only if there were `most` before.
        ///
        /// They are received several at a time where the system can do that.
        ///
        /// # Errors
        ///
        /// As for [`receive`](Self::receive); then nothing is appended.
        ///
        /// # Cancel safety
        ///
        /// Lossless: nothing is appended unless the call returns.
        pub async fn receive_batch(
            &self,
            datagrams: &mut Vec<Datagram>,
            most: usize,
        ) -> Result<usize> {
            let before = datagrams.len();
            if before >= most {
                return Ok(0);
            }
            datagrams.push(self.receive().await?);
            self.core.receive_more(datagrams, most);
            Ok(datagrams.len() - before)
        }

        /// Returns the address that the socket is bound to.
        pub fn local_address(&self) -> SocketAddr {
            self.core.local()
        }

        /// Returns the number of datagrams that the system has dropped since the socket was made, because they did
        /// not fit into its buffer ([`receive_buffer_size`](crate::UdpBuilder::receive_buffer_size)).
        ///
        /// # Errors
        ///
        /// [`Unsupported`](crate::ErrorKind::Unsupported) on other systems than Linux, which tells it from 4.12 on
        /// (`SO_MEMINFO`); [`Closed`](crate::ErrorKind::Closed).
        pub fn dropped_datagrams(&self) -> Result<u64> {
            self.core.dropped_datagrams()
        }

        /// Returns how often the network has reported that a datagram could not be delivered (ICMP): to a port where
        /// nothing listens, for instance.
        ///
        /// Linux does not report it to a socket without a peer, so there it stays zero.
        pub fn unreachable_reports(&self) -> u64 {
            self.core.unreachable()
        }

        shared_calls! {
            /// Datagrams arrive in any order, more than once, or not at all; see
            /// [`dropped_datagrams`](Self::dropped_datagrams) for those that this machine has dropped.
            ///
            /// # Errors
            ///
            /// [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed.
            ///
            /// On a connected socket, also [`Refused`](crate::ErrorKind::Refused) and
            /// [`Unreachable`](crate::ErrorKind::Unreachable), once for each report of the network (ICMP) that an
            /// earlier datagram did not arrive. The socket goes on; the peer may come back.
            receive -> Datagram;
            ///
            /// # Examples
            ///
            /// ```
            /// forebay::run(async |selector| {
            ///     let socket = selector.udp().bind("127.0.0.1:0").await?;
            ///     socket.send("one", socket.local_address()).await?;
            ///     let mut incoming = socket.incoming();
            ///     while let Some(datagram) = incoming.next().await {
            ///         assert_eq!(&datagram?.payload[..], b"one");
            ///         socket.close();
            ///     }
            ///     forebay::Result::Ok(())
            /// })?;
            /// # forebay::Result::Ok(())
            /// ```
            incoming -> IncomingDatagrams;
            /// While it is open, the socket is, and keeps its address.
            try_clone_fd;
        }
    };
}
pub(super) use common_calls;
