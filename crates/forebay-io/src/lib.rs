//! Byte channels that own their bytes.
//!
//! A [`ByteReadChannel`] reads lines, numbers, packets or whatever has arrived; a [`ByteWriteChannel`]
//! writes text, numbers and packets. Behind them is a socket, TLS, or a [`pipe`] in memory. This crate has
//! no sockets, no runtime and no clock: those are in `forebay`, which re-exports everything here that a
//! user needs.
//!
//! What is promised about a future that is dropped stands in [`cancel_safety`].
//!
//! # Memory
//!
//! | what | at most |
//! |---|---|
//! | a line ([`LineOptions::limit`]) | 64 KiB of content |
//! | a frame ([`LengthFraming::limit`], [`DelimiterFraming::limit`]) | 1 MiB of content |
//! | a packet, a peek | 1 MiB |
//! | queued before a writer waits | 64 KiB, and one item on top |
//! | an item that is composed (`write_strs`, `write_with`, the macros) | 1 MiB |
//!
//! A channel whose task sleeps keeps only what has arrived and has not been read.

#![forbid(unsafe_code)]

mod block;
pub mod cancel_safety;
mod cause;
mod error;
mod frame;
mod host_name;
mod item;
mod kernel;
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
mod traits;
mod turn;
mod unwinding;
mod waiters;
mod write;

pub use crate::error::{Attempt, Error, ErrorKind, Fault, Result, TlsFault};
pub use crate::frame::{
    DelimiterFraming, FrameStep, Framing, FramingKey, LengthFraming, LineFraming,
};
pub use crate::packet::Packet;
pub use crate::pipe::pipe;
pub use crate::read::{
    ByteReadChannel, Delimiter, LineEnding, LineOptions, Lines, PACKET_BYTES_MAX, ReadExact,
    TooLong,
};
#[doc(hidden)]
pub use crate::write::FormattedItem;
pub use crate::write::{ByteWriteChannel, ComposeResult, ItemBuffer, SharedWriteChannel};
