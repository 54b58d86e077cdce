//! The server that is measured, and how it is measured, for the programs of this package.

#![forbid(unsafe_code)]

pub mod modes;
pub mod process;
pub mod server;
