//! Makes Unix datagram sockets.

use std::fmt;
use std::sync::Arc;

use forebay_io::{Error, Result};
use rustix::fd::OwnedFd;
use socket2::{SockAddr, SockRef};

use super::bound::BoundUnixDatagramSocket;
use super::connected::ConnectedUnixDatagramSocket;
use super::core::{Ends, UnixDatagramCore};
use crate::boxed::boxed;
use crate::net::address::{ToUnixAddress, UnixAddress};
use crate::net::inherited::NotTaken;
use crate::net::opening::begin;
use crate::net::options::{OptionValues, SocketRole, builder_setters, option_table};
use crate::net::protocol::Protocol;
use crate::net::system;
use crate::net::unix::advice;
use crate::net::unix::builder::{Binding, UnixBuilder};
use crate::selector::SelectorManager;

/// The largest datagram that is received whole, unless it is set: more than Linux sends by default.
const DATAGRAM_BYTES_MAX: u32 = 256 * 1024;

/// Makes Unix datagram sockets (`unix(7)`): [`bind`](Self::bind) makes one for any peer,
/// [`connect`](Self::connect) one for a single peer.
///
#[doc = option_table!(UnixDatagram)]
///
/// An option that cannot be set fails the call with an error that names it.
#[derive(Clone)]
#[must_use = "a builder does nothing until `bind` or `connect`"]
pub struct UnixDatagramBuilder {
    selector: SelectorManager,
    options: Arc<OptionValues>,
    local: Option<Result<UnixAddress>>,
    datagram_bytes_max: u32,
}

impl UnixBuilder {
    /// Returns a builder of Unix datagram sockets. The options of this builder are those of streams, and are
    /// left behind.
    pub fn datagram(self) -> UnixDatagramBuilder {
        UnixDatagramBuilder {
            selector: self.selector,
            options: Arc::default(),
            local: None,
            datagram_bytes_max: DATAGRAM_BYTES_MAX,
        }
    }
}

impl UnixDatagramBuilder {
    builder_setters!(UnixDatagram);

    /// Sets the largest datagram that is received whole, in bytes. What a longer one has behind that is discarded,
    /// and the datagram is marked as [`truncated`](crate::UnixDatagram::truncated). Default: 256 KiB, which is more
    /// than Linux sends unless it is set otherwise (`net.core.wmem_default`). Each thread that receives has one
    /// buffer of this size.
    pub fn max_datagram(mut self, bytes: u32) -> Self {
        self.datagram_bytes_max = bytes;
        self
    }

    /// Sets the path or name that [`connect`](Self::connect) binds the socket to, so that the peer can answer. The
    /// options of [`bind`](Self::bind) hold for it. Default: none.
    pub fn local_address(mut self, local: impl ToUnixAddress) -> Self {
        self.local = Some(local.to_unix_address());
        self
    }

    /// Makes a socket that receives what is sent to a path or an abstract name. The path is removed when the socket is
    /// closed or dropped, if it is still the file that was made here.
    ///
    /// # Errors
    ///
    /// Those of [`UnixBuilder::bind`](crate::UnixBuilder::bind).
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves neither socket nor path behind.
    ///
    /// # Platform
    ///
    /// Outside Linux, other users may send to a path before its [`mode`](Self::mode) is set.
    pub fn bind(
        self,
        address: impl ToUnixAddress,
    ) -> impl Future<Output = Result<BoundUnixDatagramSocket>> {
        let address = address.to_unix_address();
        boxed(async move {
            let core = self.open("bind", Some(address), None).await?;
            Ok(BoundUnixDatagramSocket::new(core))
        })
    }

