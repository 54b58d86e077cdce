//! Connects to the addresses of a host, one after the other.

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::BorrowedFd;
use socket2::{SockAddr, SockRef};

use super::advice;
use super::opening::open;
use crate::host::{Direction, Progress};
use crate::net::SocketAddress;
use crate::net::address::Address;
use crate::net::attempts::Attempts;
use crate::net::descriptor::Descriptor;
use crate::net::options::{OptionValues, SocketRole};
use crate::net::protocol::Protocol;
use crate::net::resolve::resolve;
use crate::net::socket::{CoreParts, PendingTls, Socket};
use crate::selector::{Shared, Waits};
use crate::time::{Timers, within};

/// Looks the address up and tries the resulting addresses, one after the other, within `connect_timeout` in
/// all.
pub(super) async fn connect(
    selector: &Arc<Shared>,
    address: &Address,
    options: &Arc<OptionValues>,
) -> Result<Socket> {
    let limit = options.connect_timeout;
    let timers = selector.timers();
    let deadline = Deadline { began: timers.now(), timers, limit };
    let resolving = resolve(selector.own_calls(), address);
    let resolving = selector.closing().until_begun("connect", resolving);
    let Some(found) = deadline.within(limit, resolving).await else {
        let late = deadline.passed("the name's look-up has no answer");
        return Err(late.with_address(address));
    };
    connect_to_any(selector, address, &found?, options, &deadline).await
}

/// Tries the candidates in order. Each gets an equal share of the time that is left, so unused time goes to
/// the ones that follow.
async fn connect_to_any(
    selector: &Arc<Shared>,
    address: &Address,
    candidates: &[SocketAddr],
    options: &Arc<OptionValues>,
    deadline: &Deadline,
) -> Result<Socket> {
    let mut attempts = Attempts::default();
    for (tried, &candidate) in candidates.iter().enumerate() {
        let share = deadline.share(candidates.len() - tried);
        let attempt = attempt(selector, address, candidate, options);
        let error = match deadline.within(share, attempt).await {
            Some(Ok(socket)) => return Ok(socket),
            // The selector is closing, so the other addresses would fail too.
            Some(Err(error)) if error.is_closed() => return Err(error),
            Some(Err(error)) => error,
            None if candidates.len() == 1 => deadline.passed("not connected"),
            None => Error::new(ErrorKind::TimedOut, "connect")
                .with_detail(format!("no answer within {share:.1?}, its share of connect_timeout")),
        };
        attempts.failed(error, candidate);
    }
    Err(attempts.into_error("connect", address, advice::on_connect))
}

/// The time at which connecting began, and its limit.
struct Deadline {
    timers: Arc<Timers>,
    began: Instant,
    limit: Duration,
}

impl Deadline {
    /// One of `shares` equal parts of the time that is left.
    fn share(&self, shares: usize) -> Duration {
        let passed = self.timers.now().saturating_duration_since(self.began);
        let left = self.limit.saturating_sub(passed);
        u32::try_from(shares).ok().and_then(|shares| left.checked_div(shares)).unwrap_or_default()
    }

    async fn within<F: Future>(&self, share: Duration, future: F) -> Option<F::Output> {
        within(Arc::clone(&self.timers), share, future).await
    }

    fn passed(&self, so_far: &str) -> Error {
        Error::new(ErrorKind::TimedOut, "connect")
            .with_detail(format!("{so_far} after {:?} (connect_timeout sets this)", self.limit))
    }
}

async fn attempt(
    selector: &Arc<Shared>,
    host: &Address,
    address: SocketAddr,
    options: &Arc<OptionValues>,
) -> Result<Socket> {
    let failed = |error| Error::from_io("connect", error);
    let refused = |error| advice::connect_failed(error, address);
    let socket = open(selector, "connect", SocketRole::Connected, address, options)?;
    let begun = socket.connect(&SockAddr::from(address));
    let io = Descriptor::new(socket.into(), Arc::clone(selector));
    let may_wait_for_bytes = begun.is_ok() && options.fast_open.is_some();
    match begun {
        Ok(()) => {}
        Err(error) if is_in_progress(&error) => {
            poll_fn(|cx| io.poll_io(cx, Direction::Write, Waits::User, is_connected))
                .await
                .map_err(refused)?;
        }
        Err(error) => return Err(refused(error)),
    }
    refuse_self(&io, address)?;
    let local = io.call(|fd| SockRef::from(&fd).local_addr()).map_err(failed)?;
    let parts = CoreParts {
        remote: SocketAddress::shown(address),
        local: SocketAddress::shown(local.as_socket().unwrap_or(address)),
        options: Arc::clone(options),
        host_name: host.host_name().map(Into::into),
    };
    selector.sockets().counters.connected.add(1);
    let socket =
        Socket::over(io, Protocol::Tcp, SocketRole::Connected, parts, PendingTls::default());
    if may_wait_for_bytes {
        socket.begin_without_bytes();
    }
    Ok(socket)
}

/// True if connecting goes on in the background: after `EINPROGRESS`, and after a signal (`connect(2)`).
fn is_in_progress(error: &io::Error) -> bool {
    let in_progress = rustix::io::Errno::INPROGRESS.raw_os_error();
    error.raw_os_error() == Some(in_progress)
        || matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// Succeeds when the connection is established; an error if it has failed.
fn is_connected(fd: BorrowedFd<'_>) -> io::Result<Progress> {
    let socket = SockRef::from(&fd);
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(Progress { count: 0, drained: false }),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

/// Refuses a connection of a socket to itself. The ephemeral port of a socket may equal the port that it
/// connects to; TCP's simultaneous open (RFC 9293, section 3.5) then connects it to itself.
fn refuse_self(io: &Descriptor, remote: SocketAddr) -> Result<()> {
    let local = io.call(|fd| SockRef::from(&fd).local_addr());
    if local.is_ok_and(|local| local.as_socket() == Some(remote)) {
        return Err(Error::new(ErrorKind::Refused, "connect")
            .with_detail("no process listens there: the socket was connected to itself"));
    }
    Ok(())
}
