//! A connection that is reset while a writer waits for room. The write fails, every later
//! one fails, and the process lives on.
//!
//! It is reset in two ways: by its peer, and by the machine's own administrator with `ss -K`, after
//! which the kernel answers `ECONNABORTED` once and `EPIPE` from then on.

#![cfg(target_os = "linux")]

use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use forebay::{CloseReason, Connection, Error, Result, SelectorManager, Socket};
use forebay_testing::{
    Child, End, KIB, Log, PATIENCE, end_and_arrive, is_gone, on_a_cable, pair, pattern, report,
    reset, role, run, say, skip, until, wait_for, watched,
};
use rustix::net::{SendFlags, send};

/// The calls that wait when the reset comes.
const ROLES: [&str; 2] = ["a writer waits", "both wait"];

// ---- by the administrator -----------------------------------------------------------------------

#[test]
fn a_connection_killed_in_mid_write_is_reset_for_good() {
    const NAME: &str = "a_connection_killed_in_mid_write_is_reset_for_good";
    if let Some(role) = role() {
        return be_killed(&role);
    }
    on_a_cable(NAME, PATIENCE, |cable| {
        for role in ["the kernel"].into_iter().chain(ROLES) {
            let mut child = cable.start(End::Left, NAME, role);
            let said = child.hear().expect("the child has ended");
            report(&format!("{NAME}: {role}: {said}"));
            child.end();
        }
    });
}

/// The child, in a namespace of its own.
fn be_killed(role: &str) {
    if role == "the kernel" {
        return say(&the_kernels_words());
    }
    let role = role.to_owned();
    run(async move |selector| {
        let (socket, peer) = pair(&selector).await?;
        let told = lose(&selector, socket, &role, || kill(&peer)).await?;
        say(&told);
        Ok(())
    });
}

/// Returns the errors that a plain socket gets, so that the test shows what it says it does.
fn the_kernels_words() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut plain, _) = listener.accept().unwrap();
    kill(&peer);
    let received = plain.read(&mut [0; 8]).unwrap_err();
    let sent = plain.write(b"x").unwrap_err();
    assert_eq!((received.kind(), sent.kind()), (IoKind::ConnectionAborted, IoKind::BrokenPipe));
    format!("recv says {received}; send says {sent}")
}

/// Kills the end that is not the peer's.
fn kill(peer: &TcpStream) {
    let (there, here) = (peer.local_addr().unwrap(), peer.peer_addr().unwrap());
    let [here_port, there_port] = [here, there].map(|it| it.port().to_string());
    let killed = Command::new("ss")
        .args(["-K", "-t", "-n", "state", "established"])
        .args(["sport", "=", &here_port, "dport", "=", &there_port])
        .output()
        .unwrap();
    assert!(killed.status.success(), "{killed:?}");
    wait_for(|| is_gone(here, there));
}

// ---- by the peer --------------------------------------------------------------------------------

#[test]
fn a_peer_that_resets_in_mid_write_is_an_error_for_good() {
    for role in ROLES {
        let told = run(async move |selector| {
            let (socket, peer) = pair(&selector).await?;
            let (there, here) = (peer.local_addr().unwrap(), peer.peer_addr().unwrap());
            lose(&selector, socket, role, || {
                reset(peer);
                wait_for(|| is_gone(here, there));
            })
            .await
        });
        report(&format!("t1: reset by the peer: {role}: {told}"));
    }
}

/// Makes a writer wait for room, and a reader for bytes if the role says so; loses the connection,
/// and checks the error of every call. Returns the text of the first.
async fn lose(
    selector: &SelectorManager,
    socket: Socket,
    role: &str,
    lose: impl FnOnce(),
) -> Result<String> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    let writing = selector.spawn_value(async move {
        let error = loop {
            if let Err(error) = output.write_all(&pattern(100 * KIB)).await {
                break error;
            }
        };
        (error, output)
    });
    let reading = (role == "both wait").then(|| {
        selector.spawn_value(async move {
            let error = input.read_line().await.unwrap_err();
            (error, input)
        })
    });
    let mut quiet = (0, 0);
    until(|| {
        let sent = selector.stats().sent_bytes;
        quiet = if sent == quiet.0 { (sent, quiet.1 + 1) } else { (sent, 0) };
        sent > 0 && quiet.1 > 100
    })
    .await;
    assert!(!writing.is_finished());
    lose();

    if let Some(reading) = reading {
        let (error, mut input) = reading.await?;
        assert!(error.is_reset(), "{error}");
        assert!(input.read_line().await.is_err_and(|error| error.is_reset()));
    }
    let (error, mut output) = writing.await?;
    assert!(error.is_reset(), "{error}");
    for _ in 0..3 {
        for later in [
            output.write_str("more").await,
            output.write_all(&pattern(100 * KIB)).await,
            output.flush().await,
            output.finish().await,
        ] {
            assert!(later.is_err_and(|error: Error| error.is_reset()));
        }
    }
    assert_eq!(socket.closed().await, CloseReason::Reset);
    assert!(socket.close().await.is_err_and(|error| error.is_reset()));
    Ok(error.to_string())
}

// ---- no signal ----------------------------------------------------------------------------------

/// A program whose `SIGPIPE` kills is not killed: no send asks for the signal. Rust's own start of a
/// program ignores it, so `strace` looks on, which is shown ignored signals too.
#[test]
fn a_write_to_a_peer_that_is_gone_sends_no_signal() {
    const NAME: &str = "a_write_to_a_peer_that_is_gone_sends_no_signal";
    if let Some(role) = role() {
        return write_to_nobody(&role);
    }
    let log = Log::new(NAME);
    let strace = ["strace", "-f", "-o", log.path(), "-e", "trace=none", "-e", "signal=SIGPIPE"]
        .map(str::to_owned);
    if !Child::can_trace(&strace.each_ref().map(String::as_str)) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    let [asked_for, ours] = ["a plain send", "ours"].map(|role| {
        let strace = strace.clone();
        watched(move || {
            Child::start_under(&strace.each_ref().map(String::as_str), NAME, role).end();
        });
        log.lines().iter().filter(|line| line.contains("SIGPIPE")).count()
    });
    report(&format!("{NAME}: {asked_for} signals by a plain send, {ours} by ours"));
    // The plain one is signalled, so the test shows something.
    assert!(asked_for > 0);
    assert_eq!(ours, 0);
}

fn write_to_nobody(role: &str) {
    if role == "ours" {
        return run(async |selector| {
            let (socket, peer) = pair(&selector).await?;
            let (there, here) = (peer.local_addr().unwrap(), peer.peer_addr().unwrap());
            // A reset behind an end mark is told as `EPIPE`, which is what brings the signal.
            end_and_arrive(&peer);
            reset(peer);
            wait_for(|| is_gone(here, there));
            let mut output = socket.open_write_channel()?;
            output.write_str("into the void").await?;
            assert!(output.flush().await.is_err_and(|error| error.is_reset()));
            assert!(output.write_str("more").await.is_err_and(|error| error.is_reset()));
            Ok(())
        });
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (here, there) = (plain.local_addr().unwrap(), plain.peer_addr().unwrap());
    reset(listener.accept().unwrap().0);
    wait_for(|| is_gone(here, there));
    let sends = [(); 2].map(|()| send(&plain, b"x", SendFlags::empty()));
    assert!(sends.iter().all(std::result::Result::is_err), "{sends:?}");
}
