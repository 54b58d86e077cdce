//! UDP: datagrams, each for itself.
//!
//! ```text
//!   receive ──► surplus of an earlier call ──► the system: one datagram, or several of one peer that the
//!               (at most 64 KiB)               kernel has joined (GRO), of which the rest is surplus
//!   send ─────► the system, which takes a datagram whole or not at all
//! ```
//!
//! All handles of a socket share a [`DatagramCore`](core::DatagramCore).

mod batch;
mod bound;
mod builder;
mod calls;
mod connected;
mod core;
mod datagram;
mod drops;
mod incoming;
mod interface;
mod multicast;
mod outgoing;
mod plain;
mod receiving;
mod reply;
mod sending;
#[cfg(test)]
mod tests;
mod trains;
mod unreceived;

pub use self::batch::DatagramBatch;
pub use self::bound::BoundDatagramSocket;
pub use self::builder::UdpBuilder;
pub use self::connected::ConnectedDatagramSocket;
pub use self::datagram::{Datagram, Ecn};
pub use self::incoming::IncomingDatagrams;
pub use self::interface::MulticastInterface;
pub(super) use self::interface::{address_of, index_of};
