//! Sockets: addresses, options, listening, connecting, and the connection itself.

mod address;
mod builder;
mod connect;
mod descriptor;
mod options;
mod resolve;
mod server;
mod socket;
mod system;

pub use self::address::{Address, SocketAddress, ToAddress};
pub use self::builder::TcpBuilder;
pub use self::options::KeepAlive;
pub use self::server::ServerSocket;
pub use self::socket::{CloseReason, Connection, Socket};
