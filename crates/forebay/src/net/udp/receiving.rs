//! Receiving: one datagram, or several at a time.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::task::Poll;
use std::thread::LocalKey;

use quinn_udp::{RecvMeta, UdpSockRef};
use rustix::fd::BorrowedFd;

use super::core::DatagramCore;
use super::datagram::{Datagram, split};
use super::plain;
use crate::host::Direction;
use crate::net::datagram::{DatagramSocket, Receives, share};

/// More than the longest datagram has, and as much as the kernel joins at most.
const BUFFER_BYTES: usize = 64 * 1024;
/// The buffers of one call that receives several datagrams.
const BUFFERS_COUNT: usize = 16;

thread_local! {
    /// The memory in which the system puts what arrives. Its content is copied before the next call.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The same for several datagrams. Of its memory only the parts are used that something has arrived in.
    static BUFFERS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Receives for DatagramCore {
    type Datagram = Datagram;
    type Socket = Self;

    fn socket(&self) -> &Self {
        self
    }

    fn poll_receive(&self) -> Poll<io::Result<Datagram>> {
        if let Some(datagram) = self.take_surplus() {
            return Poll::Ready(Ok(datagram));
        }
        if let Some(report) = self.take_report() {
            return Poll::Ready(Err(report));
        }
        with_buffer(|buffer| {
            let mut about = RecvMeta::default();
            let received = self.poll_io(Direction::Read, |fd| self.receive(fd, buffer, &mut about));
            received.map(|received| self.first_of(&buffer[..received?], about))
        })
    }

    fn receive_now(&self) -> io::Result<Datagram> {
        if let Some(datagram) = self.take_surplus() {
            return Ok(datagram);
        }
        if let Some(report) = self.take_report() {
            return Err(report);
        }
        with_buffer(|buffer| {
            let mut about = RecvMeta::default();
            let count = self.call(|fd| self.receive(fd, buffer, &mut about))?;
            self.first_of(&buffer[..count], about)
        })
    }

    fn length(datagram: &Datagram) -> usize {
        datagram.payload.len()
    }
}

impl DatagramCore {
    /// Appends datagrams that are here already, until there are `most` or the share of the turn is used up.
    pub(super) fn receive_more(&self, datagrams: &mut Vec<Datagram>, most: usize) {
        self.join_datagrams();
        while datagrams.len() < most && share::is_left() {
            if let Some(datagram) = self.take_surplus() {
                share::spend(datagram.payload.len());
                datagrams.push(datagram);
                continue;
            }
            match self.receive_several(datagrams, most) {
                Ok(()) => {}
                Err(error) if is_about_an_earlier_one(&error) => {
                    self.count_unreachable();
                    return self.keep_report(error);
                }
                // The next call meets it again.
                Err(_) => return,
            }
        }
    }

    /// Appends what one system call returns, and keeps what is above `most`.
    fn receive_several(&self, datagrams: &mut Vec<Datagram>, most: usize) -> io::Result<()> {
        with_buffers(|buffers| {
            let count_max = (most - datagrams.len()).min(BUFFERS_COUNT);
            let mut about = [RecvMeta::default(); BUFFERS_COUNT];
            let count = {
                let pieces = buffers.chunks_exact_mut(BUFFER_BYTES).take(count_max);
                let mut pieces: Vec<_> = pieces.map(IoSliceMut::new).collect();
                self.call(|fd| {
                    self.waits().keep_from_waiting(fd)?;
                    self.system.recv(UdpSockRef::from(&fd), &mut pieces, &mut about)
                })?
            };
            for (buffer, mut about) in buffers.chunks_exact(BUFFER_BYTES).zip(about).take(count) {
                if self.is_from_a_stranger(about.addr) {
                    continue;
                }
                about.dst_ip = about.dst_ip.or(self.only_address());
                self.selector().count_receive(about.len as u64);
                let mut parts = split(&buffer[..about.len], about, self.datagram_bytes_max);
                for datagram in parts.by_ref().take(most - datagrams.len()) {
                    share::spend(datagram.payload.len());
                    datagrams.push(datagram);
                }
                self.keep_surplus(parts);
            }
            Ok(())
        })
    }

    fn receive(
        &self,
        fd: BorrowedFd<'_>,
        buffer: &mut [u8],
        about: &mut RecvMeta,
    ) -> io::Result<usize> {
        let into = &mut [IoSliceMut::new(buffer)];
        self.receive_into(fd, into, std::slice::from_mut(about)).map(|_| about.len)
    }

    /// Makes the system call, and returns the number of buffers that it has filled.
    fn receive_into(
        &self,
        fd: BorrowedFd<'_>,
        into: &mut [IoSliceMut<'_>],
        about: &mut [RecvMeta],
    ) -> io::Result<usize> {
        loop {
            let received = if self.is_plain() {
                plain::receive(fd, into, about, self.only_sender())
            } else {
                let arrived = self.waits().keep_from_waiting(fd);
                arrived.and_then(|()| self.system.recv(UdpSockRef::from(&fd), into, about))
            };
            match received {
                Err(error) if is_about_an_earlier_one(&error) => {
                    self.count_unreachable();
                    // Some systems report to a socket without a peer that an earlier datagram did not arrive. It
                    // does not say which one, and the next receive is another matter.
                    if self.remote().is_some() {
                        return Err(error);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.note_empty();
                    return Err(error);
                }
                Ok(_) if about.first().is_some_and(|it| self.is_from_a_stranger(it.addr)) => {}
                received => return received,
            }
        }
    }

    /// Returns the first datagram of a receive, and keeps the others.
    fn first_of(&self, received: &[u8], mut about: RecvMeta) -> io::Result<Datagram> {
        about.dst_ip = about.dst_ip.or(self.only_address());
        self.selector().count_receive(received.len() as u64);
        if about.stride >= received.len() {
            return Ok(Datagram::new(received, &about, self.datagram_bytes_max));
        }
        let mut datagrams = split(received, about, self.datagram_bytes_max);
        // There is at least one.
        let first = datagrams.next().ok_or(io::ErrorKind::InvalidData)?;
        self.keep_surplus(datagrams);
        Ok(first)
    }
}

/// True for the reports of ICMP: the port or the host cannot be reached (`udp(7)`, `ip(7)`).
pub(super) fn is_about_an_earlier_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

fn with_buffer<T>(receive: impl FnOnce(&mut [u8]) -> T) -> T {
    with_memory(&BUFFER, BUFFER_BYTES, receive)
}

fn with_buffers<T>(receive: impl FnOnce(&mut [u8]) -> T) -> T {
    with_memory(&BUFFERS, BUFFERS_COUNT * BUFFER_BYTES, receive)
}

fn with_memory<T>(
    place: &'static LocalKey<RefCell<Vec<u8>>>,
    bytes: usize,
    receive: impl FnOnce(&mut [u8]) -> T,
) -> T {
    let mut memory = place.try_with(RefCell::take).unwrap_or_default();
    if memory.is_empty() {
        // Zeroed by the system, page by page, when something arrives there.
        memory = vec![0; bytes];
    }
    let received = receive(&mut memory);
    // While the thread ends, the memory is freed instead.
    place.try_with(|kept| kept.replace(memory)).ok();
    received
}
