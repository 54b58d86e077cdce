//! Makes TCP sockets.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::{Error, Result};
use socket2::SockAddr;

use super::opening::open;
use super::{advice, connect};
use crate::boxed::boxed;
use crate::net::SocketAddress;
use crate::net::address::ToAddress;
use crate::net::attempts::Attempts;
use crate::net::descriptor::Descriptor;
#[cfg(unix)]
use crate::net::inherited::{BuilderParts, StreamBuilder, sealed};
use crate::net::opening::begin;
use crate::net::options::{KeepAlive, OptionValues, SocketRole, builder_setters, option_table};
use crate::net::protocol::Protocol;
use crate::net::resolve::resolve;
use crate::net::server::ServerSocket;
use crate::net::socket::Socket;
use crate::selector::{SelectorManager, Shared};

/// Makes TCP sockets: [`bind`](Self::bind) makes a listening one, [`connect`](Self::connect) a connected
/// one.
///
#[doc = option_table!(Tcp)]
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
#[derive(Clone)]
#[must_use = "a builder does nothing until `bind` or `connect`"]
pub struct TcpBuilder {
    selector: SelectorManager,
    options: Arc<OptionValues>,
}

impl SelectorManager {
    /// Returns a builder of TCP sockets.
    #[doc(alias = "aSocket")]
    pub fn tcp(&self) -> TcpBuilder {
        TcpBuilder { selector: self.clone(), options: Arc::default() }
    }
}

impl TcpBuilder {
    builder_setters!(Tcp);

    /// Listens at an address. With port 0 the system chooses a free port;
    /// [`local_address`](ServerSocket::local_address) returns it.
    ///
    /// A listener on `[::]` also accepts clients of IPv4, unless the system is set otherwise
    /// (`net.ipv6.bindv6only`, `ipv6(7)`; some BSDs never do). Their connections have IPv4 addresses on both
    /// sides, `192.0.2.1` and not `::ffff:192.0.2.1`. So the family of a connection is that of
    /// [`remote_address`](crate::Socket::remote_address), and the family of the listener that of its own
    /// [`local_address`](ServerSocket::local_address).
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
    pub fn bind(self, address: impl ToAddress) -> impl Future<Output = Result<ServerSocket>> {
        let address = address.to_address();
        boxed(async move {
            let (address, selector) = begin(&self.selector, "bind", || address).await?;
            let mut attempts = Attempts::default();
            for candidate in resolve(selector, "bind", &address).await? {
                match self.listen(selector, candidate) {
                    Ok(server) => return Ok(server),
                    Err(error) => attempts.failed(error, candidate),
                }
            }
            Err(attempts.into_error("bind", &address, advice::on_bind))
        })
    }

    fn listen(&self, selector: &Arc<Shared>, address: SocketAddr) -> Result<ServerSocket> {
        let failed = |error| Error::from_io("bind", error);
        let socket = open(selector, "bind", SocketRole::Listening, address, &self.options)?;
        socket.bind(&SockAddr::from(address)).map_err(failed)?;
        socket.listen(self.options.backlog()).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?.as_socket().unwrap_or(address);
        let local = SocketAddress::shown(local);
        let io = Descriptor::new(socket.into(), Arc::clone(selector));
        Ok(ServerSocket::new(io, local, Protocol::Tcp, Arc::clone(&self.options), None))
    }

    /// Connects to an address.
    ///
    /// An IP address is connected to as it is. A name is looked up once, for both families, and its addresses take part
    /// in a race (RFC 8305): one of the family that the resolver prefers first, then one of the other, and so on. An
    /// attempt has 250 ms to itself, and then the next one begins beside it; after an error the next one begins at
    /// once. The first that succeeds is returned, and the others are closed. So an address that is silent costs a
    /// quarter of a second, and broken IPv6 no more than that. A [`Resolver`](crate::Resolver) that answers in parts
    /// begins the race with its first part, or 50 ms after it if that has IPv4 alone.
    ///
    /// [`connect_timeout`](Self::connect_timeout) limits everything together. Each attempt takes one descriptor. If there
    /// is none left, the address waits until another attempt of the race has ended.
    ///
    /// # Errors
    ///
    /// - [`Refused`](crate::ErrorKind::Refused), [`Unreachable`](crate::ErrorKind::Unreachable), …: the
    ///   error of the last attempt, or of the last one that a peer has ended. Its message lists the attempts: their
    ///   number, the first four and the last. [`Error::attempts`](crate::Error::attempts) has all of them, with their
    ///   times. `Refused` also where the system would connect the socket to itself (RFC 9293, section 3.5).
    /// - [`TimedOut`](crate::ErrorKind::TimedOut): [`connect_timeout`](Self::connect_timeout) is over. The message tells
    ///   whether the look-up had an answer.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), [`NotFound`](crate::ErrorKind::NotFound),
    ///   [`LookUpFailed`](crate::ErrorKind::LookUpFailed), [`Closed`](crate::ErrorKind::Closed): as for
    ///   [`bind`](Self::bind).
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves no socket and no timer behind, and ends its look-up, unless another call shares
    /// it. (A call of the system's resolver that has begun ends on its thread.)
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:0").await?;
    ///     let socket = selector.tcp().connect(("localhost", server.port())).await?;
    ///     assert_eq!(socket.remote_address().port(), Some(server.port()));
    ///     socket.close().await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn connect(self, address: impl ToAddress) -> impl Future<Output = Result<Socket>> {
        let address = address.to_address();
        boxed(async move {
            let (address, selector) = begin(&self.selector, "connect", || address).await?;
            connect::connect(selector, &address, &self.options).await
        })
    }
}

#[cfg(unix)]
impl StreamBuilder for TcpBuilder {}

#[cfg(unix)]
impl sealed::IntoParts for TcpBuilder {
    fn into_parts(self) -> BuilderParts {
        let Self { selector, options } = self;
        BuilderParts { selector, options, protocol: Protocol::Tcp }
    }
}

impl fmt::Debug for TcpBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("TcpBuilder");
        self.options.fmt_fields(Protocol::Tcp, fields.field("selector", &self.selector));
        fields.finish()
    }
}
