//! What the programs of this package share: the server that is measured.

#![forbid(unsafe_code)]

pub mod modes;
pub mod server;
