//! Receiving: one datagram, or several at a time.

use std::io::{self, IoSliceMut};
use std::task::Poll;

use quinn_udp::{RecvMeta, UdpSockRef};
use rustix::fd::BorrowedFd;

use super::core::DatagramCore;
use super::datagram::{Datagram, split};
use crate::host::Direction;
use crate::net::datagram::{DatagramSocket, ReceiveMemory, Receives, share};

/// More than the longest datagram has, and as much as the kernel joins at most.
const BUFFER_BYTES: usize = 64 * 1024;
/// The buffers of one call that receives several datagrams.
const BUFFERS_COUNT: usize = 16;

thread_local! {
    /// The memory for a call that receives one datagram.
    static BUFFER: ReceiveMemory = const { ReceiveMemory::new() };
    /// The memory for a call that receives several. Only the parts are used that something has arrived in.
    static BUFFERS: ReceiveMemory = const { ReceiveMemory::new() };
}

impl Receives for DatagramCore {
    type Datagram = Datagram;
    type Socket = Self;

    fn socket(&self) -> &Self {
        self
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be a twentieth of a receive")]
    fn poll_receive(&self, place: &mut Option<Datagram>) -> Poll<io::Result<()>> {
        if self.unreceived.is_any() && self.unreceived.take(place)? {
            return Poll::Ready(Ok(()));
        }
        let (mut memory, mut told) = (ReceiveMemory::take(&BUFFER, BUFFER_BYTES), None);
        let call = |fd: BorrowedFd<'_>| self.receive(fd, &mut memory, place, &mut told);
        let received = self.poll_io(Direction::Read, call);
        if let Some(about) = &told {
            self.keep_rest(&memory, about);
        }
        ReceiveMemory::keep(&BUFFER, memory);
        received.map_ok(|_| ())
    }

    fn receive_now(&self, place: &mut Option<Datagram>) -> io::Result<()> {
        if self.unreceived.is_any() && self.unreceived.take(place)? {
            return Ok(());
        }
        let (mut memory, mut told) = (ReceiveMemory::take(&BUFFER, BUFFER_BYTES), None);
        let received = self.call(|fd| self.receive(fd, &mut memory, place, &mut told));
        if let Some(about) = &told {
            self.keep_rest(&memory, about);
        }
        ReceiveMemory::keep(&BUFFER, memory);
        received.map(|_| ())
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
            if let Some(datagram) = self.unreceived.take_datagram() {
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
        let mut memory = ReceiveMemory::take(&BUFFERS, BUFFERS_COUNT * BUFFER_BYTES);
        let mut about = [RecvMeta::default(); BUFFERS_COUNT];
        let count_max = (most - datagrams.len()).min(BUFFERS_COUNT);
        let count = {
            let pieces = memory.chunks_exact_mut(BUFFER_BYTES).take(count_max);
            let mut pieces: Vec<_> = pieces.map(IoSliceMut::new).collect();
            self.call(|fd| {
                self.waits().keep_from_waiting(fd)?;
                self.system.recv(UdpSockRef::from(&fd), &mut pieces, &mut about)
            })
        };
        let filled = *count.as_ref().unwrap_or(&0);
        for (buffer, about) in memory.chunks_exact(BUFFER_BYTES).zip(&about).take(filled) {
            if self.is_from_a_stranger(&about.addr) {
                continue;
            }
            self.selector().count_receive(about.len as u64);
            let mut parts = self.split(buffer, about);
            for datagram in parts.by_ref().take(most - datagrams.len()) {
                share::spend(datagram.payload.len());
                datagrams.push(datagram);
            }
            self.keep_surplus(parts);
        }
        ReceiveMemory::keep(&BUFFERS, memory);
        count.map(|_| ())
    }

    /// Makes the system call for one datagram, or joined ones, of which the first is put in its place; returns the
    /// number of bytes. Where the system has `told` more than its sender, there may be others behind it.
    #[inline]
    fn receive(
        &self,
        fd: BorrowedFd<'_>,
        memory: &mut [u8],
        place: &mut Option<Datagram>,
        told: &mut Option<RecvMeta>,
    ) -> io::Result<usize> {
        loop {
            let received = if self.is_plain() {
                self.receive_plain(fd, memory, place)
            } else {
                self.receive_told(fd, memory, place, told)
            };
            match received {
                Ok(Some(count)) => {
                    self.selector().count_receive(count as u64);
                    return Ok(count);
                }
                // From a stranger.
                Ok(None) => {}
                Err(error) => self.unless_in_vain(error)?,
            }
        }
    }

    fn receive_told(
        &self,
        fd: BorrowedFd<'_>,
        memory: &mut [u8],
        place: &mut Option<Datagram>,
        told: &mut Option<RecvMeta>,
    ) -> io::Result<Option<usize>> {
        self.waits().keep_from_waiting(fd)?;
        let into = &mut [IoSliceMut::new(memory)];
        let mut about = RecvMeta::default();
        self.system.recv(UdpSockRef::from(&fd), into, std::slice::from_mut(&mut about))?;
        if self.is_from_a_stranger(&about.addr) {
            return Ok(None);
        }
        *place = self.split(memory, &about).next();
        *told = Some(about);
        Ok(Some(about.len))
    }

    /// Keeps the datagrams that came together with one that was received.
    #[inline(never)]
    fn keep_rest(&self, memory: &[u8], about: &RecvMeta) {
        self.keep_surplus(self.split(memory, about).skip(1));
    }

    /// Returns the error of a receive, unless the receive is to be tried again.
    #[cold]
    fn unless_in_vain(&self, error: io::Error) -> io::Result<()> {
        if is_about_an_earlier_one(&error) {
            self.count_unreachable();
            // Some systems report to a socket without a peer that an earlier datagram did not arrive. It
            // does not say which one, and the next receive is another matter.
            return if self.remote().is_some() { Err(error) } else { Ok(()) };
        }
        if error.kind() == io::ErrorKind::WouldBlock {
            self.note_empty();
        }
        Err(error)
    }

    fn split<'a>(
        &self,
        memory: &'a [u8],
        about: &RecvMeta,
    ) -> impl Iterator<Item = Datagram> + use<'a> {
        let mut about = *about;
        about.dst_ip = about.dst_ip.or(self.only_address());
        split(&memory[..about.len], about, self.datagram_bytes_max)
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
