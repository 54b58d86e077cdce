//! Datagrams over Unix sockets (`unix(7)`): they arrive whole, once, and in order, or the send fails.
//!
//! ```text
//!   send ──► the receiver's queue, which holds a few datagrams (`net.unix.max_dgram_qlen`, and one more)
//!            full:  connected: the system tells when there is room
//!                   otherwise: no event does, so the send is tried again after a pause
//!            gone:  the system forgets the peer of a connected socket: it is connected to again, at its path
//! ```

mod bound;
mod builder;
mod calls;
mod connected;
mod core;
mod incoming;
mod message;
mod receiving;
mod sending;

pub use self::bound::BoundUnixDatagramSocket;
pub use self::builder::UnixDatagramBuilder;
pub use self::connected::ConnectedUnixDatagramSocket;
pub use self::incoming::IncomingUnixDatagrams;
pub use self::message::UnixDatagram;
