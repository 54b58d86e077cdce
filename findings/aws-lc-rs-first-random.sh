#!/usr/bin/env bash
# aws-lc-rs 1.19.0: the first random number of a process takes some 30 ms of processor time, each further one less than
# a microsecond (30293 us and 380 ns, say). Before it, the library collects entropy from the timing of the processor, besides
# the system's. A server draws its first one in its first handshake, so a thread that serves others stands still there.
#
# Building with AWS_LC_SYS_NO_JITTER_ENTROPY=1 leaves it out. A program can draw one while it starts.
#
# Exit status: 0 if it is so (the first takes a thousand times as long as the median of the others), 1 if it has changed, 2
# if it cannot be tried here.
set -euo pipefail

readonly VERSION=1.19.0
for tool in cargo cc; do
    command -v "$tool" > /dev/null || { echo "SKIP: $tool is not installed"; exit 2; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml << TOML
[package]
name = "first"
version = "0.0.0"
edition = "2021"

[dependencies]
aws-lc-rs = { version = "=$VERSION", default-features = false, features = ["aws-lc-sys"] }
TOML
cat > src/main.rs << 'RUST'
//! Prints the nanoseconds of the first draw, and the median of a hundred others.
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::time::Instant;

fn main() {
    let random = SystemRandom::new();
    let draw = || {
        let began = Instant::now();
        random.fill(&mut [0; 32]).unwrap();
        began.elapsed().as_nanos()
    };
    let first = draw();
    let mut others: Vec<u128> = (0..100).map(|_| draw()).collect();
    others.sort_unstable();
    println!("{first} {}", others[50]);
}
RUST
cargo build --quiet --release
echo "aws-lc-rs $VERSION, three processes:"
changed=0
for _ in 1 2 3; do
    read -r first median < <(target/release/first)
    echo "first draw $((first / 1000)) us, then $median ns each"
    [ "$first" -gt $((1000 * median)) ] || changed=1
done
exit "$changed"
