//! Links, peers and calls that fail, stall or are interrupted, and the limits that end them.

#![allow(clippy::unwrap_used)]

mod bad_links;
mod forwarding_refused;
mod injected;
mod interrupted_calls;
mod own_stalls;
mod readiness;
mod refused_once;
mod release_beside_wait;
mod signals;
mod slow_links;
mod stalls;
mod stopped;
mod timeouts;
