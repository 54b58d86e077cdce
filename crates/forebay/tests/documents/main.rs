//! What README, the examples and Ktor's own tests say.

#![allow(clippy::unwrap_used)]

mod architecture;
mod examples;
mod examples_tls;
mod readme;
mod scenarios_common;
mod scenarios_nix_jvm;
