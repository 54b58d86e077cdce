//! Byte channels that own their bytes.
//!
//! A [`ByteReadChannel`] gives lines, numbers, packets and whatever has arrived; a
//! [`ByteWriteChannel`] takes text, numbers and packets. Behind them stands a socket, TLS, or a
//! [`pipe`] in memory. This crate has no sockets, no runtime and no clock: those are in `forebay`,
//! which re-exports everything here that a user needs.
//!
//! # Cancel safety
//!
//! Every asynchronous call of forebay keeps one of four promises about what happens when its future
//! is dropped before it is ready, and names it in its documentation:
//!
//! - **Lossless**: the call has done nothing. Bytes it looked at are still in the channel; an item
//!   it wanted to write is not written. Repeat it, or do something else.
//! - **Resumes**: what is done stays done, and calling it again goes on from there: `discard`,
//!   `copy_to`, `flush`, `close`.
//! - **Releases**: nothing of it is left behind: `connect`, `accept`, `sleep`.
//! - **Poisons**: only slices above 1 MiB, read or written in pieces. The channel remembers that an
//!   item is incomplete and says so on every later call.
//!
//! A call that could go on, or answer, without ever waiting gives way now and then: it returns
//! `Pending` and has its task polled again, in the next turn of its worker. Every promise holds for
//! that as well.
//!
//! The promise is per call. A timeout around three reads may lose what the first two returned;
//! put the timeout around each read, or keep their results outside of it.
//!
//! # Memory
//!
//! | what | at most |
//! |---|---|
//! | a line ([`LineOptions::limit`]) | 64 KiB of content |
//! | a packet | 1 MiB |
//! | queued before a writer waits | 64 KiB, and the item on top |
//! | an item written from a slice | 1 MiB |
//!
//! A channel that sleeps keeps only what has arrived and is not read yet.

#![forbid(unsafe_code)]

mod block;
mod cause;
mod error;
mod item;
mod lane;
mod lock;
mod outbox;
mod packet;
mod pipe;
mod queue;
mod read;
#[doc(hidden)]
pub mod seam;
mod sync;
mod turn;
mod unwinding;
mod waiters;
mod write;

pub use crate::error::{Error, ErrorKind, Fault, Result, TlsFault};
pub use crate::packet::Packet;
pub use crate::pipe::pipe;
pub use crate::read::{ByteReadChannel, LineOptions, PACKET_BYTES_MAX, ReadExact};
pub use crate::write::{ByteWriteChannel, Staged, Staging};
