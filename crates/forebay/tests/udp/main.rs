//! UDP: datagrams, and what the network reports about them.

#![allow(clippy::unwrap_used)]

mod batches;
mod closing;
mod datagrams;
mod fairness;
mod foreign_peers;
mod fragments;
mod multicast;
mod one_by_one;
mod openings;
mod replies;
mod reports;
mod reuse_port;
mod room;
mod trains;
