//! The statements of README, of the examples and of Ktor's own tests.

#![allow(clippy::unwrap_used)]

mod architecture;
mod examples;
mod examples_protocols;
mod examples_tls;
mod mistakes;
mod readme;
mod scenarios_common;
mod scenarios_nix_jvm;
mod snippets;
