#!/usr/bin/env bash
# async-io 2.6.0 begins at its first use: it starts the thread "async-io", which drives its reactor, and opens three
# descriptors. If the process has none left at that moment, the first use panics ("cannot initialize I/O event
# notification"), which a program may expect, and contain. But the thread panics too, and is never started again. From
# then on a timer or a socket that is awaited on a thread outside async_io::block_on (in
# futures_lite::future::block_on, pollster, or an executor on plain threads) waits forever, although there are
# descriptors again and every call succeeds.
#
# The thread waits for the first use in a OnceLock; when that is abandoned by the panic it becomes the one that makes
# the reactor (src/reactor.rs, Reactor::get; src/driver.rs, main_loop), and nothing contains its panic.
#
# So begin async-io early, while there are descriptors: by any timer that is polled once.
#
# Seen with async-io 2.6.0, futures-lite 2.6, Linux 6.18.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

if [ "$(uname -s)" != Linux ] || ! command -v cargo > /dev/null; then
    echo "SKIP: this takes Linux and cargo"
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml << 'T'
[package]
name = "first-use"
version = "0.0.0"
edition = "2024"

[dependencies]
async-io = "=2.6.0"
futures-lite = "2"
rustix = { version = "1", features = ["process"] }

[workspace]
T
cat > src/main.rs << 'R'
use std::fs::File;
use std::iter;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future::block_on;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Returns `true` if a timer of 100 ms ends within 5 s.
fn timer_ends() -> bool {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        block_on(Timer::after(Duration::from_millis(100)));
        done.send(()).ok();
    });
    is_done.recv_timeout(Duration::from_secs(5)).is_ok()
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("without-descriptors") {
        let limit = Rlimit { current: Some(64), maximum: Some(64) };
        setrlimit(Resource::Nofile, limit).unwrap();
        let all: Vec<_> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
        let first = thread::spawn(|| block_on(Timer::after(Duration::from_millis(1)))).join();
        println!("the first use without descriptors: {}", if first.is_err() { "panics" } else { "works" });
        drop(all);
    }
    println!("then a timer of 100 ms {}", if timer_ends() { "ends" } else { "never ends" });
}
R
if ! cargo build --quiet; then
    echo "SKIP: the crates cannot be built here"
    exit 2
fi
usual=$(target/debug/first-use)
after=$(target/debug/first-use without-descriptors 2> /dev/null)
printf 'usually:\n%s\nafter a first use without descriptors:\n%s\n' "$usual" "$after"
[[ $usual == *"ends" && $usual != *never* && $after == *panics* && $after == *"never ends" ]]
