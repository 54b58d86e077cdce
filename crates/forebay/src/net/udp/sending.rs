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
use super::datagram::Datagram;
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

    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.core.is_closed() {
            return self.core.poll_closed(cx);
        }
        ready!(share::poll(cx));
        let mut is_second = false;
        let sent = loop {
            match self.core.poll_send(&self.outgoing) {
                Poll::Ready(sent) => break sent,
                Poll::Pending if is_second => return Poll::Pending,
                // One more attempt behind that, so that no room that has come since the first is missed.
                Poll::Pending => self.join(cx),
            }
            is_second = true;
        };
        share::spend(self.outgoing.payload.len());
        Poll::Ready(sent.map_err(|error| self.core.send_error(error, &self.outgoing)))
    }

    #[cold]
    fn join(&mut self, cx: &Context<'_>) {
        self.core.waits().writers.join(&mut self.key, cx.waker());
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.core.waits().writers.leave(&mut self.key);
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
                return self.core.poll_closed(cx);
            }
            ready!(share::poll(cx));
            let Some(train) = self.batch.train(self.core.train_length_max()) else {
                return Poll::Ready(Ok(()));
            };
            if let Err(error) = self.core.check_peer(train.to) {
                self.batch.remove(1);
                return Poll::Ready(Err(error));
            }
            // A connected socket takes no address, not even its peer's, on some systems.
            let to = train.to.filter(|_| self.core.remote().is_none());
            let from = train.from.filter(|_| self.core.has_many_addresses());
            let train = Train { to, from, ..train };
            share::spend(train.payload.len());
            let first = self.core.poll_send_train(&train);
            let sent = if first.is_ready() {
                first
            } else {
                self.core.waits().writers.join(&mut self.key, cx.waker());
                self.core.poll_send_train(&train)
            };
            match ready!(sent) {
                Ok(count) => self.batch.remove(count),
                Err(error) => {
                    let error = self.core.send_error(error, &train.first());
                    if !error.is_closed() {
                        self.batch.remove(1);
                    }
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl Drop for SendingBatch<'_> {
    fn drop(&mut self) {
        self.core.waits().writers.leave(&mut self.key);
    }
}

impl DatagramCore {
    /// Fails a call on a closed socket.
    #[cold]
    fn poll_closed(&self, cx: &Context<'_>) -> Poll<Result<()>> {
        ready!(poll_answer(cx));
        Poll::Ready(Err(self.closed("send")))
    }

    #[inline]
    fn poll_send(&self, outgoing: &Outgoing<'_>) -> Poll<io::Result<()>> {
        let mut report = None;
        let sent = self.poll_io(Direction::Write, |fd| self.send(fd, outgoing, &mut report));
        self.keep_if_met(report);
        sent.map_ok(|_| ())
    }

    /// Sends, unless the system has no room for it now.
    pub(super) fn try_send(&self, outgoing: &Outgoing<'_>) -> Result<bool> {
        self.check_open("send")?;
        let mut report = None;
        let sent = self.call(|fd| self.send(fd, outgoing, &mut report));
        self.keep_if_met(report);
        match sent {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(self.send_error(error, outgoing)),
        }
    }

    /// Keeps a report about an earlier datagram that a send has met. Not before the system call is over: it wakes, and
    /// what it wakes may close the socket.
    #[inline]
    fn keep_if_met(&self, report: Option<io::Error>) {
        if let Some(report) = report {
            self.count_unreachable();
            self.keep_report(report);
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
    fn poll_send_train(&self, train: &Train<'_>) -> Poll<io::Result<usize>> {
        let mut report = None;
        let call = |fd: BorrowedFd<'_>| self.send_train(fd, train, &mut report);
        let sent = self.poll_io(Direction::Write, call);
        self.keep_if_met(report);
        sent
    }

    /// Sends all of a train in one call; or only the first datagram, if the system refuses the train. Returns how
    /// many were sent.
    fn send_train(
        &self,
        fd: BorrowedFd<'_>,
        train: &Train<'_>,
        report: &mut Option<io::Error>,
    ) -> io::Result<usize> {
        let mut is_refused = false;
        if train.count > 1 {
            let to = train.to.map(|to| self.mapped(&to).unwrap_or(to));
            let whole = Train { to, from: self.source(train.from), ..*train };
            let attempt = || trains::send_train(fd, whole);
            match self.beside_reports(attempt(), attempt, report) {
                Ok(_) => return Ok(train.count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // The first one alone tells whether it is the peer's fault, or the network's.
                Err(error) => is_refused = trains::is_refusal(&error),
            }
        }
        self.send(fd, &train.first(), report)?;
        if is_refused {
            // It was the train that the system has refused: above the size of the path's packets, or by a device
            // that cannot take it apart.
            self.refused_train_of(train.length);
        }
        Ok(1)
    }

    #[inline]
    fn send(
        &self,
        fd: BorrowedFd<'_>,
        outgoing: &Outgoing<'_>,
        report: &mut Option<io::Error>,
    ) -> io::Result<usize> {
        let first = self.send_now(fd, outgoing);
        self.beside_reports(first, || self.send_now(fd, outgoing), report)
    }

    /// Makes the other attempts of a send. Of a report about an earlier datagram the system makes the error of the next
    /// call, which must not keep another datagram from its peer.
    #[inline]
    fn beside_reports(
        &self,
        first: io::Result<usize>,
        again: impl Fn() -> io::Result<usize>,
        report: &mut Option<io::Error>,
    ) -> io::Result<usize> {
        let sent = match first {
            Err(error) if is_about_an_earlier_one(&error) => behind_a_report(error, &again, report),
            sent => sent,
        };
        if let Ok(bytes) = &sent {
            self.selector().count_send(*bytes as u64);
        }
        sent
    }

    #[inline]
    fn send_now(&self, fd: BorrowedFd<'_>, outgoing: &Outgoing<'_>) -> io::Result<usize> {
        let Outgoing { payload, to, from } = outgoing;
        match to {
            None => Ok(send(fd, payload, SEND_FLAGS)?),
            // The usual address has a way of its own, as when it is received.
            Some(SocketAddr::V4(to)) if from.is_none() && self.local().is_ipv4() => {
                Ok(sendto(fd, payload, SEND_FLAGS, to)?)
            }
            Some(to) => self.send_to_any(fd, to, outgoing),
        }
    }

    /// Sends to an address of either family and, if the datagram has an address of this machine, from that.
    #[inline(never)]
    fn send_to_any(
        &self,
        fd: BorrowedFd<'_>,
        to: &SocketAddr,
        outgoing: &Outgoing<'_>,
    ) -> io::Result<usize> {
        let payload = outgoing.payload;
        let to = self.mapped(to).unwrap_or(*to);
        if let Some((from, interface)) = self.source(outgoing.from) {
            match reply::send_from(fd, payload, to, from, interface) {
                // Not an address of this machine, or not any more: of broadcast, for instance.
                Err(error) if !is_of_the_datagram(&error) => {}
                sent => return sent,
            }
        }
        Ok(sendto(fd, payload, SEND_FLAGS, &to)?)
    }

    /// Returns the address as this socket takes it, if that differs: a socket of IPv6 sends to IPv4 by a mapped address
    /// (RFC 4291, section 2.5.5.2).
    fn mapped(&self, to: &SocketAddr) -> Option<SocketAddr> {
        match to {
            SocketAddr::V4(v4) if self.local().is_ipv6() => {
                Some(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into())
            }
            _ => None,
        }
    }

    /// Returns the address to answer a datagram from, and the interface, unless this socket has only one address.
    #[inline]
    pub(super) fn source_of(&self, datagram: &Datagram) -> Option<(IpAddr, u32)> {
        if self.has_many_addresses() { reply::source_of(datagram) } else { None }
    }

    /// Returns `true` unless the socket is bound to one address, and sends from no other.
    #[inline]
    fn has_many_addresses(&self) -> bool {
        self.local().ip().is_unspecified()
    }

    /// The source as a socket of this family takes it.
    fn source(&self, from: Option<(IpAddr, u32)>) -> Option<(IpAddr, u32)> {
        let (ip, interface) = from?;
        match (self.local(), ip) {
            (SocketAddr::V6(_), IpAddr::V4(v4)) => Some((v4.to_ipv6_mapped().into(), interface)),
            _ => Some((ip, interface)),
        }
    }

    #[cold]
    fn send_error(&self, error: io::Error, outgoing: &Outgoing<'_>) -> Error {
        let error = Error::from_io("send", error);
        if error.kind() == ErrorKind::Closed {
            return self.closed("send");
        }
        let to = outgoing.to.copied().or(self.remote()).unwrap_or(self.local());
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

/// Makes the other attempts of a send, behind one that met a report.
#[cold]
fn behind_a_report(
    mut met: io::Error,
    again: &dyn Fn() -> io::Result<usize>,
    report: &mut Option<io::Error>,
) -> io::Result<usize> {
    for _ in 1..ATTEMPTS_MAX {
        match again() {
            Err(error) if is_about_an_earlier_one(&error) => met = error,
            sent => {
                *report = Some(met);
                return sent;
            }
        }
    }
    // It is about this one: there is no route, for instance.
    Err(met)
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
