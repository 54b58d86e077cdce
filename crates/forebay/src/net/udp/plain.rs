//! Receiving one datagram, and of what the system knows about it only the sender: the cheapest call (decision 063).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use quinn_udp::RecvMeta;
use rustix::fd::BorrowedFd;
use rustix::net::{recv, recvfrom};

use crate::net::system::RECEIVE_FLAGS;

/// Receives a datagram into the first buffer, which is longer than any, and returns the number of buffers filled. The
/// system is not asked for the sender if there is only one.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    into: &mut [IoSliceMut<'_>],
    about: &mut [RecvMeta],
    only_sender: Option<SocketAddr>,
) -> io::Result<usize> {
    let (Some(buffer), Some(about)) = (into.first_mut(), about.first_mut()) else { return Ok(0) };
    let buffer: &mut [u8] = buffer;
    let (count, sender) = if let Some(sender) = only_sender {
        (recv(fd, buffer, RECEIVE_FLAGS)?.0, sender)
    } else {
        let (count, _, sender) = recvfrom(fd, buffer, RECEIVE_FLAGS)?;
        let sender = sender.and_then(|sender| SocketAddr::try_from(sender).ok());
        (count, sender.ok_or(io::ErrorKind::InvalidData)?)
    };
    *about = RecvMeta::default();
    (about.addr, about.len, about.stride) = (sender, count, count);
    Ok(1)
}
