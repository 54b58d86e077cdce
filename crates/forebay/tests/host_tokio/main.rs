//! Sockets and timers inside tokio, which drives them: no thread of a worker is started.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod accepting;
mod closes;
mod counts;
mod echoes;
mod ends;
mod flushing;
mod giving_way;
mod many;
mod out_of_descriptors;
mod parts;
mod peers;
mod processes;
mod ready;
mod runtime_ends;
mod selecting;
mod support;
mod time;
mod transfers;
