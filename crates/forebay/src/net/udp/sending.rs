//! One call of `send`: its attempts, and its place among the waits.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::task::{Context, Poll, ready};

use forebay_io::seam::{WaiterKey, poll_answer};
use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::net::{send, sendto};

use super::batch::DatagramBatch;
use super::core::DatagramCore;
use super::outgoing::{Outgoing, Train};
use super::receiving::is_about_an_earlier_one;
use super::{reply, trains};
use crate::host::Direction;
use crate::net::datagram::{DatagramSocket, share};
use crate::net::system::SEND_FLAGS;

/// The number of attempts of one send, of which all but the last may meet a report about an earlier datagram.
const ATTEMPTS_MAX: usize = 3;

/// A call of `send`.
pub(super) struct Sending<'a> {
    core: &'a DatagramCore,
    outgoing: Outgoing<'a>,
    key: Option<WaiterKey>,
}

impl<'a> Sending<'a> {
    pub(super) fn new(core: &'a DatagramCore, outgoing: Outgoing<'a>) -> Self {
        Self { core, outgoing, key: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.core.is_closed() {
            ready!(poll_answer(cx));
            return Poll::Ready(Err(self.core.closed("send")));
        }
        ready!(share::poll(cx));
        let sent = ready!(self.poll_once(cx));
        share::spend(self.outgoing.payload.len());
        self.leave();
        Poll::Ready(sent.map_err(|error| self.core.send_error(error, self.outgoing)))
    }

    /// Makes an attempt. If it would have to wait, adds this call to the waits and makes one more, so that
    /// no room that comes between the two is missed.
    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let first = self.core.poll_send(self.outgoing);
        if first.is_ready() {
            return first;
        }
        self.core.waits().writers.join(&mut self.key, cx.waker());
        self.core.poll_send(self.outgoing)
    }

