//! Unix sockets: streams and datagrams, and the path that belongs to one.

mod advice;
mod builder;
mod datagram;
mod path;

pub use self::builder::UnixBuilder;
pub use self::datagram::{
    BoundUnixDatagramSocket, ConnectedUnixDatagramSocket, IncomingUnixDatagrams, UnixDatagram,
    UnixDatagramBuilder,
};
pub(in crate::net) use self::path::OwnPath;
