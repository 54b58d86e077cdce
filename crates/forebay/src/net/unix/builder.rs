//! Makes Unix sockets.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::{Error, ErrorKind, Result};
use socket2::{SockAddr, Socket as SystemSocket};

use super::advice;
use super::path::{self, OwnPath};
use crate::boxed::boxed;
use crate::net::SocketAddress;
use crate::net::address::{ToUnixAddress, UnixAddress};
use crate::net::descriptor::Descriptor;
use crate::net::inherited::{BuilderParts, StreamBuilder, sealed};
use crate::net::opening::begin;
use crate::net::options::{OptionValues, SocketRole, builder_setters, option_table};
use crate::net::protocol::Protocol;
use crate::net::server::ServerSocket;
use crate::net::socket::{CoreParts, PendingTls, Socket};
use crate::net::system;
use crate::selector::{SelectorManager, Shared};
use crate::task;
use crate::time::Backoff;

/// The pauses while the server's backlog is full, or a directory locked.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(50));

/// Makes Unix sockets (`unix(7)`): [`bind`](Self::bind) makes a listening one, [`connect`](Self::connect) a
/// connected one, and [`datagram`](Self::datagram) a builder of those that carry datagrams.
///
#[doc = option_table!(Unix)]
///
/// # Examples
///
/// ```
/// # let directory = std::env::temp_dir().join(format!("forebay-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory).unwrap();
/// # let path = directory.join("greeter.sock");
/// forebay::run(async |selector| {
///     let server = selector.unix().mode(0o600).replace_stale().bind(&path).await?;
///     let mut client = selector.unix().connect(&path).await?.connection()?;
///     let accepted = server.accept().await?;
///     accepted.open_write_channel()?.write_str("hello\n").await?;
///     assert_eq!(client.input.read_line().await?.as_deref(), Some("hello"));
///     forebay::Result::Ok(())
/// })?;
/// assert!(!path.exists());
/// # std::fs::remove_dir(&directory).unwrap();
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `bind` or `connect`"]
pub struct UnixBuilder {
    pub(super) selector: SelectorManager,
    options: Arc<OptionValues>,
}

impl SelectorManager {
    /// Returns a builder of Unix sockets.
    ///
    /// # Platform
    ///
    /// Unix.
    #[doc(alias = "aSocket")]
    pub fn unix(&self) -> UnixBuilder {
        UnixBuilder { selector: self.clone(), options: Arc::default() }
    }
}

impl UnixBuilder {
    builder_setters!(Unix);

    /// Listens at a path or an abstract name. The path is removed when the listener is closed or dropped,
    /// if it is still the file that was made here.
    ///
    /// A relative path counts from the current directory of this moment. Addresses of the listener and its
    /// connections show the absolute path, so they stay right when the process changes its directory; except
    /// where the absolute path is longer than the system's address: there they show the path as it was given.
    ///
    /// # Errors
    ///
    /// - [`AddressInUse`](ErrorKind::AddressInUse): the path exists.
    /// - [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied): the
    ///   directory does not exist, or may not be written to.
    /// - [`InvalidInput`](ErrorKind::InvalidInput): the path is empty, longer than 107 bytes (103 outside
    ///   Linux) or holds a NUL, which is checked before any system call; or a mode is given for an abstract
    ///   name.
    /// - [`Unsupported`](ErrorKind::Unsupported): an abstract name outside Linux.
    /// - [`Closed`](ErrorKind::Closed): the selector is closed.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves neither socket nor path behind.
    pub fn bind(self, address: impl ToUnixAddress) -> impl Future<Output = Result<ServerSocket>> {
        let address = address.to_unix_address();
        boxed(async move {
            let (address, selector) = begin(&self.selector, "bind", || address).await?;
            let system = address.to_system()?;
            let failed = {
                let address = address.clone();
                move |error| advice::on_bind(error, &address)
            };
            let binding = Binding {
                address: address.clone(),
                system,
                options: Arc::clone(&self.options),
                protocol: Protocol::Unix,
            };
            let (socket, path) = binding.bind_on(selector).await.map_err(failed)?;
            let io = Descriptor::new(socket.into(), Arc::clone(selector));
            let local = address.independent_of_directory().into();
            Ok(ServerSocket::new(io, local, Protocol::Unix, self.options, path))
        })
    }

