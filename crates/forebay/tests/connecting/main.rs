//! From a listener to a connection: binding, connecting, accepting, and what the kernel refuses.

#![allow(clippy::unwrap_used)]

mod accept_attempts;
mod accept_errors;
mod bad_networks;
mod descriptors_run_out;
mod dns;
mod full_backlog;
mod greeting;
mod incoming;
mod inherited;
mod inherited_by_name;
mod listeners;
mod mapped;
mod names;
#[cfg(target_os = "linux")]
mod namespace;
mod no_descriptor_for_a_moment;
mod ports_used_up;
mod racing;
mod reset_before_accept;
mod resolvers;
mod reuse_port;
mod routes;
mod self_connect;
