//! Connects to a host: to its one address, or to the first of several that answers.

mod candidates;
mod race;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::BorrowedFd;
use socket2::{SockAddr, SockRef};

use self::race::AddressRace;
use super::advice;
use super::opening::open;
use crate::host::{Direction, Progress};
use crate::net::SocketAddress;
use crate::net::address::Address;
use crate::net::attempts::Attempts;
use crate::net::descriptor::Descriptor;
use crate::net::options::{OptionValues, SocketRole};
use crate::net::protocol::Protocol;
use crate::net::resolve::{Begun, Resolving};
use crate::net::socket::{CoreParts, PendingTls, Socket};
use crate::selector::{Shared, Waits};
use crate::time::{Timers, within};

/// Looks the address up and connects to what that finds, within `connect_timeout` in all.
pub(super) async fn connect(
    selector: &Arc<Shared>,
    address: &Address,
    options: &Arc<OptionValues>,
) -> Result<Socket> {
    let timers = selector.timers();
    let deadline = Deadline { began: timers.now(), timers, limit: options.connect_timeout };
    match Resolving::begin(selector, address) {
        Begun::Literal(inet) => connect_to_one(selector, address, inet, options, &deadline).await,
        Begun::LookUp(found) => connect_to_any(selector, address, found, options, &deadline).await,
    }
}

/// Connects to an IP address, without the means of a race.
async fn connect_to_one(
    selector: &Arc<Shared>,
    host: &Address,
    address: SocketAddr,
    options: &Arc<OptionValues>,
    deadline: &Deadline,
) -> Result<Socket> {
    let mut attempts = Attempts::default();
    match deadline.within(attempt(selector, host, address, options)).await {
        Some(Ok(socket)) => Ok(socket),
        Some(Err(error)) if error.is_closed() => Err(error),
        Some(Err(error)) => {
            attempts.failed_after(error, address, Duration::ZERO, deadline.passed());
            Err(attempts.into_error("connect", host, advice::on_connect))
        }
        None => {
            let late = deadline.late("not connected");
            let took = deadline.passed();
            attempts.failed_after(late.clone(), address, Duration::ZERO, took);
            Err(attempts.into_late_error(late, host))
        }
    }
}

/// Connects to the first address that answers.
async fn connect_to_any(
    selector: &Arc<Shared>,
    host: &Address,
    resolving: Resolving<'_>,
    options: &Arc<OptionValues>,
    deadline: &Deadline,
) -> Result<Socket> {
    let begin = |address| Box::pin(attempt(selector, host, address, options)) as _;
    let timers = Arc::clone(&deadline.timers);
    let mut race = AddressRace::new(timers, deadline.began, resolving, begin);
    let racing = poll_fn(|cx| race.poll(cx));
    let racing = selector.closing().until_begun("connect", racing);
    match deadline.within(racing).await {
        Some(Ok(Some(socket))) => Ok(socket),
        Some(Ok(None)) => {
            let (attempts, unresolved) = race.into_failed();
            let error = attempts.into_error("connect", host, advice::on_connect);
            Err(match unresolved {
                Some(unresolved) => error.and_detail(&unresolved.to_string()),
                None => error,
            })
        }
        Some(Err(error)) => Err(error.or_address(|| Some(host.to_string()))),
        None => {
            let (has_no_address, attempts) = race.into_late();
            let so_far = "the name's look-up has no answer";
            let late = deadline.late(if has_no_address { so_far } else { "not connected" });
            Err(attempts.into_late_error(late, host))
        }
    }
}

/// The time at which connecting began, and its limit.
struct Deadline {
    timers: Arc<Timers>,
    began: Instant,
    limit: Duration,
}

impl Deadline {
    async fn within<F: Future>(&self, future: F) -> Option<F::Output> {
        within(Arc::clone(&self.timers), self.limit, future).await
    }

    fn passed(&self) -> Duration {
        self.timers.now().saturating_duration_since(self.began)
    }

    fn late(&self, so_far: &str) -> Error {
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
    let [local, remote] = ends(&io).map_err(failed)?.map(|end| end.unwrap_or(address));
    refuse_self(local, remote)?;
    // The system connects to this machine then, and its word is truer than the request's.
    let remote = if address.ip().is_unspecified() { remote } else { address };
    let parts = CoreParts {
        remote: SocketAddress::shown(remote),
        local: Arc::new(SocketAddress::shown(local)),
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

/// Returns the addresses of both ends, as the system knows them. A peer that has reset the connection by now has
/// none; the next call tells of the reset.
fn ends(io: &Descriptor) -> io::Result<[Option<SocketAddr>; 2]> {
    io.call(|fd| {
        let socket = SockRef::from(&fd);
        let remote = socket.peer_addr().ok().and_then(|remote| remote.as_socket());
        Ok([socket.local_addr()?.as_socket(), remote])
    })
}

/// Refuses a connection of a socket to itself. The ephemeral port of a socket may equal the port that it
/// connects to; TCP's simultaneous open (RFC 9293, section 3.5) then connects it to itself.
///
/// `remote` is the system's address of the peer. The one that was asked for may be another one: 0.0.0.0 stands for
/// this machine, and a zone for nothing if the address is valid everywhere.
fn refuse_self(local: SocketAddr, remote: SocketAddr) -> Result<()> {
    if (local.ip(), local.port()) == (remote.ip(), remote.port()) {
        return Err(Error::new(ErrorKind::Refused, "connect")
            .with_detail("no process listens there: the socket was connected to itself"));
    }
    Ok(())
}
