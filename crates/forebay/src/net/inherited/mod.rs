//! Sockets that another program has opened: given as a descriptor, or named in the environment.
//!
//! The flag `O_NONBLOCK` belongs to what both programs share (`open(2)`, "Open file descriptions"). Taking the
//! socket over sets it, and the other program may clear it at any moment, by handing the socket on once more for
//! instance. So nothing here trusts it: receives and sends of a connection say for themselves that they do not
//! wait; a receive of UDP datagrams, which cannot, looks first for one and at the flag; and accepting moves to a thread once the
//! listener was found blocking (`server/beside.rs`).

mod datagrams;
mod environment;
mod kind;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use forebay_io::seam::printable;
use forebay_io::{Error, ErrorKind, Result};
use socket2::{SockAddr, SockRef};

use self::kind::SocketKind;
use super::SocketAddress;
use super::descriptor::Descriptor;
use super::options::{OptionValues, SocketRole};
use super::protocol::Protocol;
use super::server::ServerSocket;
use super::socket::{CoreParts, PendingTls, Socket};
use super::system;
use crate::selector::SelectorManager;

/// A builder of stream sockets: [`TcpBuilder`](crate::TcpBuilder) or [`UnixBuilder`](crate::UnixBuilder).
///
/// [`ServerSocket::from_fd`] and [`Socket::from_fd`] take one. It tells the selector, the protocol that is
/// expected, and the options.
///
/// This trait is sealed: it cannot be implemented outside this crate.
pub trait StreamBuilder: sealed::IntoParts {}

pub(in crate::net) mod sealed {
    pub trait IntoParts {
        fn into_parts(self) -> super::BuilderParts;
    }
}

/// The parts of a builder.
#[expect(missing_debug_implementations, reason = "it is never seen")]
pub struct BuilderParts {
    pub(in crate::net) selector: SelectorManager,
    pub(in crate::net) options: Arc<OptionValues>,
    pub(in crate::net) protocol: Protocol,
}

/// A descriptor that could not be taken over, and why.
#[derive(Debug)]
pub(in crate::net) struct NotTaken {
    pub(in crate::net) fd: OwnedFd,
    pub(in crate::net) error: Error,
}