    fn leave(&mut self) {
        self.core.waits().writers.leave(&mut self.key);
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A call of `send_batch`.
pub(super) struct SendingBatch<'a> {
    core: &'a DatagramCore,
    batch: &'a mut DatagramBatch,
    key: Option<WaiterKey>,
}

impl<'a> SendingBatch<'a> {
    pub(super) fn new(core: &'a DatagramCore, batch: &'a mut DatagramBatch) -> Self {
        Self { core, batch, key: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            if self.core.is_closed() {
                ready!(poll_answer(cx));
                return Poll::Ready(Err(self.core.closed("send")));
            }
            ready!(share::poll(cx));
            let Some(train) = self.batch.train(self.core.train_length_max()) else {
                self.leave();
                return Poll::Ready(Ok(()));
            };
            if let Err(error) = self.core.check_peer(train.to) {
                self.batch.remove(1);
                self.leave();
                return Poll::Ready(Err(error));
            }
            // A connected socket takes no address, not even its peer's, on some systems.
            let to = train.to.filter(|_| self.core.remote().is_none());
            let train = Train { to, ..train };
            share::spend(train.payload.len());
            let first = self.core.poll_send_train(train);
            let sent = if first.is_ready() {
                first
            } else {
                self.core.waits().writers.join(&mut self.key, cx.waker());
                self.core.poll_send_train(train)
            };
            match ready!(sent) {
                Ok(count) => self.batch.remove(count),
                Err(error) => {
                    let error = self.core.send_error(error, train.first());
                    if !error.is_closed() {
                        self.batch.remove(1);
                    }
                    self.leave();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn leave(&mut self) {
        self.core.waits().writers.leave(&mut self.key);
    }
}

impl Drop for SendingBatch<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl DatagramCore {
    fn poll_send(&self, outgoing: Outgoing<'_>) -> Poll<io::Result<()>> {
        let sent = self.poll_io(Direction::Write, |fd| self.send(fd, outgoing));
        sent.map_ok(|count| self.selector().count_send(count as u64))
    }

    /// Sends, unless the system has no room for it now.
    pub(super) fn try_send(&self, outgoing: Outgoing<'_>) -> Result<bool> {
        self.check_open("send")?;
        match self.call(|fd| self.send(fd, outgoing)) {
            Ok(count) => {
                self.selector().count_send(count as u64);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(self.send_error(error, outgoing)),
        }
    }

    /// Fails unless a datagram of a batch names a peer where there is none, and no other where there is one.
    fn check_peer(&self, to: Option<SocketAddr>) -> Result<()> {
        let detail = match (to, self.remote()) {
            (None, None) => "a datagram of the batch has no address, and the socket no peer",
            (Some(to), Some(remote)) if !is_same(to, remote) => {
                "the socket is connected to another peer"
            }
            _ => return Ok(()),
        };
        let error = Error::new(ErrorKind::InvalidInput, "send").with_detail(detail);
        Err(error.with_address(to.unwrap_or(self.local())))
    }

    /// Sends the first datagrams of a batch, and returns their number.
    fn poll_send_train(&self, train: Train<'_>) -> Poll<io::Result<usize>> {
        let mut count = 0;
        let sent = self.poll_io(Direction::Write, |fd| {
            let bytes;
            (count, bytes) = self.send_train(fd, train)?;
            Ok(bytes)
        });
        sent.map_ok(|bytes| {
            self.selector().count_send(bytes as u64);
            count
        })
    }

    /// Sends all of a train in one call; or only the first datagram, if the system refuses the train. Returns how
    /// many were sent, and their bytes.
    fn send_train(&self, fd: BorrowedFd<'_>, train: Train<'_>) -> io::Result<(usize, usize)> {
        let mut is_refused = false;
        if train.count > 1 {
            let to = train.to.map(|to| self.for_this_family(to));
            let whole = Train { to, from: self.source(train.from), ..train };
            match self.beside_reports(|| trains::send_train(fd, whole)) {
                Ok(bytes) => return Ok((train.count, bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // The first one alone tells whether it is the peer's fault, or the network's.
                Err(error) => is_refused = trains::is_refusal(&error),
            }
        }
        let bytes = self.send(fd, train.first())?;
        if is_refused {
            // It was the train that the system has refused: above the size of the path's packets, or by a device
            // that cannot take it apart.
            self.refused_train_of(train.length);
        }
        Ok((1, bytes))
    }

    fn send(&self, fd: BorrowedFd<'_>, outgoing: Outgoing<'_>) -> io::Result<usize> {
        self.beside_reports(|| self.send_now(fd, outgoing))
    }

    /// Makes the attempts of a send. Of a report about an earlier datagram the system makes the error of the next
    /// call, which must not keep another datagram from its peer.
    fn beside_reports(&self, attempt: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
        let mut report = None;
        for _ in 0..ATTEMPTS_MAX {
            match attempt() {
                Err(error) if is_about_an_earlier_one(&error) => report = Some(error),
                sent => {
                    if let Some(report) = report {
                        self.count_unreachable();
                        self.keep_report(report);
                    }
                    return sent;
                }
            }
        }
        // It is about this one: there is no route, for instance.
        Err(report.unwrap_or_else(|| io::ErrorKind::Other.into()))
    }

    fn send_now(&self, fd: BorrowedFd<'_>, outgoing: Outgoing<'_>) -> io::Result<usize> {
        let Outgoing { payload, to, from } = outgoing;
        match (to.map(|to| self.for_this_family(to)), self.source(from)) {
            (None, _) => Ok(send(fd, payload, SEND_FLAGS)?),
            (Some(to), Some((from, interface))) => {
                match reply::send_from(fd, payload, to, from, interface) {
                    // Not an address of this machine, or not any more: of broadcast, for instance.
                    Err(error) if !is_of_the_datagram(&error) => {
                        Ok(sendto(fd, payload, SEND_FLAGS, &to)?)
                    }
                    sent => sent,
                }
            }
            (Some(to), None) => Ok(sendto(fd, payload, SEND_FLAGS, &to)?),
        }
    }

    /// The address as this socket takes it: a socket of IPv6 sends to IPv4 by a mapped address (RFC 4291,
    /// section 2.5.5.2).
    fn for_this_family(&self, to: SocketAddr) -> SocketAddr {
        match (self.local(), to) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            _ => to,
        }
    }

    /// The source as this socket takes it. One that is bound to an address sends from no other.
    fn source(&self, from: Option<(IpAddr, u32)>) -> Option<(IpAddr, u32)> {
        let (ip, interface) = from.filter(|_| self.local().ip().is_unspecified())?;
        match (self.local(), ip) {
            (SocketAddr::V6(_), IpAddr::V4(v4)) => Some((v4.to_ipv6_mapped().into(), interface)),
            _ => Some((ip, interface)),
        }
    }

    fn send_error(&self, error: io::Error, outgoing: Outgoing<'_>) -> Error {
        let error = Error::from_io("send", error);
        if error.kind() == ErrorKind::Closed {
            return self.closed("send");
        }
        let to = outgoing.to.or(self.remote()).unwrap_or(self.local());
        let error = error.with_address(to);
        if self.local().is_ipv4() && to.is_ipv6() {
            return error
                .or_detail("the socket is of IPv4; one that is bound to [::] sends to both");
        }
        match error.kind() {
            ErrorKind::MessageTooLarge => error.with_detail(format!(
                "it has {} bytes; UDP carries at most 65,507 over IPv4 and 65,527 over IPv6",
                outgoing.payload.len()
            )),
            ErrorKind::PermissionDenied => {
                error.or_detail("to a broadcast address only with UdpBuilder::broadcast")
            }
            _ => error,
        }
    }
}

/// True for one address, however it is written: a mapped one is shown as the IPv4 address.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let scope = |address| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    let parts = |it: SocketAddr| (it.ip().to_canonical(), it.port(), scope(it));
    parts(one) == parts(other)
}

/// True if the datagram would not be sent from another address either.
fn is_of_the_datagram(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, OutOfMemory, WouldBlock};

    matches!(error.kind(), WouldBlock | Interrupted | OutOfMemory)
        || matches!(Errno::from_io_error(error), Some(Errno::MSGSIZE | Errno::NOBUFS))
}
