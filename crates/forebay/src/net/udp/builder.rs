//! Makes UDP sockets.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use forebay_io::{Error, Result};
#[cfg(unix)]
use rustix::fd::OwnedFd;
use socket2::SockAddr;

use super::bound::BoundDatagramSocket;
use super::connected::ConnectedDatagramSocket;
use super::core::{DatagramCore, Reception};
use crate::boxed::boxed;
use crate::net::address::{Address, ToAddress};
use crate::net::attempts::Attempts;
#[cfg(unix)]
use crate::net::inherited::NotTaken;
use crate::net::opening::begin;
use crate::net::options::{OptionValues, SocketRole, builder_setters, option_table};
use crate::net::protocol::Protocol;
use crate::net::resolve::resolve;
use crate::net::system;
use crate::net::udp::MulticastInterface;
use crate::selector::{SelectorManager, Shared};

/// Makes UDP sockets (`udp(7)`): [`bind`](Self::bind) makes one for any peer, [`connect`](Self::connect) one for
/// a single peer.
///
#[doc = option_table!(Udp)]
///
/// An option that cannot be set fails the call with an error that names it.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let server = selector.udp().receive_buffer_size(1 << 20).bind(("127.0.0.1", 0)).await?;
///     let client = selector.udp().connect(server.local_address()).await?;
///     client.send([1, 2, 3]).await?;
///     assert_eq!(server.receive().await?.address, client.local_address());
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `bind` or `connect`"]
pub struct UdpBuilder {
    selector: SelectorManager,
    options: Arc<OptionValues>,
    local: Option<SocketAddr>,
}

impl SelectorManager {
    /// Returns a builder of UDP sockets.
    #[doc(alias = "aSocket")]
    pub fn udp(&self) -> UdpBuilder {
        UdpBuilder { selector: self.clone(), options: Arc::default(), local: None }
    }
}

impl UdpBuilder {
    builder_setters!(Udp);