/// The two ways to take a socket over, for a type that has the functions `expected` and `take_over`.
macro_rules! ways_in {
    (
        $(#[$fd:meta])*
        $builder:ty =>
        $(#[$env:meta])*
    ) => {
        $(#[$fd])*
        pub fn from_fd(builder: $builder, fd: OwnedFd) -> Result<Self> {
            let (builder, kind) = Self::expected(builder);
            kind.prepare("from_fd", fd.as_fd())?;
            Self::take_over(builder, fd, "from_fd").map_err(|not_taken| not_taken.error)
        }

        $(#[$env])*
        pub fn from_env(builder: $builder, name: &str) -> Result<Self> {
            let (builder, kind) = Self::expected(builder);
            let taken = environment::take_over(name, kind, |fd| {
                Self::take_over(builder, fd, "from_env")
            });
            taken.map_err(|error| {
                error.or_address(|| Some(printable(name, environment::SHOWN_MAX)))
            })
        }
    };
}

use ways_in;

impl ServerSocket {
    ways_in! {
        /// Takes over a listening socket that another program has opened. It is made non-blocking and
        /// close-on-exec; its backlog and the options of binding stay as they are. The other options of the
        /// builder hold for the connections that are accepted, also where the listener itself refuses them, as
        /// Go's do (Multipath TCP).
        ///
        /// The other program may go on with the socket: each connection is accepted by one of the two. It may
        /// make the socket blocking (`O_NONBLOCK`), which both share; once that is seen, a thread beside the workers
        /// accepts. The path of a Unix socket is the other program's, and stays. Closing this handle does not end the
        /// listening as long as the other program has its own.
        ///
        /// One case is left, because no `accept` can say for itself that it does not wait: the very first time that
        /// the other program makes the socket blocking, it does so between this library's look at the flag and
        /// its `accept`, which follows within a fraction of a microsecond, and in that time also takes the only
        /// connection that waits. Then a worker waits in this call until the next connection comes, and its tasks with
        /// it. A program that only hands the socket on, and has ceased to accept, cannot cause it.
        ///
        /// # Errors
        ///
        /// - [`InvalidInput`](crate::ErrorKind::InvalidInput): it is no listening socket of the builder's
        ///   protocol; the error tells what it is.
        /// - [`Closed`](crate::ErrorKind::Closed): the selector is closed.
        ///
        /// # Platform
        ///
        /// Unix.
        ///
        /// # Examples
        ///
        /// ```
        /// use forebay::ServerSocket;
        ///
        /// forebay::run(async |selector| {
        ///     let opened_before = std::net::TcpListener::bind("127.0.0.1:0")?;
        ///     let server = ServerSocket::from_fd(selector.tcp(), opened_before.into())?;
        ///     let client = selector.tcp().connect(server.local_address()).await?;
        ///     assert_eq!(server.accept().await?.remote_address(), client.local_address());
        ///     forebay::Result::Ok(())
        /// })?;
        /// # forebay::Result::Ok(())
        /// ```
        impl StreamBuilder =>
        /// Takes over a listening socket that the service manager has opened, by the name that it has there
        /// (systemd: `FileDescriptorName=` of the socket's unit, by default the unit's name with `.socket`). Of
        /// several with the same name, each call returns the next one. A socket without a name is called
        /// `unknown`.
        ///
        /// The service manager tells by `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`
        /// (`sd_listen_fds_with_names(3)`). They stay as they are; a child process is not meant by them, because
        /// its number is another. The descriptors belong to this library from the first call on, in all of the
        /// process.
        ///
        /// # Errors
        ///
        /// Those of [`from_fd`](Self::from_fd), and [`NotFound`](crate::ErrorKind::NotFound): there is no such
        /// name, or each socket of this name was taken. The error lists those that are left. With any error the socket
        /// stays, for another call.
        ///
        /// # Platform
        ///
        /// Linux. Elsewhere there is no such name.
    }

    fn expected(builder: impl StreamBuilder) -> (BuilderParts, SocketKind) {
        let parts = builder.into_parts();
        let kind = SocketKind { protocol: parts.protocol, role: SocketRole::Listening };
        (parts, kind)
    }

    fn take_over(
        parts: BuilderParts,
        fd: OwnedFd,
        operation: &'static str,
    ) -> std::result::Result<Self, NotTaken> {
        let BuilderParts { selector, options, protocol } = parts;
        let selector = selector.shared();
        let prepare = |socket: &SockRef<'_>| {
            selector.check_open(operation)?;
            options.offer(protocol, socket)?;
            Ok((address_of(operation, socket.local_addr())?, system::is_multipath(socket)))
        };
        let prepared = prepare(&SockRef::from(&fd));
        let (local, is_multipath) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Err(NotTaken { fd, error }),
        };
        let io = Descriptor::new(fd, Arc::clone(selector));
        Ok(Self::inherited(io, local, protocol, options, is_multipath))
    }
}

impl Socket {
    ways_in! {
        /// Takes over a connection that another program has made or accepted. It is made non-blocking and
        /// close-on-exec, and given the options of the builder.
        ///
        /// Two programs that read from one connection take each other's bytes. A change of `O_NONBLOCK` by the
        /// other one does no harm here. The connection ends for the peer once both have closed it, or at the end
        /// mark of either.
        ///
        /// # Errors
        ///
        /// - [`InvalidInput`](crate::ErrorKind::InvalidInput): it is no connected socket of the builder's
        ///   protocol; the error tells what it is.
        /// - [`Closed`](crate::ErrorKind::Closed): the selector is closed.
        /// - The error that names the option which could not be set.
        ///
        /// # Platform
        ///
        /// Unix.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::io::Write;
        ///
        /// use forebay::Socket;
        ///
        /// forebay::run(async |selector| {
        ///     let (mut theirs, ours) = std::os::unix::net::UnixStream::pair()?;
        ///     let socket = Socket::from_fd(selector.unix(), ours.into())?;
        ///     theirs.write_all(b"hello\n")?;
        ///     let line = socket.open_read_channel()?.read_line().await?;
        ///     assert_eq!(line.as_deref(), Some("hello"));
        ///     forebay::Result::Ok(())
        /// })?;
        /// # forebay::Result::Ok(())
        /// ```
        impl StreamBuilder =>
        /// Takes over a connection that the service manager has accepted (systemd: `Accept=yes`, where its name
        /// is `connection`), by name as [`ServerSocket::from_env`](crate::ServerSocket::from_env) does.
        ///
        /// # Errors
        ///
        /// Those of [`from_fd`](Self::from_fd), and [`NotFound`](crate::ErrorKind::NotFound).
        ///
        /// # Platform
        ///
        /// Linux. Elsewhere there is no such name.
    }

    fn expected(builder: impl StreamBuilder) -> (BuilderParts, SocketKind) {
        let parts = builder.into_parts();
        let kind = SocketKind { protocol: parts.protocol, role: SocketRole::Connected };
        (parts, kind)
    }

    fn take_over(
        parts: BuilderParts,
        fd: OwnedFd,
        operation: &'static str,
    ) -> std::result::Result<Self, NotTaken> {
        let BuilderParts { selector, options, protocol } = parts;
        let selector = selector.shared();
        let role = SocketRole::Connected;
        let prepare = |socket: &SockRef<'_>| {
            selector.check_open(operation)?;
            options.apply(protocol, role, socket)?;
            let remote = address_of(operation, socket.peer_addr())?;
            Ok((remote, address_of(operation, socket.local_addr())?))
        };
        let prepared = prepare(&SockRef::from(&fd));
        let (remote, local) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Err(NotTaken { fd, error }),
        };
        let parts = CoreParts { remote, local: Arc::new(local), options, host_name: None };
        let io = Descriptor::new(fd, Arc::clone(selector));
        Ok(Self::over(io, protocol, role, parts, PendingTls::default()).sharing_descriptor())
    }
}

fn address_of(operation: &'static str, told: io::Result<SockAddr>) -> Result<SocketAddress> {
    let address = told.map_err(|error| Error::from_io(operation, error))?;
    SocketAddress::from_system(&address).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, operation)
            .with_detail("its address is of an unknown family")
    })
}
