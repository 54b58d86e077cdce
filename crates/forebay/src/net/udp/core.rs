//! The state that all handles of a datagram socket share.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

use forebay_io::seam::WakeList;
use forebay_io::{Error, Result};
use quinn_udp::{UdpSockRef, UdpSocketState};
use rustix::fd::BorrowedFd;
use socket2::SockRef;

use super::datagram::Datagram;
use super::drops::drops;
use super::trains;
use super::unreceived::Unreceived;
use crate::host::Direction;
use crate::net::datagram::{DatagramSocket, DatagramWaits};
use crate::net::descriptor::{Descriptor, unanswered};
use crate::net::options::{OptionValues, SocketOptions, SocketRole};
use crate::net::protocol::Protocol;
use crate::net::system;
use crate::selector::Shared;
use crate::time::WakeUp;

/// The payload that a packet of any path has room for: 1,280 bytes without the headers of IPv6 and UDP.
const PATH_BYTES_MIN: usize = 1_232;

/// Returns `true` if a socket that is bound to this address receives datagrams that were sent to different ones, or
/// to a group, from which nothing can be sent.
fn may_be_sent_elsewhere(local: SocketAddr) -> bool {
    let ip = local.ip().to_canonical();
    ip.is_unspecified() || ip.is_multicast()
}

/// A way to receive, which a socket is prepared for before it has an address: from then on datagrams arrive.
pub(super) struct Reception {
    system: UdpSocketState,
    is_plain: bool,
    /// Another program has the socket too.
    is_shared: bool,
}

impl Reception {
    /// Prepares a socket without an address, before its options are set: the program has the last word.
    pub(super) fn begin(socket: &socket2::Socket) -> io::Result<Self> {
        let system = UdpSocketState::new(UdpSockRef::from(socket))?;
        system::as_a_plain_socket(socket)?;
        Ok(Self { system, is_plain: false, is_shared: false })
    }

    /// Chooses the way for the address that the socket is to have, after its options are set.
    pub(super) fn choose(
        &mut self,
        socket: &socket2::Socket,
        (local, remote): (SocketAddr, Option<SocketAddr>),
        options: &OptionValues,
    ) {
        // Connecting chooses an address of this machine where there is none.
        let is_chosen = remote.is_some() && local.ip().is_unspecified();
        let needs_info =
            options.packet_info.unwrap_or_else(|| !is_chosen && may_be_sent_elsewhere(local));
        self.is_plain = !needs_info && system::without_packet_info(socket);
    }

    /// Prepares a socket that another program has too: of its options none is changed that the other one
    /// would notice, and the other one may make the system join datagrams.
    #[cfg(unix)]
    pub(super) fn of_shared(socket: &socket2::Socket) -> io::Result<Self> {
        Ok(Self { system: system::shared_reception(socket)?, is_plain: false, is_shared: true })
    }
}

pub(in crate::net) struct DatagramCore {
    waits: DatagramWaits,
    /// The extensions for datagrams that the system was found to have when the socket was made.
    pub(super) system: UdpSocketState,
    local: SocketAddr,
    /// The peer of a connected socket.
    remote: Option<SocketAddr>,
    /// The address that all datagrams are sent to, if there is only one.
    only_address: Option<IpAddr>,
    pub(super) datagram_bytes_max: usize,
    /// The system tells more about a datagram than its sender.
    has_packet_info: bool,
    /// A program may have another descriptor of this socket, and may set what it likes.
    is_shared: AtomicBool,
    /// Nothing has been left to receive once since the socket was made: what has arrived before it was connected is
    /// gone.
    was_empty: AtomicBool,
    /// The system tells the sender of a datagram and no more, and joins none. Cleared once, by the first call that
    /// receives several or that makes another descriptor.
    is_plain: AtomicBool,
    /// Returned by a receive before it asks the system.
    pub(super) unreceived: Unreceived,
    /// The longest datagrams that are sent several at a time. Zero: the system refuses that.
    train_length_max: AtomicUsize,
    /// Reports of the network that a datagram did not arrive.
    unreachable: AtomicU64,
}

impl DatagramSocket for DatagramCore {
    fn waits(&self) -> &DatagramWaits {
        &self.waits
    }

    fn named(&self, error: Error) -> Error {
        error.with_address(self.remote.unwrap_or(self.local))
    }

    fn close(&self) {
        self.waits.close(|_| {});
        self.unreceived.close();
    }

    fn told(&self, socket: &SockRef<'_>) -> SocketOptions {
        let role = if self.remote.is_some() { SocketRole::Connected } else { SocketRole::Bound };
        let max_datagram = u16::try_from(self.datagram_bytes_max).unwrap_or(u16::MAX);
        let packet_info = Some(self.has_packet_info);
        let kept = OptionValues { max_datagram, packet_info, ..OptionValues::default() };
        kept.told(Protocol::Udp, role, Some(socket))
    }

    fn before_clone(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
        // By the descriptor the system may be made to join datagrams.
        self.is_plain.store(false, Ordering::Relaxed);
        self.waits.let_calls_end();
    }
}

/// A socket closes with its selector.
impl WakeUp for DatagramCore {
    fn wake_up(&self) {
        if self.waits.selector().is_closing() {
            self.close();
        }
    }
}

