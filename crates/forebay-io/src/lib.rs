//! Byte channels that own their bytes.
//!
//! A [`ByteReadChannel`] reads lines, numbers, packets or whatever has arrived; a [`ByteWriteChannel`]
//! writes text, numbers and packets. Behind them is a socket, TLS, or a [`pipe`] in memory. This crate has
//! no sockets, no runtime and no clock: those are in `forebay`, which re-exports everything here that a
//! user needs.
//!
//! # Cancel safety
//!
//! Every asynchronous call of forebay makes one of five promises about dropping its future before it is
//! ready, and names it in its documentation:
//!
//! - **Lossless**: the call has done nothing. Bytes that it examined are still in the channel; an item that
//!   it was to write is not written. Repeat the call, or do something else.
//! - **Resumes**: what has been done stays done, and another call continues from there: `discard`,
//!   `copy_to`, `flush`, `close`.
//! - **Releases**: nothing of the call is left behind: `connect`, `accept`, `sleep`.
//! - **Poisons**: only for slices above 1 MiB, which are read or written in pieces. The channel remembers
//!   that an item is incomplete, and every later call returns that as an error.
//! - **Aborts**: the connection is reset, because the exchange with the peer cannot be continued or taken
//!   back: making a connection secure with TLS.
//!
//! A call that could continue, or answer, without ever waiting gives way now and then: it returns `Pending`
//! and has its task polled again in the next turn of its worker. Every promise holds for that too.
//!
//! Each promise is about one call. A timeout around three reads may lose what the first two returned; put a
//! timeout around each read, or keep their results outside of it.
//!
//! # Memory
//!
//! | what | at most |
//! |---|---|
//! | a line ([`LineOptions::limit`]) | 64 KiB of content |
//! | a packet | 1 MiB |
//! | queued before a writer waits | 64 KiB, and one item on top |
//! | an item written from a slice | 1 MiB |
//!
//! A channel whose task sleeps keeps only what has arrived and has not been read.

#![forbid(unsafe_code)]

mod block;
mod cause;
mod error;
mod host_name;
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
mod text;
mod turn;
mod unwinding;
mod waiters;
mod write;

pub use crate::error::{Error, ErrorKind, Fault, Result, TlsFault};
pub use crate::packet::Packet;
pub use crate::pipe::pipe;
pub use crate::read::{ByteReadChannel, LineOptions, PACKET_BYTES_MAX, ReadExact};
pub use crate::write::{ByteWriteChannel, ComposeResult, ItemBuffer};
