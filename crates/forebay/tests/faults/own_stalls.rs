//! A limit that passes while this process is held up: what arrived meanwhile, and what the peer took,
//! counts before the limit does. The worker looks at its sockets first.
//!
//! The clock is the test's, and the stall is one poll of a task: another thread plays the peer, and
//! the time passes, before the worker can look at anything. So a worker polls these tests in any case: in another host a
//! test would hold up that host's thread, and the worker would look.

#![cfg(target_os = "linux")]

use std::io::Read;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{ByteWriteChannel, CloseReason, Connection, Result, SelectorManager};
use forebay_testing::{
    KIB, MIB, Transport, just_before, on_every_transport_with_clock_on_a_worker, pair, pattern,
    settle, until, with_clock_on_a_worker,
};
use futures_lite::future::{block_on, or, poll_once};

const LIMIT: Duration = Duration::from_secs(3600);
/// Stalls of one connection.
const ROUNDS: usize = 6;
const TAKEN_BYTES: usize = 2 * MIB;

/// Holds this thread up, and with it the worker it drives, while another thread is the peer; then has
/// so much time pass.
fn stall<T: Send>(clock: &TestClock, time: Duration, peer: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| scope.spawn(peer).join().unwrap());
    clock.advance(time);
    done
}

fn send_line(output: &mut ByteWriteChannel) {
    block_on(async {
        output.write_str("a line\n").await.unwrap();
        output.flush().await.unwrap();
    });
}

/// Makes the peer take so much that its system opens the window and ours has room again.
fn take(peer: &mut TcpStream) {
    let mut space = vec![0; 64 * KIB];
    for _ in 0..TAKEN_BYTES / space.len() {
        peer.read_exact(&mut space).unwrap();
    }
}

/// A connection to a peer that reads without the worker's help.
async fn pair_with_plain_peer(selector: &SelectorManager) -> Result<(Connection, TcpStream)> {
    let (socket, peer) = pair(selector).await?;
    Ok((socket.connection()?, peer))
}

/// Writes until neither the peer nor the system takes any more.
async fn fill(selector: &SelectorManager, it: &mut Connection) -> Result<()> {
    let piece = pattern(256 * KIB);
    let (mut queued, mut refused_alike) = (0, 0);
    while refused_alike < 500 {
        let is_refused = poll_once(it.output.write_all(&piece)).await.transpose()?.is_none();
        refused_alike =
            if is_refused && it.output.queued() == queued { refused_alike + 1 } else { 0 };
        queued = it.output.queued();
        selector.spawn_value(async {}).await?;
    }
    Ok(())
}

/// Reads lines in a task, and counts them.
fn count_lines(selector: &SelectorManager, it: Connection) -> (Arc<AtomicUsize>, Connection) {
    let lines = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lines);
    let Connection { mut input, output, socket } = it;
    let rest = Connection { input: forebay::pipe(1).0, output, socket };
    let reading = async move {
        while input.read_line().await.is_ok_and(|line| line.is_some()) {
            counted.fetch_add(1, SeqCst);
        }
    };
    selector.spawn_value(reading).detach();
    (lines, rest)
}

// ---- idling -------------------------------------------------------------------------------------