    /// Sets the address that [`connect`](Self::connect) sends from. Default: the system chooses by the route.
    pub fn local_address(mut self, local: SocketAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// Makes a socket that receives what is sent to an address. With port 0 the system chooses a free port;
    /// [`local_address`](BoundDatagramSocket::local_address) returns it.
    ///
    /// A socket on `[::]` also receives from IPv4, unless the system is set otherwise
    /// (`net.ipv6.bindv6only`, `ipv6(7)`).
    ///
    /// # Errors
    ///
    /// Those of [`TcpBuilder::bind`](crate::TcpBuilder::bind).
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves no socket behind.
    pub fn bind(
        self,
        address: impl ToAddress,
    ) -> impl Future<Output = Result<BoundDatagramSocket>> {
        let address = address.to_address();
        boxed(async move {
            let open = |selector: &Arc<Shared>, at| self.open(selector, "bind", at, None);
            let core = self.first_of("bind", || address, open).await?;
            Ok(BoundDatagramSocket::new(core))
        })
    }

    /// Makes a socket with one peer (`connect(2)` on a datagram socket). Nothing is sent: that there is no such
    /// peer shows when something is. Nothing is received from another address, not even what has arrived there before
    /// the socket was connected.
    ///
    /// # Errors
    ///
    /// Those of [`TcpBuilder::bind`](crate::TcpBuilder::bind), and [`Unreachable`](crate::ErrorKind::Unreachable)
    /// if there is no route.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves no socket behind.
    pub fn connect(
        self,
        remote: impl ToAddress,
    ) -> impl Future<Output = Result<ConnectedDatagramSocket>> {
        let remote = remote.to_address();
        boxed(async move {
            let open = |selector: &Arc<Shared>, to: SocketAddr| {
                let any = if to.is_ipv4() {
                    (Ipv4Addr::UNSPECIFIED, 0).into()
                } else {
                    (Ipv6Addr::UNSPECIFIED, 0).into()
                };
                self.open(selector, "connect", self.local.unwrap_or(any), Some(to))
            };
            let core = self.first_of("connect", || remote, open).await?;
            Ok(ConnectedDatagramSocket::new(core))
        })
    }

    /// Opens a socket at the first address of a host at which that succeeds.
    async fn first_of(
        &self,
        operation: &'static str,
        parse: impl FnOnce() -> Result<Address>,
        open: impl Fn(&Arc<Shared>, SocketAddr) -> Result<Arc<DatagramCore>>,
    ) -> Result<Arc<DatagramCore>> {
        let (address, selector) = begin(&self.selector, operation, parse).await?;
        let mut attempts = Attempts::default();
        for candidate in resolve(selector, operation, &address).await? {
            match open(selector, candidate) {
                Ok(core) => return Ok(core),
                Err(error) => attempts.failed(error, candidate),
            }
        }
        Err(attempts.into_error(operation, &address, |_, _| None))
    }

    fn open(
        &self,
        selector: &Arc<Shared>,
        operation: &'static str,
        local: SocketAddr,
        remote: Option<SocketAddr>,
    ) -> Result<Arc<DatagramCore>> {
        let failed = |error: io::Error| Error::from_io(operation, error);
        let open = || system::datagram_socket(local);
        let socket = system::or_after_ending_one(selector, open).map_err(failed)?;
        let role = if remote.is_some() { SocketRole::Connected } else { SocketRole::Bound };
        system::only_joined_groups(&socket);
        let mut reception = Reception::begin(&socket).map_err(failed)?;
        self.options.apply(Protocol::Udp, role, &(&socket).into())?;
        reception.choose(&socket, (local, remote), &self.options);
        socket.bind(&SockAddr::from(local)).map_err(failed)?;
        if let Some(remote) = remote {
            socket.connect(&SockAddr::from(remote)).map_err(failed)?;
        }
        let local = socket.local_addr().map_err(failed)?.as_socket().unwrap_or(local);
        // As the system has it: connecting to `0.0.0.0` is connecting to this machine.
        let peer = || socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        let remote = remote.map(|remote| peer().unwrap_or(remote));
        Ok(DatagramCore::new(selector, socket, reception, (local, remote), &self.options))
    }

    /// Makes a socket of one that another program has opened.
    #[cfg(unix)]
    pub(in crate::net) fn inherit(
        self,
        operation: &'static str,
        fd: OwnedFd,
    ) -> std::result::Result<Arc<DatagramCore>, NotTaken> {
        let socket = socket2::Socket::from(fd);
        match self.prepare_inherited(operation, &socket) {
            Ok((reception, ends)) => {
                let selector = self.selector.shared();
                Ok(DatagramCore::new(selector, socket, reception, ends, &self.options))
            }
            Err(error) => Err(NotTaken { fd: socket.into(), error }),
        }
    }

    #[cfg(unix)]
    fn prepare_inherited(
        &self,
        operation: &'static str,
        socket: &socket2::Socket,
    ) -> Result<(Reception, (SocketAddr, Option<SocketAddr>))> {
        let selector = self.selector.shared();
        selector.check_open(operation)?;
        let failed = |error: io::Error| Error::from_io(operation, error);
        let local = socket.local_addr().map_err(failed)?.as_socket();
        let local = local.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
        let remote = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        let role = if remote.is_some() { SocketRole::Connected } else { SocketRole::Bound };
        self.options.apply(Protocol::Udp, role, &socket.into())?;
        let prepare = || Reception::of_shared(socket);
        let reception = system::or_after_ending_one(selector, prepare).map_err(failed)?;
        Ok((reception, (local, remote)))
    }
}

impl fmt::Debug for UdpBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("UdpBuilder");
        fields.field("selector", &self.selector).field("local_address", &self.local);
        self.options.fmt_fields(Protocol::Udp, &mut fields);
        fields.finish()
    }
}
