//! Options: what the system has of them, as this library and as other programs read it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod accepted;
mod configure;
mod descriptors;
mod fast_open;
mod foreign_reader;
mod multipath;
mod namespace;
mod read_back;
mod refused;
mod silent_peers;
mod tcp_info;
mod tls;
mod unsent;
