//! Receiving one datagram, and of what the system knows about it only the sender: the cheapest call (decision 063).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use quinn_udp::RecvMeta;
use rustix::fd::BorrowedFd;
use rustix::net::recvfrom;

use crate::net::system::RECEIVE_FLAGS;

/// Receives a datagram into the first buffer, which is longer than any, and returns the number of buffers filled.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    into: &mut [IoSliceMut<'_>],
    about: &mut [RecvMeta],
) -> io::Result<usize> {
    let (Some(buffer), Some(about)) = (into.first_mut(), about.first_mut()) else { return Ok(0) };
    let buffer: &mut [u8] = buffer;
    let (count, _, sender) = recvfrom(fd, buffer, RECEIVE_FLAGS)?;
    let sender = sender.and_then(|sender| SocketAddr::try_from(sender).ok());
    let sender = sender.ok_or(io::ErrorKind::InvalidData)?;
    *about = RecvMeta::default();
    (about.addr, about.len, about.stride) = (sender, count, count);
    Ok(1)
}
