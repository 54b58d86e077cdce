//! The state that all handles of a datagram socket share.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use forebay_io::seam::WakeList;
use forebay_io::{Error, ErrorKind, Result};
use quinn_udp::{UdpSockRef, UdpSocketState};
use rustix::fd::{BorrowedFd, OwnedFd};

use super::datagram::Datagram;
use super::drops::drops;
use super::trains;
use crate::host::Direction;
use crate::lock::lock;
use crate::net::datagram::DatagramWaits;
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

pub(in crate::net) struct DatagramCore {
    waits: DatagramWaits,
    /// The extensions for datagrams that the system was found to have when the socket was made.
    pub(super) system: UdpSocketState,
    local: SocketAddr,
    /// The peer of a connected socket.
    remote: Option<SocketAddr>,
    pub(super) datagram_bytes_max: usize,
    /// The system tells more about a datagram than its sender.
    has_packet_info: bool,
    /// The system tells the sender of a datagram and no more, and joins none. Cleared once, by the first call that
    /// receives several.
    is_plain: AtomicBool,
    /// Datagrams that came together with one that was received.
    surplus: Mutex<VecDeque<Datagram>>,
    /// Read without the lock; set and cleared under it.
    has_surplus: AtomicBool,
    /// The longest datagrams that are sent several at a time. Zero: the system refuses that.
    train_length_max: AtomicUsize,
    /// Reports of the network that a datagram did not arrive.
    unreachable: AtomicU64,
    /// The last report that a send has met. The next receive of a connected socket tells it.
    report: Mutex<Option<io::Error>>,
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
        ends: (SocketAddr, Option<SocketAddr>),
        options: &OptionValues,
    ) -> io::Result<Arc<Self>> {
        Self::make(selector, socket, ends, options, false)
    }

    /// Takes a socket that another program has too.
    #[cfg(unix)]
    pub(super) fn inherited(
        selector: &Arc<Shared>,
        socket: socket2::Socket,
        ends: (SocketAddr, Option<SocketAddr>),
        options: &OptionValues,
    ) -> io::Result<Arc<Self>> {
        Self::make(selector, socket, ends, options, true)
    }

    fn make(
        selector: &Arc<Shared>,
        socket: socket2::Socket,
        ends: (SocketAddr, Option<SocketAddr>),
        options: &OptionValues,
        is_shared: bool,
    ) -> io::Result<Arc<Self>> {
        let system = UdpSocketState::new(UdpSockRef::from(&socket))?;
        system::as_a_plain_socket(&socket)?;
        let needs_info = options.packet_info.unwrap_or_else(|| may_be_sent_elsewhere(ends.0));
        // Another program may make the system join datagrams.
        let is_plain = !is_shared && !needs_info && system::without_packet_info(&socket);
        let io = Descriptor::new(socket.into(), Arc::clone(selector));
        let core = Arc::new(Self {
            waits: DatagramWaits::new(io, is_shared),
            system,
            local: ends.0,
            remote: ends.1,
            datagram_bytes_max: options.max_datagram.into(),
            has_packet_info: !is_plain,
            is_plain: AtomicBool::new(is_plain),
            surplus: Mutex::default(),
            has_surplus: AtomicBool::new(false),
            train_length_max: AtomicUsize::new(trains::LENGTH_MAX),
            unreachable: AtomicU64::new(0),
            report: Mutex::default(),
        });
        selector.closing().close_with(&core);
        Ok(core)
    }

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

    /// The address that all datagrams are sent to, if there is only one.
    pub(super) fn only_address(&self) -> Option<IpAddr> {
        (!may_be_sent_elsewhere(self.local)).then(|| self.local.ip())
    }

    pub(in crate::net) fn waits(&self) -> &DatagramWaits {
        &self.waits
    }

    pub(super) fn selector(&self) -> &Arc<Shared> {
        self.waits.selector()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waits.is_closed()
    }

    pub(super) fn close(&self) {
        self.waits.close(|_| {});
        // Nothing that is not received yet is kept.
        let left = std::mem::take(&mut *lock(&self.surplus));
        self.has_surplus.store(false, Ordering::Relaxed);
        drop(left);
    }

    /// Runs a system call now, or as soon as the socket is ready for it.
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

    /// Takes a datagram that came with an earlier one.
    pub(super) fn take_surplus(&self) -> Option<Datagram> {
        // Relaxed: a hint. A thread that misses it asks the system, and is woken by the one that sets it.
        if !self.has_surplus.load(Ordering::Relaxed) {
            return None;
        }
        let mut surplus = lock(&self.surplus);
        let first = surplus.pop_front();
        self.has_surplus.store(!surplus.is_empty(), Ordering::Relaxed);
        first
    }

    /// Keeps what came with a datagram, for the next calls.
    pub(super) fn keep_surplus(&self, rest: impl Iterator<Item = Datagram>) {
        let mut rest = rest.peekable();
        if rest.peek().is_none() {
            return;
        }
        let mut surplus = lock(&self.surplus);
        // A close that came first has emptied it already.
        if self.is_closed() {
            return;
        }
        surplus.extend(rest);
        self.has_surplus.store(true, Ordering::Relaxed);
        drop(surplus);
        let mut after = WakeList::new();
        self.waits.readers.release(&mut after);
        after.run();
    }

    /// The error of a call on a closed socket.
    pub(super) fn closed(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Closed, operation).with_address(self.local)
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
        if self.remote.is_none() {
            return;
        }
        let replaced = lock(&self.report).replace(report);
        drop(replaced);
        let mut after = WakeList::new();
        self.waits.readers.release(&mut after);
        after.run();
    }

    pub(super) fn take_report(&self) -> Option<io::Error> {
        // A socket without a peer has none.
        self.remote.and_then(|_| lock(&self.report).take())
    }

    /// The number of datagrams that the system has dropped.
    pub(super) fn dropped_datagrams(&self) -> Result<u64> {
        let dropped = self.call(drops);
        let named = |error| Error::from_io("dropped_datagrams", error).with_address(self.local);
        dropped.map(u64::from).map_err(named)
    }

    /// The options of this socket.
    pub(super) fn told_options(&self) -> Result<SocketOptions> {
        let role = if self.remote.is_some() { SocketRole::Connected } else { SocketRole::Bound };
        let max_datagram = u16::try_from(self.datagram_bytes_max).unwrap_or(u16::MAX);
        let packet_info = Some(self.has_packet_info);
        let kept = OptionValues { max_datagram, packet_info, ..OptionValues::default() };
        let told = |fd: BorrowedFd<'_>| {
            Ok(kept.told(Protocol::Udp, role, Some(&socket2::SockRef::from(&fd))))
        };
        let named = |error| unanswered("options", error).with_address(self.local);
        self.call(told).map_err(named)
    }

    /// Another descriptor of this socket.
    pub(super) fn try_clone_fd(&self) -> Result<OwnedFd> {
        let named = |error| unanswered("try_clone_fd", error).with_address(self.local);
        self.call(|fd| fd.try_clone_to_owned()).map_err(named)
    }

    pub(super) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.is_closed() { Err(self.closed(operation)) } else { Ok(()) }
    }
}
