//! Sockets: addresses, options, listening, connecting, and the connection itself.

mod address;
mod descriptor;
mod duplex;
mod opening;
mod options;
mod protocol;
mod registration;
mod resolve;
mod server;
mod socket;
mod system;
mod tcp;
mod unix;
mod wait_list;

pub use self::address::{Address, SocketAddress, ToAddress, ToUnixAddress, UnixAddress};
pub(crate) use self::duplex::duplex;
pub use self::options::KeepAlive;
pub use self::server::{Incoming, ServerSocket};
pub use self::socket::{CloseReason, Connection, PeerCredentials, Socket};
pub use self::tcp::TcpBuilder;
pub use self::unix::UnixBuilder;
