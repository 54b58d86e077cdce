//! Sockets: addresses, options, listening, connecting, and the connection itself.

mod address;
mod attempts;
mod datagram;
mod descriptor;
mod duplex;
#[cfg(unix)]
mod inherited;
#[cfg(not(unix))]
mod no_unix;
mod opening;
mod options;
mod protocol;
mod registration;
mod relay;
mod resolve;
#[cfg(unix)]
mod rights;
mod server;
mod socket;
mod system;
mod tcp;
mod udp;
#[cfg(unix)]
mod unix;
mod wait_list;

pub use self::address::{Address, HostPart, SocketAddress, ToAddress, ToUnixAddress, UnixAddress};
pub(crate) use self::duplex::duplex;
#[cfg(unix)]
pub use self::inherited::StreamBuilder;
pub use self::options::{KeepAlive, SocketOptions};
pub use self::relay::relay;
pub(crate) use self::resolve::resolve_on;
pub use self::server::{Incoming, ServerSocket};
#[cfg(unix)]
pub use self::socket::PeerCredentials;
pub use self::socket::{CloseReason, Connection, Socket, TcpInfo};
pub use self::tcp::TcpBuilder;
pub use self::udp::{
    BoundDatagramSocket, ConnectedDatagramSocket, Datagram, DatagramBatch, Ecn, IncomingDatagrams,
    MulticastInterface, UdpBuilder,
};
#[cfg(unix)]
pub use self::unix::{
    BoundUnixDatagramSocket, ConnectedUnixDatagramSocket, IncomingUnixDatagrams, UnixBuilder,
    UnixDatagram, UnixDatagramBuilder,
};

#[cfg(not(unix))]
pub(in crate::net) use self::no_unix::NoPath as OwnPath;
#[cfg(unix)]
pub(in crate::net) use self::unix::OwnPath;
