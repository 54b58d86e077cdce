//! Secure connections: configurations, handshakes, and peers that are up to something.

#![allow(clippy::unwrap_used)]

mod basics;
mod certificate_request;
mod closed_in_handshake;
mod defaults;
mod dripping_peers;
mod hostile_peers;
mod key_updates;
mod leaves_nothing;
mod misuse;
mod planted_secrets;
mod refused_peers;
mod reload;
mod reports;
mod server_names;
mod silent_peers;
mod suites;
mod two_selectors;
mod upgrade;
mod wall_clock;
