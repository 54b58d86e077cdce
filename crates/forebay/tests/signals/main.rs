//! Signals of the process, and a server that Ctrl-C ends.
//!
//! A signal is the whole process's, so a test that raises one runs in a process of its own.

#![allow(clippy::unwrap_used)]

mod arrivals;
mod defaults;
mod ends;
mod resources;
mod shutdown;
mod support;
