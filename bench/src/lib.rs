//! The server that is measured, for the programs of this package.

#![forbid(unsafe_code)]

pub mod modes;
pub mod server;
