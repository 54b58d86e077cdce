//! Options: what the system has of them, as this library and as other programs read it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod fast_open;
mod multipath;
mod namespace;
mod read_back;
