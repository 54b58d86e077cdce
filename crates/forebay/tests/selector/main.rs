//! Selectors: their workers, their threads, and the thread that drives them.

#![allow(clippy::unwrap_used)]

mod beside;
mod busy_handler;
mod close_on_exec;
mod closes;
mod default_workers;
mod drops;
mod foreign_executor;
mod lives;
mod of_a_socket;
mod ready;
mod ready_kinds;
mod send_sync;
mod several;
mod two_selectors;
mod workers;