    /// Connects to a path or an abstract name.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound): there is no such path; [`Refused`](ErrorKind::Refused): no
    ///   process listens there.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied): the path, or a directory on the way to it, may
    ///   not be used.
    /// - [`TimedOut`](ErrorKind::TimedOut): the server's backlog was full for all of
    ///   [`connect_timeout`](Self::connect_timeout).
    /// - [`InvalidInput`](ErrorKind::InvalidInput), [`Unsupported`](ErrorKind::Unsupported),
    ///   [`Closed`](ErrorKind::Closed): as for [`bind`](Self::bind).
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call leaves no socket behind.
    pub fn connect(self, address: impl ToUnixAddress) -> impl Future<Output = Result<Socket>> {
        let address = address.to_unix_address();
        boxed(async move {
            let (address, selector) = begin(&self.selector, "connect", || address).await?;
            let system = address.to_system()?;
            let limit = self.options.connect_timeout;
            let attempts = attempts(selector, &system, &self.options);
            let connected = match self.selector.within(limit, attempts).await {
                Some(outcome) => outcome,
                None => Err(Error::new(ErrorKind::TimedOut, "connect").with_detail(format!(
                    "the server's backlog was full for {limit:?} (connect_timeout sets this)"
                ))),
            };
            let socket = connected.map_err(|error| advice::on_connect(error, &address))?;
            let io = Descriptor::new(socket.into(), Arc::clone(selector));
            let parts = CoreParts {
                remote: address.independent_of_directory().into(),
                local: Arc::new(SocketAddress::Unix(UnixAddress::Unnamed)),
                options: self.options,
                host_name: None,
            };
            selector.sockets().counters.connected.add(1);
            Ok(Socket::over(
                io,
                Protocol::Unix,
                SocketRole::Connected,
                parts,
                PendingTls::default(),
            ))
        })
    }
}

impl StreamBuilder for UnixBuilder {}

impl sealed::IntoParts for UnixBuilder {
    fn into_parts(self) -> BuilderParts {
        let Self { selector, options } = self;
        BuilderParts { selector, options, protocol: Protocol::Unix }
    }
}

impl fmt::Debug for UnixBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("UnixBuilder");
        self.options.fmt_fields(Protocol::Unix, fields.field("selector", &self.selector));
        fields.finish()
    }
}

