//! Receiving a datagram.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::os::unix::ffi::OsStringExt;
use std::task::Poll;

use bytes::Bytes;
use rustix::fd::BorrowedFd;
use rustix::net::{RecvAncillaryBuffer, ReturnFlags, SocketAddrAny, SocketAddrUnix, recvmsg};

use super::core::UnixDatagramCore;
use super::message::UnixDatagram;
use crate::host::Direction;
use crate::net::address::UnixAddress;
use crate::net::datagram::{DatagramSocket, Receives};
use crate::net::system::RECEIVE_FLAGS;

thread_local! {
    /// The memory in which the system puts what arrives. Its content is copied before the next call.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Receives for UnixDatagramCore {
    type Datagram = UnixDatagram;

    fn poll_receive(&self) -> Poll<io::Result<UnixDatagram>> {
        let mut received = None;
        let progress = self.waits().poll_io(Direction::Read, |fd| {
            let datagram = self.receive(fd)?;
            let length = datagram.payload.len();
            received = Some(datagram);
            Ok(length)
        });
        progress.map(|done| {
            self.waits().selector().count_receive(done? as u64);
            received.ok_or_else(|| io::ErrorKind::Other.into())
        })
    }

    fn receive_now(&self) -> io::Result<UnixDatagram> {
        let datagram = self.waits().call(|fd| self.receive(fd))?;
        self.waits().selector().count_receive(datagram.payload.len() as u64);
        Ok(datagram)
    }

    fn length(datagram: &UnixDatagram) -> usize {
        datagram.payload.len()
    }
}

impl UnixDatagramCore {
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
