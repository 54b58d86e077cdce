//! Unix sockets: their paths, their rights, and what only they know.

#![allow(clippy::unwrap_used)]

mod connecting;
mod datagram_passing;
mod datagrams;
mod descriptors;
mod foreign_peers;
mod mode;
mod names;
mod passing;
mod stale_path;
mod unlink;
