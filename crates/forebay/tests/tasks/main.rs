//! Tasks, blocking code, and time.

#![allow(clippy::unwrap_used)]

mod blocked;
mod blocking_reader;
mod blocking_threads;
mod blocking_writer;
mod errors;
mod groups;
mod interval;
mod panic_abort;
mod panicking_handler;
mod panics;
mod race;
mod starting;
mod time;
mod yielding;
