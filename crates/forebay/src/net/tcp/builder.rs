//! Makes TCP sockets.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::seam::poll_answer;
use forebay_io::{Error, Result};
use socket2::SockAddr;

use super::attempts::Attempts;
use super::connect;
use crate::net::address::ToAddress;
use crate::net::descriptor::Descriptor;
use crate::net::options::{ConnectionOptions, KeepAlive, StreamOptions, connection_setters, named};
use crate::net::resolve::resolve;
use crate::net::server::{Accepted, ServerSocket};
use crate::net::socket::Socket;
use crate::net::system;
use crate::selector::{SelectorManager, Shared};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 511;
/// Limits the whole time of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes TCP sockets: [`bind`](Self::bind) makes a listening one, [`connect`](Self::connect) a connected
/// one.
///
/// | option | default |
/// |---|---|
/// | [`backlog`](Self::backlog) | 511 |
/// | [`connect_timeout`](Self::connect_timeout) | 10 s |
/// | [`drain_timeout`](Self::drain_timeout), [`drain_limit`](Self::drain_limit) | the selector's: 10 s, 64 KiB |
/// | [`idle_timeout`](Self::idle_timeout) | none |
/// | [`keep_alive`](Self::keep_alive) | 60 s, 15 s, 8 |
/// | [`no_delay`](Self::no_delay) | on |
/// | [`read_timeout`](Self::read_timeout), [`write_timeout`](Self::write_timeout) | none |
/// | [`reuse_address`](Self::reuse_address) | on for listeners on Unix |
///
/// An option that cannot be set fails the call with an error that names it. The options of a listener apply
/// to every socket that it accepts.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let server = selector.tcp().backlog(64).bind(("127.0.0.1", 0)).await?;
///     let socket = selector.tcp().no_delay(false).connect(server.local_address()).await?;
///     socket.close().await
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `bind` or `connect`"]
pub struct TcpBuilder {
    selector: SelectorManager,
    backlog: u32,
    connect_timeout: Duration,
    reuse_address: Option<bool>,
    stream: StreamOptions,
    connection: ConnectionOptions,
}

impl SelectorManager {
    /// Returns a builder of TCP sockets.
    #[doc(alias = "aSocket")]
    pub fn tcp(&self) -> TcpBuilder {
        TcpBuilder {
            selector: self.clone(),
            backlog: BACKLOG,
            connect_timeout: CONNECT_TIMEOUT,
            reuse_address: None,
            stream: StreamOptions::default(),
            connection: ConnectionOptions::default(),
        }
    }
}

impl TcpBuilder {
    connection_setters!();

    /// Sets how many connections may wait to be accepted (`listen(2)`). The system may lower it.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Sets the limit on connecting as a whole: the look-up of the name and every address that is tried.
    /// Each address gets an equal share of the time that is left: of two addresses, a silent first one
    /// leaves half of the time to the second.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how an idle connection is probed. `None` turns probing off.
    pub fn keep_alive(mut self, keep_alive: impl Into<Option<KeepAlive>>) -> Self {
        self.stream.keep_alive = keep_alive.into();
        self
    }

    /// Sets whether small segments are sent at once (`TCP_NODELAY`, `tcp(7)`). The bytes written in one
    /// turn leave as one segment in any case.
    pub fn no_delay(mut self, no_delay: bool) -> Self {
        self.stream.no_delay = no_delay;
        self
    }

    /// Sets whether a local address may be bound while connections of an earlier socket are still in
    /// TIME-WAIT (`SO_REUSEADDR`, `socket(7)`).
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = Some(reuse);
        self
    }

    /// Listens at an address. With port 0 the system chooses a free port;
    /// [`local_address`](ServerSocket::local_address) returns it.
    ///
    /// # Errors
    ///
    /// - [`AddressInUse`](crate::ErrorKind::AddressInUse),
    ///   [`AddressNotAvailable`](crate::ErrorKind::AddressNotAvailable),
    ///   [`PermissionDenied`](crate::ErrorKind::PermissionDenied): the error names the address.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput): the address does not parse;
    ///   [`NotFound`](crate::ErrorKind::NotFound): the name does not exist, or has no address;
    ///   [`LookUpFailed`](crate::ErrorKind::LookUpFailed): its name servers failed or did not answer.
    /// - [`Closed`](crate::ErrorKind::Closed): the selector is closed.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves no socket behind.
    pub async fn bind(self, address: impl ToAddress) -> Result<ServerSocket> {
        // With an IP address this call never waits by itself, so a loop over it would starve other tasks.
        poll_fn(|cx| poll_answer(cx)).await;
        let address = address.to_address()?;
        let selector = self.selector.shared();
        selector.check_open("bind")?;
        let mut attempts = Attempts::default();
        let resolving = resolve(selector.own_calls(), &address);
        for candidate in selector.closing().until_begun("bind", resolving).await? {
            match self.listen(selector, candidate) {
                Ok(server) => return Ok(server),
                Err(error) => attempts.failed(error, candidate),
            }
        }
        Err(attempts.into_error("bind", &address))
    }

    fn listen(
        &self,
        selector: &Arc<Shared>,
        address: std::net::SocketAddr,
    ) -> Result<ServerSocket> {
        let failed = |error| Error::from_io("bind", error);
        let socket = system::stream_socket(address).map_err(failed)?;
        let reuse = self.reuse_address.unwrap_or(cfg!(unix));
        named("reuse_address", socket.set_reuse_address(reuse))?;
        self.stream.apply(&(&socket).into())?;
        socket.bind(&SockAddr::from(address)).map_err(failed)?;
        // The system caps larger numbers anyway.
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX)).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?.as_socket().unwrap_or(address);
        let accepted = Accepted::Tcp(self.stream);
        let connection = Arc::new(self.connection);
        let io = Descriptor::new(socket.into(), Arc::clone(selector));
        Ok(ServerSocket::new(io, local.into(), accepted, connection, None))
    }

    /// Connects to an address. The addresses of a name are tried one after the other, in the order of the
    /// system's preference (RFC 6724), and share [`connect_timeout`](Self::connect_timeout).
    ///
    /// # Errors
    ///
    /// - [`Refused`](crate::ErrorKind::Refused), [`Unreachable`](crate::ErrorKind::Unreachable), …: the
    ///   error of the last address. Its message lists the attempts: their number, the first four and the
    ///   last.
    /// - [`TimedOut`](crate::ErrorKind::TimedOut): the look-up took all of
    ///   [`connect_timeout`](Self::connect_timeout), or the last address all of its share.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), [`NotFound`](crate::ErrorKind::NotFound),
    ///   [`LookUpFailed`](crate::ErrorKind::LookUpFailed), [`Closed`](crate::ErrorKind::Closed): as for
    ///   [`bind`](Self::bind).
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves no socket behind.
    pub async fn connect(self, address: impl ToAddress) -> Result<Socket> {
        // With an IP address this call may never wait by itself, so a loop over it would starve other
        // tasks.
        poll_fn(|cx| poll_answer(cx)).await;
        let address = address.to_address()?;
        let selector = self.selector.shared();
        selector.check_open("connect")?;
        let wanted = connect::ConnectSettings {
            reuse_address: self.reuse_address,
            stream: self.stream,
            connection: Arc::new(self.connection),
            host_name: address.host_name().map(Into::into),
        };
        connect::connect(selector, &address, &wanted, self.connect_timeout).await
    }
}
