//! Connecting, address by address.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use socket2::{SockAddr, SockRef};

use super::address::Address;
use super::descriptor::{Descriptor, Waits};
use super::options::{ConnectionOptions, StreamOptions, named};
use super::resolve::resolve;
use super::socket::{CoreParts, Link, Protocol, Socket, Stream};
use super::system;
use crate::host::{Direction, Progress};
use crate::selector::Shared;

/// What a connection is made with.
pub(super) struct Wanted {
    pub(super) reuse_address: Option<bool>,
    pub(super) stream: StreamOptions,
    pub(super) connection: Arc<ConnectionOptions>,
    /// The name that is connected to, if it is one.
    pub(super) host_name: Option<Box<str>>,
}

/// Tries the address's candidates in order.
pub(super) async fn connect(
    selector: &Arc<Shared>,
    address: &Address,
    wanted: &Wanted,
) -> Result<Socket> {
    let resolving = resolve(selector.own_calls(), address);
    let candidates = selector.until_closing("connect", resolving).await?;
    let only = candidates.len() == 1;
    let mut failed = Vec::new();
    for candidate in candidates {
        match attempt(selector, candidate, wanted).await {
            Ok(socket) => return Ok(socket),
            Err(error) if error.is_closed() => return Err(error),
            Err(error) => failed.push(error.with_address(candidate)),
        }
    }
    let Some(last) = failed.pop() else {
        return Err(Error::new(ErrorKind::NotFound, "connect").with_address(address));
    };
    if only {
        return Err(last);
    }
    failed.push(last.clone());
    let attempts: Vec<_> = failed.iter().map(ToString::to_string).collect();
    Err(last.with_address(address).with_detail(attempts.join("; ")))
}

async fn attempt(selector: &Arc<Shared>, address: SocketAddr, wanted: &Wanted) -> Result<Socket> {
    let failed = |error| Error::from_io("connect", error);
    let open = || system::stream_socket(address);
    let socket = system::or_after_ending_one(selector, open).map_err(failed)?;
    if let Some(reuse) = wanted.reuse_address {
        named("reuse_address", socket.set_reuse_address(reuse))?;
    }
    wanted.stream.apply(&(&socket).into())?;
    let begun = socket.connect(&SockAddr::from(address));
    let io = Descriptor::new(socket.into(), Arc::clone(selector));
    match begun {
        Ok(()) => {}
        Err(error) if is_in_progress(&error) => {
            poll_fn(|cx| io.poll_io(cx, Direction::Write, Waits::User, is_connected))
                .await
                .map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    refuse_self(&io, address)?;
    let local = io.call(|fd| SockRef::from(&fd).local_addr()).map_err(failed)?;
    let parts = CoreParts {
        remote: address.into(),
        local: local.as_socket().unwrap_or(address).into(),
        options: Arc::clone(&wanted.connection),
        host_name: wanted.host_name.clone(),
    };
    selector.counters().connected.add(1);
    Ok(Socket::new(Link::Kernel(Stream { io, protocol: Protocol::Tcp }), parts))
}

/// A signal during `connect` leaves it going on in the background, as `EINPROGRESS` does
/// (`connect(2)`).
fn is_in_progress(error: &io::Error) -> bool {
    let in_progress = rustix::io::Errno::INPROGRESS.raw_os_error();
    error.raw_os_error() == Some(in_progress)
        || matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// Whether the connection stands; an error if it has failed.
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

/// An ephemeral port may turn out to be the very port that is connected to; TCP's simultaneous
/// open (RFC 9293, section 3.5) then connects the socket to itself.
fn refuse_self(io: &Descriptor, remote: SocketAddr) -> Result<()> {
    let local = io.call(|fd| SockRef::from(&fd).local_addr());
    if local.is_ok_and(|local| local.as_socket() == Some(remote)) {
        return Err(Error::new(ErrorKind::Refused, "connect")
            .with_detail("nobody listens there: the socket was connected to itself"));
    }
    Ok(())
}