    /// Makes a socket with one peer, which must be there. Only the peer can send to it.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound), [`Refused`](crate::ErrorKind::Refused): there is no such path or
    ///   name, or no socket is open there.
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied): the path may not be written to, or the socket
    ///   there has another peer.
    /// - Those of [`bind`](Self::bind), for [`local_address`](Self::local_address).
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves neither socket nor path behind.
    pub fn connect(
        mut self,
        remote: impl ToUnixAddress,
    ) -> impl Future<Output = Result<ConnectedUnixDatagramSocket>> {
        let remote = remote.to_unix_address();
        boxed(async move {
            let local = self.local.take();
            let core = self.open("connect", local, Some(remote)).await?;
            Ok(ConnectedUnixDatagramSocket::new(core))
        })
    }

    async fn open(
        self,
        operation: &'static str,
        local: Option<Result<UnixAddress>>,
        remote: Option<Result<UnixAddress>>,
    ) -> Result<Arc<UnixDatagramCore>> {
        let (local, remote) = (local.transpose()?, remote.transpose()?);
        let of_call = remote.as_ref().or(local.as_ref());
        let named = || Ok(of_call.cloned().unwrap_or(UnixAddress::Unnamed));
        let (_, selector) = begin(&self.selector, operation, named).await?;
        // Whatever the directory of the process is when the peer is connected to again.
        let remote = remote.map(UnixAddress::independent_of_directory);
        let peer = remote.as_ref().map(UnixAddress::to_system).transpose()?;
        let shown =
            local.clone().map_or(UnixAddress::Unnamed, UnixAddress::independent_of_directory);
        let (socket, path) = if let Some(address) = local {
            let failed = {
                let address = address.clone();
                move |error| advice::on_bind(error, &address)
            };
            let (system, options) = (address.to_system()?, Arc::clone(&self.options));
            let binding = Binding { address, system, options, protocol: Protocol::UnixDatagram };
            binding.bind_on(selector).await.map_err(failed)?
        } else {
            let failed = |error| Error::from_io(operation, error);
            let opened = system::or_after_ending_one(selector, system::unix_datagram_socket);
            let socket = opened.map_err(failed)?;
            let role = SocketRole::Connected;
            self.options.apply(Protocol::UnixDatagram, role, &(&socket).into())?;
            (socket, None)
        };
        if let (Some(peer), Some(remote)) = (&peer, &remote) {
            let failed = |error| advice::on_connect(Error::from_io("connect", error), remote);
            socket.connect(peer).map_err(failed)?;
        }
        let ends = Ends {
            local: shown,
            remote: remote.map(|remote| (remote, peer)),
            datagram_bytes_max: self.datagram_bytes_max as usize,
            options: self.options,
        };
        Ok(UnixDatagramCore::new(selector, (socket.into(), path), ends, false))
    }
}

impl UnixDatagramBuilder {
    /// Makes a socket of one that another program has opened.
    pub(in crate::net) fn inherit(
        self,
        operation: &'static str,
        fd: OwnedFd,
    ) -> std::result::Result<Arc<UnixDatagramCore>, NotTaken> {
        match self.prepare_inherited(operation, &SockRef::from(&fd)) {
            Ok(ends) => Ok(UnixDatagramCore::new(self.selector.shared(), (fd, None), ends, true)),
            Err(error) => Err(NotTaken { fd, error }),
        }
    }

    fn prepare_inherited(&self, operation: &'static str, socket: &SockRef<'_>) -> Result<Ends> {
        self.selector.shared().check_open(operation)?;
        let failed = |error| Error::from_io(operation, error);
        let named =
            |address: &SockAddr| UnixAddress::from_system(address).unwrap_or(UnixAddress::Unnamed);
        let local = socket.local_addr().map_err(failed)?;
        // A peer without a name cannot be connected to again.
        let remote = socket.peer_addr().ok().map(|peer| {
            let address = named(&peer);
            let again = (address != UnixAddress::Unnamed).then_some(peer);
            (address, again)
        });
        let role = if remote.is_some() { SocketRole::Connected } else { SocketRole::Bound };
        self.options.apply(Protocol::UnixDatagram, role, socket)?;
        Ok(Ends {
            local: named(&local),
            remote,
            datagram_bytes_max: self.datagram_bytes_max as usize,
            options: Arc::clone(&self.options),
        })
    }
}

impl fmt::Debug for UnixDatagramBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("UnixDatagramBuilder");
        fields.field("selector", &self.selector).field("local_address", &self.local);
        self.options.fmt_fields(Protocol::UnixDatagram, &mut fields);
        fields.field("max_datagram", &self.datagram_bytes_max);
        fields.finish()
    }
}
