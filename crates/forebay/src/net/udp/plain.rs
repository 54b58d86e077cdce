//! Receiving one datagram, and of what the system knows about it only the sender: the cheapest call (decision 063).

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use rustix::fd::BorrowedFd;
use rustix::net::{AddressFamily, recv, recvfrom};

use super::core::DatagramCore;
use super::datagram::Datagram;
use crate::net::system::RECEIVE_FLAGS;

impl DatagramCore {
    /// Receives into memory that has room for the longest datagram, and returns its length; `None` if it is from a
    /// stranger. The system is not asked for the sender if there is only one.
    ///
    /// The usual address has a way of its own: one that may be of either family is copied in small pieces.
    #[inline]
    pub(super) fn receive_plain(
        &self,
        fd: BorrowedFd<'_>,
        memory: &mut [u8],
        place: &mut Option<Datagram>,
    ) -> io::Result<Option<usize>> {
        if let Some(sender) = self.only_sender() {
            let count = recv(fd, &mut *memory, RECEIVE_FLAGS)?.0;
            return Ok(self.put_from(*sender, &memory[..count], place));
        }
        let (count, _, sender) = recvfrom(fd, &mut *memory, RECEIVE_FLAGS)?;
        let (whole, sender) = (&memory[..count], sender.ok_or(io::ErrorKind::InvalidData)?);
        if sender.address_family() == AddressFamily::INET {
            let sender = SocketAddrV4::try_from(sender)?;
            Ok(self.put(sender.into(), whole, place))
        } else {
            let sender = SocketAddrV6::try_from(sender)?;
            Ok(self.put_from(sender.into(), whole, place))
        }
    }

    #[inline(never)]
    fn put_from(
        &self,
        sender: SocketAddr,
        whole: &[u8],
        place: &mut Option<Datagram>,
    ) -> Option<usize> {
        self.put(sender, whole, place)
    }

    /// Puts a datagram in its place, unless it is from a stranger.
    #[inline]
    fn put(&self, sender: SocketAddr, whole: &[u8], place: &mut Option<Datagram>) -> Option<usize> {
        if self.is_from_a_stranger(&sender) {
            return None;
        }
        let (local, bytes_max) = (self.only_address(), self.datagram_bytes_max);
        *place = Some(Datagram::new(whole, sender, local, bytes_max));
        Some(whole.len())
    }
}