/// Tries to connect until it succeeds or is refused. A Unix socket does not connect in the background:
/// while the backlog is full the call fails with `EAGAIN`, and no event tells that there is room
/// (`connect(2)`).
async fn attempts(
    selector: &Arc<Shared>,
    address: &SockAddr,
    options: &OptionValues,
) -> Result<SystemSocket> {
    let failed = |error| Error::from_io("connect", error);
    let socket =
        system::or_after_ending_one(selector, system::unix_stream_socket).map_err(failed)?;
    options.apply(Protocol::Unix, SocketRole::Connected, &(&socket).into())?;
    let mut pauses = PAUSES;
    loop {
        match socket.connect(address) {
            Ok(()) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                selector.sleep(pauses.next_pause()).await;
                selector.check_open("connect")?;
            }
            // Unlike a TCP socket, nothing goes on in the background: try again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Binds while no other server of forebay does so in this directory. Another program may hold the lock
/// for as long as it likes, so the lock is tried repeatedly: to wait for it would occupy a thread that
/// other calls need.
async fn bind_alone(
    selector: &Arc<Shared>,
    binding: Binding,
) -> Result<(SystemSocket, Option<OwnPath>)> {
    let binding = Arc::new(binding);
    let mut pauses = PAUSES;
    loop {
        let binding = Arc::clone(&binding);
        let attempt = move || binding.bind_if_alone();
        let attempt = task::run_blocking(selector.own_calls(), "bind", attempt);
        if let Some(made) = selector.closing().until_begun("bind", attempt).await?? {
            return Ok(made);
        }
        selector.sleep(pauses.next_pause()).await;
        selector.check_open("bind")?;
    }
}

/// The address to bind to, and the settings.
pub(super) struct Binding {
    pub(super) address: UnixAddress,
    pub(super) system: SockAddr,
    pub(super) options: Arc<OptionValues>,
    /// A socket of datagrams does not listen.
    pub(super) protocol: Protocol,
}

impl Binding {
    /// Binds, and listens if that is what the socket is for.
    pub(super) async fn bind_on(
        self,
        selector: &Arc<Shared>,
    ) -> Result<(SystemSocket, Option<OwnPath>)> {
        if self.options.replace_stale { bind_alone(selector, self).await } else { self.bind() }
    }

    /// Binds while the directory is locked by this call; `None` if another one has locked it.
    fn bind_if_alone(&self) -> Result<Option<(SystemSocket, Option<OwnPath>)>> {
        let Some(path) = self.address.as_path() else {
            return self.bind_to_name().map(Some);
        };
        match path::lock_directory(path)? {
            Some(_lock) => self.bind().map(Some),
            None => Ok(None),
        }
    }

    fn bind(&self) -> Result<(SystemSocket, Option<OwnPath>)> {
        let Some(path) = self.address.as_path() else {
            return self.bind_to_name();
        };
        let socket = self.open()?;
        match socket.bind(&self.system) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && self.options.replace_stale =>
            {
                path::remove_stale(path, &self.system, || self.make())?;
                socket.bind(&self.system).map_err(bind_failed)?;
            }
            bound => bound.map_err(bind_failed)?,
        }
        let own = OwnPath::of(path).map_err(bind_failed)?;
        if let Some(mode) = self.options.mode {
            // No process can connect before `listen`, so the earlier mode admits none. To a socket of datagrams
            // one can, but on Linux the earlier mode is this one without the umask, and admits no more.
            path::set_mode(path, mode)?;
        }
        self.listen(&socket)?;
        Ok((socket, Some(own)))
    }

    fn bind_to_name(&self) -> Result<(SystemSocket, Option<OwnPath>)> {
        if self.options.mode.is_some() {
            let detail = "an abstract name has no permissions; check peer_credentials instead";
            return Err(Error::new(ErrorKind::InvalidInput, "mode").with_detail(detail));
        }
        let socket = self.open()?;
        socket.bind(&self.system).map_err(bind_failed)?;
        self.listen(&socket)?;
        Ok((socket, None))
    }

    fn listen(&self, socket: &SystemSocket) -> Result<()> {
        match self.protocol {
            Protocol::UnixDatagram => Ok(()),
            _ => socket.listen(self.options.backlog()).map_err(bind_failed),
        }
    }

    fn make(&self) -> io::Result<SystemSocket> {
        match self.protocol {
            Protocol::UnixDatagram => system::unix_datagram_socket(),
            _ => system::unix_stream_socket(),
        }
    }

    fn role(&self) -> SocketRole {
        match self.protocol {
            Protocol::UnixDatagram => SocketRole::Bound,
            _ => SocketRole::Listening,
        }
    }

    fn open(&self) -> Result<SystemSocket> {
        let socket = self.make().map_err(bind_failed)?;
        self.options.apply(self.protocol, self.role(), &(&socket).into())?;
        if let Some(mode) = self.options.mode {
            path::set_mode_before(&socket, mode);
        }
        Ok(socket)
    }
}

fn bind_failed(error: io::Error) -> Error {
    Error::from_io("bind", error)
}
