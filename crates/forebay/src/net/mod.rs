//! Sockets: addresses, options, listening, connecting, and the connection itself.

mod address;
mod attempts;
mod builder;
mod connect;
mod descriptor;
mod duplex;
mod options;
mod path;
mod registration;
mod resolve;
mod server;
mod socket;
mod system;
mod unix;

pub use self::address::{Address, SocketAddress, ToAddress, ToUnixAddress, UnixAddress};
pub use self::builder::TcpBuilder;
pub(crate) use self::duplex::duplex;
pub use self::options::KeepAlive;
pub use self::server::{Incoming, ServerSocket};
pub use self::socket::{CloseReason, Connection, PeerCredentials, Socket};
pub use self::unix::UnixBuilder;