impl DatagramCore {
    /// Takes a socket that is bound, and connected if it has a peer.
    pub(super) fn new(
        selector: &Arc<Shared>,
        socket: socket2::Socket,
        reception: Reception,
        ends: (SocketAddr, Option<SocketAddr>),
        options: &OptionValues,
    ) -> Arc<Self> {
        let Reception { system, is_plain, is_shared } = reception;
        let io = Descriptor::new(socket.into(), Arc::clone(selector));
        let core = Arc::new(Self {
            waits: DatagramWaits::new(io, is_shared),
            system,
            local: ends.0,
            remote: ends.1,
            only_address: (!may_be_sent_elsewhere(ends.0)).then(|| ends.0.ip().to_canonical()),
            datagram_bytes_max: options.max_datagram.into(),
            has_packet_info: !is_plain,
            is_shared: AtomicBool::new(is_shared),
            was_empty: AtomicBool::new(false),
            is_plain: AtomicBool::new(is_plain),
            unreceived: Unreceived::default(),
            train_length_max: AtomicUsize::new(trains::LENGTH_MAX),
            unreachable: AtomicU64::new(0),
        });
        selector.closing().close_with(&core);
        core
    }

    #[inline]
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Returns `true` if a receive brings one datagram, with its sender and no more. Asked while the descriptor is
    /// held.
    pub(super) fn is_plain(&self) -> bool {
        // Relaxed: the descriptor's lock orders it with the step of `join_datagrams`.
        self.is_plain.load(Ordering::Relaxed)
    }

    /// Lets the system join datagrams from now on, for calls that receive several.
    pub(super) fn join_datagrams(&self) {
        if self.is_plain.swap(false, Ordering::Relaxed) {
            // A call that has seen it set would take joined datagrams for one.
            self.waits.let_calls_end();
            // Where the system cannot join them, they come one by one.
            self.call(|fd| Ok(system::join_datagrams(fd))).ok();
        }
    }

    /// Returns `true` for a datagram that is not from the peer of a connected socket: it has arrived before the socket
    /// was connected, and the system keeps it.
    #[inline]
    pub(super) fn is_from_a_stranger(&self, sender: &SocketAddr) -> bool {
        let Some(peer) = &self.remote else { return false };
        let is_peer = (sender.ip(), sender.port()) == (peer.ip(), peer.port());
        // Relaxed: another descriptor, by which the peer can be changed, is made after it was set.
        !is_peer && peer.port() != 0 && !self.is_shared.load(Ordering::Relaxed)
    }

    /// The sender of all datagrams to come, if there is only one.
    pub(super) fn only_sender(&self) -> Option<&SocketAddr> {
        // Relaxed: a hint. A thread that misses it asks the system.
        self.remote.as_ref().filter(|_| self.was_empty.load(Ordering::Relaxed))
    }

    /// Notes that nothing is left to receive.
    pub(super) fn note_empty(&self) {
        // Stored once, so that the line of memory stays shared.
        if self.remote.is_some() && !self.was_empty.load(Ordering::Relaxed) {
            self.was_empty.store(true, Ordering::Relaxed);
        }
    }

    /// The address that all datagrams are sent to, if there is only one.
    pub(super) fn only_address(&self) -> Option<IpAddr> {
        self.only_address
    }

    pub(super) fn selector(&self) -> &Arc<Shared> {
        self.waits.selector()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waits.is_closed()
    }

    /// Runs a system call now, or as soon as the socket is ready for it.
    #[inline]
    pub(super) fn poll_io(
        &self,
        direction: Direction,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.waits.poll_io(direction, call)
    }

    /// Runs a system call, and does not wait.
    pub(super) fn call<T>(
        &self,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.waits.call(call)
    }

    /// Keeps what came with a datagram, for the next calls.
    pub(super) fn keep_surplus(&self, rest: impl Iterator<Item = Datagram>) {
        let mut rest = rest.peekable();
        if rest.peek().is_some() {
            self.unreceived.add(rest);
            self.wake_readers();
        }
    }

    /// Counts a report of the network about an earlier datagram.
    pub(super) fn count_unreachable(&self) {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the longest datagrams that are sent several at a time.
    pub(super) fn train_length_max(&self) -> usize {
        self.train_length_max.load(Ordering::Relaxed)
    }

    /// Notes that the system refuses several datagrams of this length at a time, although it sends one.
    pub(super) fn refused_train_of(&self, length: usize) {
        // Any path carries so much (RFC 8200, section 5), so there it is not the length.
        let max = if length <= PATH_BYTES_MIN { 0 } else { length - 1 };
        self.train_length_max.fetch_min(max, Ordering::Relaxed);
    }

    pub(super) fn unreachable(&self) -> u64 {
        self.unreachable.load(Ordering::Relaxed)
    }

    /// Keeps a report that is not told yet for the next receive, if the socket has a peer.
    pub(super) fn keep_report(&self, report: io::Error) {
        if self.remote.is_some() {
            self.unreceived.add_report(report);
            self.wake_readers();
        }
    }

    fn wake_readers(&self) {
        let mut after = WakeList::new();
        self.waits.readers.release(&mut after);
        after.run();
    }

    /// The number of datagrams that the system has dropped.
    pub(super) fn dropped_datagrams(&self) -> Result<u64> {
        let dropped = self.call(drops);
        dropped.map(u64::from).map_err(|error| self.named(unanswered("dropped_datagrams", error)))
    }
}
