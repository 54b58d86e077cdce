//! The promises about dropping a future before it is ready: five words, and their meanings.
//!
//! This module has no items. The documentation of each asynchronous call has a heading "Cancel safety", with
//! one of these words and what it means for that call:
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
