//! The vocabulary of the tests: a watchdog, peers made of the standard library's sockets, child
//! processes, what the kernel says, bytes that both sides know, and network namespaces.

// Each test binary uses the words it needs.
#![allow(dead_code, unused_imports)]

mod child;
mod example;
mod kernel;
mod known;
#[cfg(target_os = "linux")]
mod netns;
mod seed;
mod transports;

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use forebay::{Result, SelectorManager, ServerSocket, Socket};
use futures_lite::future::yield_now;
use socket2::SockRef;

pub(crate) use self::child::{Child, Log, role, say};
pub(crate) use self::example::{Server, example, lines_of};
pub(crate) use self::kernel::{
    Connection, TcpState, are_gone, connection, connection_between, is_gone, memory_of, other_end,
    processor_time_here, processor_time_of, sleeps, unacknowledged_from, wait_for,
};
pub(crate) use self::known::Known;
#[cfg(target_os = "linux")]
pub(crate) use self::netns::{Cable, End, PLUG, on_a_cable};
pub(crate) use self::seed::{Random, from_environment, seed};
pub(crate) use self::transports::{
    DRAIN_TIMEOUT, MOMENT, Transport, assert_reset, just_before, just_before_silence, on_each,
    on_every_transport, on_every_transport_with_clock, on_transports, past_silence, settle,
    until_given_up, with_clock,
};

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;

/// How long a test may take before its watchdog calls it hung. No test needs a tenth of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

// ---- tests --------------------------------------------------------------------------------------

/// Runs a test's body on a thread of its own, and fails when it hangs.
pub(crate) fn watched<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    watched_for(PATIENCE, body)
}

/// As [`watched`], for a body that may take longer.
pub(crate) fn watched_for<T: Send + 'static>(
    patience: Duration,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, outcome) = mpsc::channel();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let running = thread::Builder::new().name(name).spawn(move || done.send(body()).ok()).unwrap();
    match outcome.recv_timeout(patience) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("hangs: not done after {patience:?}"),
        Err(RecvTimeoutError::Disconnected) => match running.join() {
            Err(panic) => resume_unwind(panic),
            Ok(_) => unreachable!("the thread sends before it ends"),
        },
    }
}

/// Runs a test on a selector of its own, watched.
#[track_caller]
pub(crate) fn run<T: Send + 'static>(
    test: impl AsyncFnOnce(SelectorManager) -> Result<T> + Send + 'static,
) -> T {
    watched(move || forebay::run(test)).unwrap()
}

/// Says that a test cannot show anything here. Not by `println!`, which the test runner swallows.
pub(crate) fn skip(name: &str, reason: &str) {
    report(&format!("SKIP {name}: {reason}"));
}

/// Prints a number that was measured, also when the test passes.
pub(crate) fn report(line: &str) {
    // Not by `eprintln!`, for the same reason.
    let mut stderr = io::stderr();
    writeln!(stderr, "{line}").unwrap();
}

/// Gives way until something has come true that brings no event of its own.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// Waits until the selector holds no sockets, timers or blocks, and no tasks but so many.
pub(crate) async fn until_at_rest(selector: &SelectorManager, tasks: usize) {
    until(|| {
        let stats = selector.stats();
        stats.tasks == tasks && stats.sockets == 0 && stats.lingering == 0 && stats.blocks == 0
    })
    .await;
}

// ---- peers --------------------------------------------------------------------------------------

/// A listener on a free port.
pub(crate) async fn listener(selector: &SelectorManager) -> Result<ServerSocket> {
    selector.tcp().bind("127.0.0.1:0").await
}

/// An accepted connection, and the peer's end of it.
pub(crate) async fn pair(selector: &SelectorManager) -> Result<(Socket, TcpStream)> {
    let server = listener(selector).await?;
    let peer = dial(server.port());
    Ok((server.accept().await?, peer))
}

/// Connects as a peer. It does not need the listener to accept.
pub(crate) fn dial(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// Resets the connection.
pub(crate) fn reset(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// Ends the peer's direction and waits until the other side's kernel has everything, the end mark
/// included.
pub(crate) fn end_and_arrive(peer: &TcpStream) {
    peer.shutdown(Shutdown::Write).unwrap();
    wait_for(|| connection(peer).is_some_and(|it| it.state == TcpState::FinWait2));
}

/// Reads everything the peer is sent: the bytes, and the error if the connection did not end
/// cleanly.
pub(crate) fn read_to_end(peer: &mut TcpStream) -> (Vec<u8>, Option<io::Error>) {
    let mut bytes = Vec::new();
    let error = io::Read::read_to_end(peer, &mut bytes).err();
    (bytes, error)
}

/// Bytes that tell where in the stream they belong: of two stretches of the same length, no two are
/// equal unless they lie a multiple of 251 apart.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}