#[test]
fn a_peer_that_sent_during_a_stall_is_not_idle() {
    on_every_transport_with_clock_on_a_worker(async |selector, clock, transport| {
        let (it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_idle_timeout(LIMIT);
        let (lines, it) = count_lines(&selector, it);
        settle().await;
        for round in 1..=ROUNDS {
            stall(&clock, LIMIT, || send_line(&mut peer.output));
            until(|| lines.load(SeqCst) == round || it.socket.is_closed()).await;
            assert!(!it.socket.is_closed(), "over {transport}, after {round} stalls");
        }
        // In silence it is, and no later than without a stall.
        clock.advance(just_before(LIMIT));
        settle().await;
        assert!(!it.socket.is_closed(), "over {transport}");
        clock.advance(LIMIT);
        assert_eq!(it.socket.closed().await, CloseReason::Failed);
        Ok(())
    });
}

/// It sent once, and its byte keeps the connection for one more limit, but not forever.
#[test]
fn what_was_sent_once_and_is_not_read_counts_once() {
    on_every_transport_with_clock_on_a_worker(async |selector, clock, transport| {
        let (it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_idle_timeout(LIMIT);
        settle().await;
        stall(&clock, LIMIT, || send_line(&mut peer.output));
        settle().await;
        assert!(!it.socket.is_closed(), "over {transport}: a line had arrived");
        clock.advance(just_before(LIMIT));
        settle().await;
        assert!(!it.socket.is_closed(), "over {transport}: too early");
        clock.advance(LIMIT);
        let socket = it.socket.clone();
        let closed = selector.spawn_value(async move { socket.closed().await });
        // Over TLS the wait for the end decrypts the line, which counts as movement once more.
        while !closed.is_finished() {
            settle().await;
            clock.advance(LIMIT);
        }
        assert_eq!(closed.await?, CloseReason::Failed);
        Ok(())
    });
}

#[test]
fn a_peer_that_took_something_during_a_stall_is_not_idle() {
    with_clock_on_a_worker(async |selector, clock| {
        let (mut it, mut peer) = pair_with_plain_peer(&selector).await?;
        it.socket.set_idle_timeout(LIMIT);
        for round in 1..=ROUNDS {
            fill(&selector, &mut it).await?;
            stall(&clock, LIMIT, || take(&mut peer));
            settle().await;
            assert!(!it.socket.is_closed(), "after {round} stalls");
        }
        it.socket.abort();
        Ok(())
    });
}

// ---- reading and writing ------------------------------------------------------------------------

#[test]
fn what_arrived_during_a_stall_is_read_although_the_limit_on_reading_has_passed() {
    on_every_transport_with_clock_on_a_worker(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_read_timeout(LIMIT);
        for round in 1..=ROUNDS {
            assert!(poll_once(it.input.read_line()).await.is_none());
            settle().await;
            stall(&clock, LIMIT, || send_line(&mut peer.output));
            // In the same poll, before the worker can look.
            let read = poll_once(it.input.read_line()).await.transpose();
            assert!(read.is_ok(), "over {transport}, after {round} stalls: {read:?}");
            if read?.is_none() {
                it.input.read_line().await?;
            }
        }
        assert!(poll_once(it.input.read_line()).await.is_none());
        clock.advance(LIMIT);
        assert!(it.input.read_line().await.is_err_and(|error| error.is_timeout()));
        Ok(())
    });
}

#[test]
fn what_the_peer_took_during_a_stall_counts_although_the_limit_on_writing_has_passed() {
    with_clock_on_a_worker(async |selector, clock| {
        let (mut it, mut peer) = pair_with_plain_peer(&selector).await?;
        it.socket.set_write_timeout(LIMIT);
        for round in 1..=ROUNDS {
            fill(&selector, &mut it).await?;
            stall(&clock, LIMIT, || take(&mut peer));
            // In the same poll, before the worker can look.
            for _ in 0..2 {
                let flushed = poll_once(it.output.flush()).await.transpose();
                assert!(flushed.is_ok(), "after {round} stalls: {flushed:?}");
            }
            settle().await;
            assert!(!it.socket.is_closed(), "after {round} stalls");
        }
        it.socket.abort();
        Ok(())
    });
}

// ---- a user's own limits ------------------------------------------------------------------------

#[test]
fn what_arrived_during_a_stall_is_read_although_the_users_limit_has_passed() {
    on_every_transport_with_clock_on_a_worker(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        for round in 1..=ROUNDS {
            let mut reading = pin!(selector.timeout(LIMIT, it.input.read_line()));
            assert!(poll_once(reading.as_mut()).await.is_none());
            settle().await;
            stall(&clock, LIMIT, || send_line(&mut peer.output));
            let read = reading.await;
            assert!(read.is_ok(), "timeout over {transport}, after {round} stalls: {read:?}");
        }
        for round in 1..=ROUNDS {
            let mut reading = pin!(or(async { Some(it.input.read_line().await) }, async {
                selector.sleep(LIMIT).await;
                None
            },));
            assert!(poll_once(reading.as_mut()).await.is_none());
            settle().await;
            stall(&clock, LIMIT, || send_line(&mut peer.output));
            let read = reading.await;
            assert!(read.is_some(), "sleep over {transport}, after {round} stalls");
        }
        let silence = selector.timeout(LIMIT, it.input.read_line());
        let mut silence = pin!(silence);
        assert!(poll_once(silence.as_mut()).await.is_none());
        clock.advance(LIMIT);
        assert!(silence.await.is_err_and(|error| error.is_timeout()));
        Ok(())
    });
}

