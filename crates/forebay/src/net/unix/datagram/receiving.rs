//! Receiving a datagram.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::task::Poll;

use bytes::Bytes;
use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::BorrowedFd;
use rustix::net::{RecvAncillaryBuffer, ReturnFlags, SocketAddrAny, SocketAddrUnix, recvmsg};

use super::core::UnixDatagramCore;
use super::message::UnixDatagram;
use crate::host::Direction;
use crate::net::address::UnixAddress;
use crate::net::datagram::{DatagramSocket, Receives};
use crate::net::rights;
use crate::net::system::RECEIVE_FLAGS;

thread_local! {
    /// The memory in which the system puts what arrives. Its content is copied before the next call.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Receives for UnixDatagramCore {
    type Datagram = UnixDatagram;
    type Socket = Self;

    fn socket(&self) -> &Self {
        self
    }

    fn poll_receive(&self) -> Poll<io::Result<UnixDatagram>> {
        self.poll_received(|fd| self.receive(fd)).map_ok(|datagram| self.counted(datagram))
    }

    fn receive_now(&self) -> io::Result<UnixDatagram> {
        self.waits().call(|fd| self.receive(fd)).map(|datagram| self.counted(datagram))
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

    fn poll_receive(&self) -> Poll<io::Result<Self::Datagram>> {
        let received = self.0.poll_received(|fd| self.0.receive_with_fds(fd));
        received.map_ok(|(datagram, fds)| (self.0.counted(datagram), fds))
    }

    fn receive_now(&self) -> io::Result<Self::Datagram> {
        let received = self.0.waits().call(|fd| self.0.receive_with_fds(fd));
        received.map(|(datagram, fds)| (self.0.counted(datagram), fds))
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

    /// Makes a receive now, or as soon as something has arrived.
    fn poll_received<T>(
        &self,
        mut receive: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut received = None;
        let progress = self.waits().poll_io(Direction::Read, |fd| {
            received = Some(receive(fd)?);
            Ok(0)
        });
        progress.map(|done| {
            done?;
            received.ok_or_else(|| io::ErrorKind::Other.into())
        })
    }

    fn counted(&self, datagram: UnixDatagram) -> UnixDatagram {
        self.waits().selector().count_receive(datagram.payload.len() as u64);
        datagram
    }

    fn receive(&self, fd: BorrowedFd<'_>) -> io::Result<UnixDatagram> {
        with_buffer(self.datagram_bytes_max(), |buffer| {
            let control = &mut RecvAncillaryBuffer::default();
            let into = &mut [IoSliceMut::new(buffer)];
            let received = recvmsg(fd, into, control, RECEIVE_FLAGS)?;
            Ok(UnixDatagram {
                payload: Bytes::copy_from_slice(&buffer[..received.bytes]),
                address: received.address.map_or(UnixAddress::Unnamed, shown),
                truncated: received.flags.contains(ReturnFlags::TRUNC),
            })
        })
    }

    /// Receives a datagram with its descriptors. If these are lost, so is the datagram.
    fn receive_with_fds(&self, fd: BorrowedFd<'_>) -> io::Result<(UnixDatagram, Vec<OwnedFd>)> {
        let most = self.descriptors_max();
        with_buffer(self.datagram_bytes_max(), |buffer| {
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
            Ok((datagram, received.fds))
        })
    }
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

fn with_buffer<T>(bytes: usize, receive: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut memory = BUFFER.try_with(RefCell::take).unwrap_or_default();
    if memory.len() < bytes {
        // Zeroed by the system, page by page, when something arrives there.
        memory = vec![0; bytes];
    }
    let received = receive(&mut memory[..bytes]);
    // While the thread ends, the memory is freed instead.
    BUFFER.try_with(|kept| kept.replace(memory)).ok();
    received
}
