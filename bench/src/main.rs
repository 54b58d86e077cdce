//! The server that is measured, as a program: `server.rs` has its options.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    forebay_bench::server::run(std::env::args().skip(1))
}