/// More of them than one look brings: it is not the first of them alone that count.
#[test]
fn all_that_arrived_during_a_stall_is_read_from_very_many_connections() {
    const CONNECTIONS: usize = 300;
    with_clock_on_a_worker(async |selector, clock| {
        let mut peers = Vec::new();
        let mut reading = Vec::new();
        for _ in 0..CONNECTIONS {
            let (mut it, peer) = Transport::Tcp.pair(&selector).await?;
            peers.push(peer);
            let limited = selector.clone();
            reading.push(selector.spawn_value(async move {
                limited.timeout(LIMIT, async { it.input.read_line().await }).await
            }));
        }
        until(|| selector.stats().timers == CONNECTIONS).await;
        settle().await;
        // The timers go off in the order of the connections, so that the first of them are asked
        // before the look that brings theirs.
        let send = || peers.iter_mut().rev().for_each(|peer| send_line(&mut peer.output));
        stall(&clock, LIMIT, send);
        let mut late = 0;
        for reading in reading {
            late += usize::from(reading.await?.is_err());
        }
        assert_eq!(late, 0, "of {CONNECTIONS}");
        Ok(())
    });
}

/// The worker is held up by the very task that asks whether the time is up.
#[test]
fn a_task_that_never_gives_way_sees_the_end_of_its_sleep() {
    with_clock_on_a_worker(async |selector, clock| {
        let mut sleep = pin!(selector.sleep(LIMIT));
        assert!(poll_once(sleep.as_mut()).await.is_none());
        clock.advance(just_before(LIMIT));
        for _ in 0..1000 {
            assert!(poll_once(sleep.as_mut()).await.is_none());
        }
        clock.advance(LIMIT);
        while poll_once(sleep.as_mut()).await.is_none() {}
        assert_eq!(selector.stats().timers, 0);
        Ok(())
    });
}

/// The thread that waits is not the worker's: it may look at its read before the worker has.
#[test]
fn what_arrived_during_a_stall_is_read_by_another_thread_in_time() {
    const STALLS: usize = 200;
    with_clock_on_a_worker(async |selector, clock| {
        let (mut it, mut peer) = Transport::Tcp.pair(&selector).await?;
        let mut late = 0;
        for _ in 0..STALLS {
            let limited = selector.clone();
            let elsewhere = thread::spawn(move || {
                let read = block_on(
                    limited.timeout(LIMIT, async { it.input.read_line().await.map(drop) }),
                );
                (it, read)
            });
            until(|| selector.stats().timers == 1).await;
            settle().await;
            stall(&clock, LIMIT, || send_line(&mut peer.output));
            until(|| elsewhere.is_finished()).await;
            let read;
            (it, read) = elsewhere.join().unwrap();
            if read.is_err() {
                late += 1;
                it.input.read_line().await?;
            }
        }
        assert_eq!(late, 0, "of {STALLS}");
        Ok(())
    });
}
