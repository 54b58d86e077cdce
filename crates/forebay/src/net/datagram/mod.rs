//! The calls that wait on a socket of datagrams, of any protocol.
//!
//! Any number of tasks receive and send at once: they wait in two lists, and all of a list are woken and compete.

mod calls;
mod memory;
mod receiving;
pub(super) mod share;
mod socket;
mod waits;

pub(super) use self::calls::shared_calls;
pub(super) use self::memory::ReceiveMemory;
pub(super) use self::receiving::{Receives, Receiving};
pub(super) use self::socket::DatagramSocket;
pub(super) use self::waits::DatagramWaits;
