//! Bytes that the kernel would move by itself, where it does not know the call for these descriptors or is told to
//! refuse it (`strace` says so in its stead), and where such a call would end the process: they are copied.

#![cfg(target_os = "linux")]

use std::fs::{self, File};

use forebay::{ByteReadChannel, ByteWriteChannel, Connection, Result, SelectorManager, relay};
use forebay_testing::{
    Child, MIB, Transport, nameless_file, role, run_on_one_worker, say, scrambled, skip, watched,
};
use futures_lite::future::try_zip;

use super::refused_once::refused;

/// The answers of a kernel, or of a filter of calls, that has no such call for these descriptors.
const REFUSALS: [&str; 5] = ["EINVAL", "ENOSYS", "EOPNOTSUPP", "EPERM", "EACCES"];

const BYTES: usize = 2 * MIB + 77;

/// The peers of a relay. The relay's own connections are held by its task.
struct Peers {
    client: Connection,
    server: Connection,
    relaying: forebay::JoinHandle<Result<(u64, u64)>>,
}

impl Peers {
    async fn new(selector: &SelectorManager, back: Transport) -> Result<Self> {
        let (client, mut near) = Transport::Tcp.pair(selector).await?;
        let (mut far, server) = back.pair(selector).await?;
        let relaying = selector.spawn_value(async move { relay(&mut near, &mut far).await });
        Ok(Self { client, server, relaying })
    }
}

async fn send_whole(output: &mut ByteWriteChannel, bytes: &[u8]) -> Result<()> {
    output.write_all(bytes).await?;
    output.finish().await
}

/// Receives these bytes, and then the end.
async fn expect(input: &mut ByteReadChannel, bytes: &[u8]) -> Result<()> {
    for expected in bytes.chunks(MIB) {
        let mut received = vec![0; expected.len()];
        input.read_exact(&mut received).await?;
        assert!(received == expected, "the bytes arrive as they were sent");
    }
    assert!(input.exhausted().await?, "and nothing behind them");
    Ok(())
}

fn bulk_both_ways(_: &str) {
    run_on_one_worker(async |selector| {
        let Peers { mut client, mut server, relaying } =
            Peers::new(&selector, Transport::Tcp).await?;
        let (up, down) = (scrambled(BYTES, 1), scrambled(BYTES + 1, 2));
        let there = try_zip(send_whole(&mut client.output, &up), expect(&mut server.input, &up));
        let back = try_zip(send_whole(&mut server.output, &down), expect(&mut client.input, &down));
        try_zip(there, back).await?;
        assert_eq!(relaying.await??, (BYTES as u64, BYTES as u64 + 1));
        Ok(())
    });
}

/// The kernel is not asked again.
#[test]
fn a_relay_copies_where_splice_is_refused() {
    let test = "a_relay_copies_where_splice_is_refused";
    for calls in refused(test, "splice", "1+", &REFUSALS, bulk_both_ways) {
        let asked = calls.iter().filter(|call| call.contains("splice(")).count();
        assert!((1..=2).contains(&asked), "at most once for each connection: {calls:?}");
    }
}

/// By then some bytes are in a pipe, out of which they must come.
#[test]
fn a_relay_copies_from_the_call_on_that_is_refused() {
    let test = "a_relay_copies_from_the_call_on_that_is_refused";
    // A receive into a pipe, or a send from one.
    for first in ["4+", "5+", "6+", "7+"] {
        refused(test, "splice", first, &["EINVAL", "ENOSYS"], bulk_both_ways);
    }
}

#[test]
fn a_relay_that_is_interrupted_loses_nothing() {
    let test = "a_relay_that_is_interrupted_loses_nothing";
    refused(test, "splice", "1+2", &["EINTR"], bulk_both_ways);
}

/// Any other error of such a call is one of the connection.
#[test]
fn a_relay_whose_splice_fails_has_failed() {
    refused("a_relay_whose_splice_fails_has_failed", "splice", "1+", &["EIO"], |_| {
        run_on_one_worker(async |selector| {
            let Peers { mut client, relaying, .. } = Peers::new(&selector, Transport::Tcp).await?;
            let bytes = scrambled(BYTES, 5);
            while client.output.write_all(&bytes).await.is_ok() {}
            assert!(relaying.await?.is_err());
            Ok(())
        });
    });
}

