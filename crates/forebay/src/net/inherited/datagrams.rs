//! Taking over sockets of datagrams.

use std::os::fd::{AsFd, OwnedFd};

use forebay_io::Result;
use forebay_io::seam::printable;

use super::kind::SocketKind;
use super::{NotTaken, environment, ways_in};
use crate::net::options::SocketRole;
use crate::net::protocol::Protocol;
use crate::net::udp::{BoundDatagramSocket, ConnectedDatagramSocket, UdpBuilder};
use crate::net::unix::{BoundUnixDatagramSocket, ConnectedUnixDatagramSocket, UnixDatagramBuilder};

impl BoundDatagramSocket {
    ways_in! {
        /// Takes over a UDP socket without a peer that another program has opened. It is made non-blocking and
        /// close-on-exec, and given the options of the builder.
        ///
        /// Each datagram reaches one of the programs that receive from it. A change of `O_NONBLOCK` by another
        /// one is set back before the next receive. What [`ServerSocket::from_fd`](crate::ServerSocket::from_fd) says of
        /// such a change right before an `accept` is true of a receive here, and of each change.
        ///
        /// # Errors
        ///
        /// - [`InvalidInput`](crate::ErrorKind::InvalidInput): it is no UDP socket, or has a peer; the error tells
        ///   what it is.
        /// - [`Closed`](crate::ErrorKind::Closed): the selector is closed.
        /// - [`Exhausted`](crate::ErrorKind::Exhausted): the process has no descriptor left; one is needed for a moment.
        /// - The error that names the option which could not be set.
        ///
        /// # Platform
        ///
        /// Unix.
        UdpBuilder =>
        /// Takes over a UDP socket without a peer that the service manager has opened, by name as
        /// [`ServerSocket::from_env`](crate::ServerSocket::from_env) does.
        ///
        /// # Errors
        ///
        /// Those of [`from_fd`](Self::from_fd), and [`NotFound`](crate::ErrorKind::NotFound).
        ///
        /// # Platform
        ///
        /// Linux. Elsewhere there is no such name.
    }

    fn expected(builder: UdpBuilder) -> (UdpBuilder, SocketKind) {
        (builder, SocketKind { protocol: Protocol::Udp, role: SocketRole::Bound })
    }

    fn take_over(
        builder: UdpBuilder,
        fd: OwnedFd,
        operation: &'static str,
    ) -> std::result::Result<Self, NotTaken> {
        builder.inherit(operation, fd).map(Self::new)
    }
}

impl ConnectedDatagramSocket {
    ways_in! {
        /// Takes over a UDP socket with a peer that another program has opened, as
        /// [`BoundDatagramSocket::from_fd`](crate::BoundDatagramSocket::from_fd) does one without.
        ///
        /// # Errors
        ///
        /// Those of `BoundDatagramSocket::from_fd`, but for a socket that has no peer.
        ///
        /// # Platform
        ///
        /// Unix.
        UdpBuilder =>
        /// Takes over a UDP socket with a peer that the service manager has opened, by name as
        /// [`ServerSocket::from_env`](crate::ServerSocket::from_env) does.
        ///
        /// # Errors
        ///
        /// Those of [`from_fd`](Self::from_fd), and [`NotFound`](crate::ErrorKind::NotFound).
        ///
        /// # Platform
        ///
        /// Linux. Elsewhere there is no such name.
    }

    fn expected(builder: UdpBuilder) -> (UdpBuilder, SocketKind) {
        (builder, SocketKind { protocol: Protocol::Udp, role: SocketRole::Connected })
    }

    fn take_over(
        builder: UdpBuilder,
        fd: OwnedFd,
        operation: &'static str,
    ) -> std::result::Result<Self, NotTaken> {
        builder.inherit(operation, fd).map(Self::new)
    }
}

impl BoundUnixDatagramSocket {
    ways_in! {
        /// Takes over a Unix datagram socket without a peer that another program has opened, as
        /// [`BoundDatagramSocket::from_fd`](crate::BoundDatagramSocket::from_fd) does one of UDP. Its path is the
        /// other program's, and stays.
        ///
        /// # Errors
        ///
        /// Those of `BoundDatagramSocket::from_fd`.
        UnixDatagramBuilder =>
        /// Takes over a Unix datagram socket without a peer that the service manager has opened, by name as
        /// [`ServerSocket::from_env`](crate::ServerSocket::from_env) does.
        ///
        /// # Errors
        ///
        /// Those of [`from_fd`](Self::from_fd), and [`NotFound`](crate::ErrorKind::NotFound).
        ///
        /// # Platform
        ///
        /// Linux. Elsewhere there is no such name.
    }

    fn expected(builder: UnixDatagramBuilder) -> (UnixDatagramBuilder, SocketKind) {
        (builder, SocketKind { protocol: Protocol::UnixDatagram, role: SocketRole::Bound })
    }

    fn take_over(
        builder: UnixDatagramBuilder,
        fd: OwnedFd,
        operation: &'static str,
    ) -> std::result::Result<Self, NotTaken> {
        builder.inherit(operation, fd).map(Self::new)
    }
}

impl ConnectedUnixDatagramSocket {
    ways_in! {
        /// Takes over a Unix datagram socket with a peer that another program has opened, as
        /// [`BoundUnixDatagramSocket::from_fd`](crate::BoundUnixDatagramSocket::from_fd) does one without. A peer without
        /// a name, of a pair of sockets, is not found again once it has gone.
        ///
        /// # Errors
        ///
        /// Those of `BoundUnixDatagramSocket::from_fd`, but for a socket that has no peer.
        UnixDatagramBuilder =>
        /// Takes over a Unix datagram socket with a peer that the service manager has opened, by name as
        /// [`ServerSocket::from_env`](crate::ServerSocket::from_env) does.
        ///
        /// # Errors
        ///
        /// Those of [`from_fd`](Self::from_fd), and [`NotFound`](crate::ErrorKind::NotFound).
        ///
        /// # Platform
        ///
        /// Linux. Elsewhere there is no such name.
    }

    fn expected(builder: UnixDatagramBuilder) -> (UnixDatagramBuilder, SocketKind) {
        (builder, SocketKind { protocol: Protocol::UnixDatagram, role: SocketRole::Connected })
    }

    fn take_over(
        builder: UnixDatagramBuilder,
        fd: OwnedFd,
        operation: &'static str,
    ) -> std::result::Result<Self, NotTaken> {
        builder.inherit(operation, fd).map(Self::new)
    }
}
