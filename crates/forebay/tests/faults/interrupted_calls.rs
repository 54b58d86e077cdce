//! Every second call that a signal may interrupt is interrupted (`EINTR`, `signal(7)`), and
//! is tried again, unseen. `strace` says `EINTR` in the kernel's stead.
//!
//! Left out is what the kernel does not do, or what cannot be shown this way: a `connect` that was
//! interrupted goes on in the background, whereas one that `strace` answers never begins; a `close`
//! that was interrupted has closed, whereas here the descriptor would stay; and `read`, with which
//! the program itself is loaded.

#![cfg(target_os = "linux")]

use std::fs;

use forebay::{ByteReadChannel, ByteWriteChannel, Connection, Result, SelectorManager};
use forebay_testing::{
    Child, KIB, Known, Log, listener, report, role, run_on_a_worker, say, skip, wait_for, watched,
};
use futures_lite::future::zip;

const NAME: &str = "every_second_call_is_interrupted_and_nobody_notices";
const BYTES: usize = 3_000_000;
/// Those for which the manual names `EINTR`, and which are made here.
const CALLS: &str = "accept4,recvfrom,recvmsg,sendto,sendmsg,epoll_wait,epoll_pwait,write";

#[test]
fn every_second_call_is_interrupted_and_nobody_notices() {
    if role().is_some() {
        return talk_to_oneself();
    }
    let log = Log::new(NAME);
    let trace = format!("trace={CALLS}");
    let inject = format!("inject={CALLS}:error=EINTR:when=2+2");
    let strace = ["strace", "-f", "-o", log.path(), "-e", &trace, "-e", &inject];
    if !Child::can_trace(&strace) {
        return skip(NAME, "strace is missing, may not trace, or cannot inject");
    }
    let strace = strace.map(str::to_owned);
    watched(move || {
        let mut child = Child::start_under(&strace.each_ref().map(String::as_str), NAME, "talks");
        let said = child.hear().expect("the child has failed");
        report(&format!("{NAME}: {said}"));
        child.end();
    });
    let mut lines = log.lines();
    lines.retain(|line| line.contains("EINTR"));
    let interrupted = |call: &str| {
        let call = format!(" {call}(");
        lines.iter().filter(|line| line.contains(&call)).count()
    };
    let counts: Vec<_> = CALLS.split(',').map(|call| (call, interrupted(call))).collect();
    report(&format!("{NAME}: interrupted: {counts:?}"));
    // What wakes the selector from another thread: eight bytes for its event descriptor.
    let is_wake_up = |line: &&String| line.contains(r#"\1\0\0\0\0\0\0\0", 8)"#);
    let wake_ups = lines.iter().filter(is_wake_up).count();
    report(&format!("{NAME}: {wake_ups} of these writes were wake-ups"));
    assert!(wake_ups > 0, "no wake-up was interrupted");
    for needed in ["accept4", "recvfrom", "epoll_wait", "write"] {
        assert!(interrupted(needed) > 0, "no {needed} was interrupted");
    }
    assert!(interrupted("sendto") + interrupted("sendmsg") > 0, "no send was interrupted");
}

// ---- the child ----------------------------------------------------------------------------------

/// Server and client in one process: lines, and a stream each way at once; the selector is woken
/// from other threads as well, by calls that block. In no other host: tokio 1.54 panics when the call that wakes its
/// driver is interrupted, and the calls are to be ours.
fn talk_to_oneself() {
    run_on_a_worker(async |selector| {
        let server = listener(&selector).await?;
        for _ in 0..20 {
            let (accepted, connected) =
                zip(server.accept(), selector.tcp().connect(server.local_address())).await;
            let (one, other) = (accepted?.connection()?, connected?.connection()?);
            let serving = selector.spawn(answer(one));
            ask(&selector, other).await?;
            serving.await?;
        }
        let (accepted, connected) =
            zip(server.accept(), selector.tcp().connect(("localhost", server.port()))).await;
        let (one, other) = (accepted?.connection()?, connected?.connection()?);
        let (one, other) = zip(exchange(one, 1, 2), exchange(other, 2, 1)).await;
        one?;
        other?;
        let stats = selector.stats();
        say(&format!("{} sends, {} receives", stats.sends, stats.receives));
        Ok(())
    });
}

async fn answer(mut it: Connection) -> Result<()> {
    while let Some(name) = it.input.read_line().await? {
        forebay::write_line!(it.output, "Hello, {name}!").await?;
    }
    it.socket.close().await
}

async fn ask(selector: &SelectorManager, mut it: Connection) -> Result<()> {
    let here = fs::read_link("/proc/thread-self").unwrap();
    let stat = std::path::Path::new("/proc").join(here).join("stat");
    for name in ["Ada", "Grace", "Barbara"] {
        let stat = stat.clone();
        let blocking = selector.spawn_blocking(move || {
            // So that the selector has to be woken out of its sleep, by a `write`.
            wait_for(|| fs::read_to_string(&stat).unwrap().contains(") S "));
            name.to_owned()
        });
        let name = blocking.await?;
        forebay::write_line!(it.output, "{name}").await?;
        assert_eq!(it.input.read_line().await?, Some(format!("Hello, {name}!")));
    }
    it.output.finish().await?;
    assert_eq!(it.input.read_line().await?, None);
    it.socket.close().await
}

async fn exchange(it: Connection, mine: u64, theirs: u64) -> Result<()> {
    let Connection { mut input, mut output, socket } = it;
    let (sent, received) = zip(send(&mut output, mine), receive(&mut input, theirs)).await;
    sent?;
    received?;
    socket.close().await
}

async fn send(output: &mut ByteWriteChannel, seed: u64) -> Result<()> {
    let (mut known, mut left) = (Known::new(seed), BYTES);
    while left > 0 {
        let piece = known.take(left.min(10 * KIB));
        left -= piece.len();
        output.write_all(piece).await?;
    }
    output.finish().await
}

async fn receive(input: &mut ByteReadChannel, seed: u64) -> Result<()> {
    let (mut known, mut received) = (Known::new(seed), 0);
    while let Some(chunk) = input.read_chunk().await? {
        known.check(&chunk);
        received += chunk.len();
    }
    assert_eq!(received, BYTES);
    Ok(())
}