#[test]
fn a_file_whose_sendfile_fails_has_failed() {
    refused("a_file_whose_sendfile_fails_has_failed", "sendfile", "1+", &["EIO"], |_| {
        run_on_one_worker(async |selector| {
            let (mut near, _far) = Transport::Tcp.pair(&selector).await?;
            let file = nameless_file(&scrambled(BYTES, 6));
            near.output.write_file(&file, ..).await?;
            assert!(near.output.finish().await.is_err());
            Ok(())
        });
    });
}

fn a_file(_: &str) {
    run_on_one_worker(async |selector| {
        let (mut near, mut far) = Transport::Tcp.pair(&selector).await?;
        let content = scrambled(BYTES, 3);
        let file = nameless_file(&content);
        let sending = async {
            near.output.write_file(&file, ..).await?;
            near.output.finish().await
        };
        try_zip(sending, expect(&mut far.input, &content)).await?;
        Ok(())
    });
}

#[test]
fn a_file_is_copied_where_sendfile_is_refused() {
    let test = "a_file_is_copied_where_sendfile_is_refused";
    refused(test, "sendfile", "1+", &REFUSALS, a_file);
}

#[test]
fn a_file_is_copied_from_the_call_on_that_is_refused() {
    let test = "a_file_is_copied_from_the_call_on_that_is_refused";
    for first in ["2+", "3+"] {
        refused(test, "sendfile", first, &["EINVAL", "ENOSYS"], a_file);
    }
}

#[test]
fn a_file_whose_calls_are_interrupted_arrives_whole() {
    let test = "a_file_whose_calls_are_interrupted_arrives_whole";
    refused(test, "sendfile", "1+2", &["EINTR"], a_file);
}

/// Rust's `main` ignores `SIGPIPE`, by its first `sigaction(2)`. In a program that has set it back, as tools of the
/// command line do, a send to a peer that has gone ends the process, unless the call has a flag against it:
/// `splice(2)` and `sendfile(2)` have none.
#[test]
fn a_peer_that_has_gone_ends_no_process_in_which_sigpipe_would() {
    const NAME: &str = "a_peer_that_has_gone_ends_no_process_in_which_sigpipe_would";
    const LEAVE_IT: [&str; 6] =
        ["strace", "-f", "-o", "/dev/null", "-e", "inject=rt_sigaction:retval=0:when=1"];
    if role().is_some() {
        return send_to_peers_that_have_gone();
    }
    if !Child::can_trace(&LEAVE_IT) {
        return skip(NAME, "strace is missing, may not trace, or cannot inject");
    }
    watched(|| {
        let mut child = Child::start_under(&LEAVE_IT, NAME, "child");
        assert_eq!(child.hear().as_deref(), Some("SIGPIPE is at its default"));
        assert_eq!(child.hear().as_deref(), Some("still there"));
        child.end();
    });
}

fn send_to_peers_that_have_gone() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let is_ignored = u64::from_str_radix(ignored.trim(), 16).unwrap() & (1 << 12) != 0;
    say(if is_ignored { "SIGPIPE is ignored" } else { "SIGPIPE is at its default" });
    // A Unix socket says so at the first send; on TCP that is a reset, and only the next one meets the signal.
    run_on_one_worker(async |selector| {
        let Peers { mut client, server, relaying } = Peers::new(&selector, Transport::Unix).await?;
        server.socket.close().await?;
        let bytes = scrambled(BYTES, 4);
        // The relay ends it when it has met that.
        while client.output.write_all(&bytes).await.is_ok() {}
        assert!(relaying.await?.is_err());
        let (mut near, far) = Transport::Unix.pair(&selector).await?;
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        far.socket.close().await?;
        while near.output.write_file(&file, ..).await.is_ok() {}
        Ok(())
    });
    say("still there");
}
