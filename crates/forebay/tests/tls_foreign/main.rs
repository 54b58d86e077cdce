//! Implementations of TLS that are not ours, as the other side.

#![allow(clippy::unwrap_used)]

mod alpn;
mod curl;
mod ends;
mod identities;
mod lines;
mod old_peers;
mod over_proxy;
mod resumption;
mod upgrades;
