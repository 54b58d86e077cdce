//! Receiving a datagram.

use std::ffi::OsString;
use std::io;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::task::Poll;

use bytes::Bytes;
use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::BorrowedFd;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use rustix::net::{RecvAncillaryBuffer, ReturnFlags, recvmsg};
#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::net::{RecvFlags, recvfrom};
use rustix::net::{SocketAddrAny, SocketAddrUnix};

use super::core::UnixDatagramCore;
use super::message::UnixDatagram;
use crate::host::Direction;
use crate::net::address::UnixAddress;
use crate::net::datagram::{DatagramSocket, ReceiveMemory, Receives};
use crate::net::rights;
use crate::net::system::RECEIVE_FLAGS;

thread_local! {
    static BUFFER: ReceiveMemory = const { ReceiveMemory::new() };
}

impl Receives for UnixDatagramCore {
    type Datagram = UnixDatagram;
    type Socket = Self;

    fn socket(&self) -> &Self {
        self
    }

    fn poll_receive(&self, place: &mut Option<UnixDatagram>) -> Poll<io::Result<()>> {
        let received = self.waits().poll_io(Direction::Read, |fd| self.receive(fd, place));
        received.map_ok(|count| self.count(count))
    }

    fn receive_now(&self, place: &mut Option<UnixDatagram>) -> io::Result<()> {
        self.waits().call(|fd| self.receive(fd, place)).map(|count| self.count(count))
    }

    fn length(datagram: &UnixDatagram) -> usize {
        datagram.payload.len()
    }
}

/// Receiving datagrams with their descriptors.
pub(super) struct WithDescriptors<'a>(pub(super) &'a UnixDatagramCore);

impl Receives for WithDescriptors<'_> {
    type Datagram = (UnixDatagram, Vec<OwnedFd>);
    type Socket = UnixDatagramCore;

    const OPERATION: &'static str = "receive_with_fds";

    fn socket(&self) -> &UnixDatagramCore {
        self.0
    }

    fn poll_receive(&self, place: &mut Option<Self::Datagram>) -> Poll<io::Result<()>> {
        let call = |fd: BorrowedFd<'_>| self.0.receive_with_fds(fd, place);
        self.0.waits().poll_io(Direction::Read, call).map_ok(|count| self.0.count(count))
    }

    fn receive_now(&self, place: &mut Option<Self::Datagram>) -> io::Result<()> {
        let call = |fd: BorrowedFd<'_>| self.0.receive_with_fds(fd, place);
        self.0.waits().call(call).map(|count| self.0.count(count))
    }

    fn length((datagram, _): &Self::Datagram) -> usize {
        datagram.payload.len()
    }
}

impl UnixDatagramCore {
    /// Fails unless the socket receives descriptors.
    pub(super) fn check_receives_descriptors(&self) -> Result<()> {
        if self.descriptors_max() > 0 {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Unsupported, WithDescriptors::OPERATION);
        let detail = "only a socket with UnixDatagramBuilder::descriptors_max receives descriptors";
        Err(self.named(error.with_detail(detail)))
    }

    fn count(&self, bytes: usize) {
        self.waits().selector().count_receive(bytes as u64);
    }

    fn receive(&self, fd: BorrowedFd<'_>, place: &mut Option<UnixDatagram>) -> io::Result<usize> {
        self.with_buffer(|buffer| {
            let (count, truncated, sender) = receive_part(fd, buffer)?;
            *place = Some(UnixDatagram {
                payload: Bytes::copy_from_slice(&buffer[..count]),
                address: sender.map_or(UnixAddress::Unnamed, shown),
                truncated,
            });
            Ok(count)
        })
    }

    /// Lends memory for the longest datagram.
    #[inline]
    fn with_buffer<T>(&self, receive: impl FnOnce(&mut [u8]) -> T) -> T {
        let mut memory = ReceiveMemory::take(&BUFFER, self.datagram_bytes_max());
        let received = receive(&mut memory[..self.datagram_bytes_max()]);
        ReceiveMemory::keep(&BUFFER, memory);
        received
    }

    /// Receives a datagram with its descriptors. If these are lost, so is the datagram.
    fn receive_with_fds(
        &self,
        fd: BorrowedFd<'_>,
        place: &mut Option<(UnixDatagram, Vec<OwnedFd>)>,
    ) -> io::Result<usize> {
        let most = self.descriptors_max();
        self.with_buffer(|buffer| {
            let received = rights::receive(fd, buffer, most)?;
            let loss = rights::loss(&received, most.into(), most);
            let address = received.address.map_or(UnixAddress::Unnamed, shown);
            if let Some(loss) = loss {
                let sender = match address {
                    UnixAddress::Unnamed => "a sender without a name".to_owned(),
                    named => named.to_string(),
                };
                let discarded = format!("the datagram of {sender} is discarded");
                return Err(rights::loss_error(loss).and_detail(&discarded).into());
            }
            let datagram = UnixDatagram {
                payload: Bytes::copy_from_slice(&buffer[..received.bytes]),
                address,
                truncated: received.is_truncated,
            };
            *place = Some((datagram, received.fds));
            Ok(received.bytes)
        })
    }
}

/// Receives as much of a datagram as there is room for. Returns the number of bytes, whether there were more, and the
/// sender.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn receive_part(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, bool, Option<SocketAddrAny>)> {
    // With this flag the system tells the length of the whole (`recvfrom(2)`), and `recvmsg`, which costs more, is not
    // needed for that.
    let (_, length, sender) = recvfrom(fd, &mut *buffer, RECEIVE_FLAGS | RecvFlags::TRUNC)?;
    Ok((length.min(buffer.len()), length > buffer.len(), sender))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn receive_part(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, bool, Option<SocketAddrAny>)> {
    let control = &mut RecvAncillaryBuffer::default();
    let received = recvmsg(fd, &mut [IoSliceMut::new(buffer)], control, RECEIVE_FLAGS)?;
    let is_part = received.flags.contains(ReturnFlags::TRUNC);
    Ok((received.bytes, is_part, received.address))
}

fn shown(address: SocketAddrAny) -> UnixAddress {
    let Ok(unix) = SocketAddrUnix::try_from(address) else { return UnixAddress::Unnamed };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = unix.abstract_name() {
        return UnixAddress::Abstract(name.to_vec());
    }
    match unix.path_bytes() {
        Some(path) if !path.is_empty() => {
            UnixAddress::Path(OsString::from_vec(path.to_vec()).into())
        }
        _ => UnixAddress::Unnamed,
    }
}
