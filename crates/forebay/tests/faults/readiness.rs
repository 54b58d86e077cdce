//! The rules by which readiness is kept and forgotten: each test hangs, and is ended by its
//! watchdog, where one of them is broken.
//!
//! The selector's worker is this thread. While a test blocks it, what peers send piles up in the
//! kernel, and comes out in one event. Where that is awaited, by `wait_for_unread`, the one worker polls the test.

#![cfg(target_os = "linux")]

use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use forebay::{ByteReadChannel, JoinHandle, Result, SelectorManager, ServerSocket, Socket};
use forebay_testing::{
    Child, KIB, dial, end_and_arrive, is_gone, listener, other_end, pair, pattern, read_to_end,
    report, reset, role, run, run_on_one_worker, say, settle, size, skip, until, wait_for, watched,
    watched_for,
};
use futures_lite::future::yield_now;
use socket2::SockRef;

/// A reading task's result: the bytes, and whether it came to a clean end.
type Got = (Vec<u8>, bool);

/// A task that reads to the end, and how often it was polled. It waits already.
async fn reading(
    selector: &SelectorManager,
    mut input: ByteReadChannel,
) -> (JoinHandle<Got>, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let mut reading = Box::pin(async move {
        let mut bytes = Vec::new();
        loop {
            match input.read_chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break (bytes, true),
                Err(_) => break (bytes, false),
            }
        }
    });
    let task = selector.spawn_value(poll_fn(move |cx| {
        counted.fetch_add(1, SeqCst);
        reading.as_mut().poll(cx)
    }));
    until(|| polls.load(SeqCst) > 0).await;
    (task, polls)
}

/// Waits, without letting the worker go on, until so much has arrived and was not received.
fn wait_for_unread(peer: &TcpStream, bytes: usize) {
    wait_for(|| other_end(peer).is_some_and(|it| it.unread >= bytes));
}

fn send_urgent(peer: &TcpStream, byte: u8) {
    assert_eq!(SockRef::from(peer).send_out_of_band(&[byte]).unwrap(), 1);
}

// ---- the flags stay -----------------------------------------------------------------------------

/// A receive that brings less than it could take says that there is no more, unless the peer has
/// ended: the end brings no event of its own.
#[test]
fn an_end_mark_behind_a_short_receive_is_seen() {
    run(async |selector| {
        for length in [1, 100, 40 * KIB] {
            let (socket, mut peer) = pair(&selector).await?;
            let (task, _) = reading(&selector, socket.open_read_channel()?).await;
            let data = pattern(length);
            peer.write_all(&data).unwrap();
            end_and_arrive(&peer);
            assert_eq!(task.await?, (data, true));
        }
        Ok(())
    });
}

/// The same where one task reads and looks for the end only later.
#[test]
fn an_end_mark_behind_a_short_receive_is_seen_later() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut input = socket.open_read_channel()?;
        peer.write_all(b"one\n").unwrap();
        assert_eq!(input.read_line().await?.as_deref(), Some("one"));
        // Watched from here on.
        assert!(selector.within(std::time::Duration::ZERO, input.read_line()).await.is_none());
        peer.write_all(b"two\n").unwrap();
        end_and_arrive(&peer);
        assert_eq!(input.read_line().await?.as_deref(), Some("two"));
        settle().await;
        assert_eq!(input.read_line().await?, None);
        assert_eq!(input.read_line().await?, None);
        Ok(())
    });
}

#[test]
fn a_reset_behind_a_short_receive_is_seen() {
    run_on_one_worker(async |selector| {
        for length in [1, 100, 40 * KIB] {
            let (socket, mut peer) = pair(&selector).await?;
            let (task, _) = reading(&selector, socket.open_read_channel()?).await;
            let data = pattern(length);
            peer.write_all(&data).unwrap();
            wait_for_unread(&peer, length);
            let (there, here) = (peer.local_addr().unwrap(), peer.peer_addr().unwrap());
            reset(peer);
            wait_for(|| is_gone(here, there));
            assert_eq!(task.await?, (data, false));
        }
        Ok(())
    });
}

// ---- urgent data --------------------------------------------------------------------------------

/// A receive stops short at the urgent mark, and behind the mark there is more.
#[test]
fn data_behind_the_urgent_mark_is_delivered() {
    run_on_one_worker(async |selector| {
        let mut expected = 0;
        for (before, behind) in [(2, 2), (0, 5), (5, 0), (1000, 40_000), (30_000, 1)] {
            let (socket, mut peer) = pair(&selector).await?;
            let (task, _) = reading(&selector, socket.open_read_channel()?).await;
            let data = pattern(before + behind);
            peer.write_all(&data[..before]).unwrap();
            send_urgent(&peer, b'!');
            peer.write_all(&data[before..]).unwrap();
            wait_for_unread(&peer, before + behind);
            // No end mark, no further event: what is there must come out by itself.
            expected += data.len() as u64;
            until(|| selector.stats().received_bytes == expected).await;
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(task.await?, (data, true));
        }
        Ok(())
    });
}

/// Urgent data is not delivered in line; it neither ends nor disturbs the stream, and does not wake
/// a waiting reader again and again.
#[test]
fn urgent_data_never_spins() {
    const TURNS: usize = 1000;
    run_on_one_worker(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let (task, polls) = reading(&selector, socket.open_read_channel()?).await;
        let mut sent = Vec::new();
        for round in 0..20 {
            send_urgent(&peer, b'!');
            wait_for_unread(&peer, 1);
            let before = polls.load(SeqCst);
            for _ in 0..TURNS {
                yield_now().await;
            }
            let woken = polls.load(SeqCst) - before;
            assert!(woken <= 2, "{woken} polls in {TURNS} turns");
            let data = pattern(10 + round);
            peer.write_all(&data).unwrap();
            sent.extend_from_slice(&data);
            until(|| selector.stats().received_bytes == sent.len() as u64).await;
        }
        send_urgent(&peer, b'!');
        end_and_arrive(&peer);
        assert_eq!(task.await?, (sent, true));
        Ok(())
    });
}

// ---- the tick -----------------------------------------------------------------------------------

/// This thread waits beside the worker's own, so that events are noted while calls are made: one
/// that comes between `EAGAIN` and the forgetting must not be forgotten.
#[test]
fn no_event_between_eagain_and_the_forgetting_is_lost() {
    let rounds = size("FOREBAY_ROUNDS", 8_000, 100_000);
    let connections = size("FOREBAY_CONNECTIONS", 50, 200);
    let rounds = watched_for(2 * forebay_testing::PATIENCE, move || {
        let selector = SelectorManager::new();
        // Has a thread of the selector's own drive it.
        let forever = selector.spawn(pending());
        let rounds = selector.block_on(async {
            let mut done = ping_pong(&selector, rounds).await?;
            let mut random = Random(0x5eed);
            for _ in 0..connections {
                done += ping_pong(&selector, random.below(100)).await?;
            }
            Result::Ok(done)
        });
        forever.abort();
        rounds.unwrap()
    });
    report(&format!("no event was lost in {rounds} rounds over {} connections", 1 + connections));
}

/// The same, but `strace` holds the thread up behind each receive, so that the next byte always
/// arrives between a receive that was short and the forgetting.
#[test]
fn no_event_behind_a_slow_receive_is_lost() {
    const NAME: &str = "no_event_behind_a_slow_receive_is_lost";
    const DELAY: [&str; 6] =
        ["strace", "-f", "-o", "/dev/null", "-e", "inject=recvfrom:delay_exit=20000"];
    if role().is_some() {
        return answer_beside();
    }
    if !Child::can_trace(&DELAY) {
        return skip(NAME, "strace is missing, may not trace, or cannot delay");
    }
    let bytes_count = size("FOREBAY_ROUNDS", 12, 50);
    watched(move || {
        let mut child = Child::start_under(&DELAY, NAME, "answers");
        let mut peer = dial(child.hear_number());
        for _ in 0..bytes_count {
            peer.write_all(b"x").unwrap();
            // The receive was made, and has not returned yet.
            wait_for(|| other_end(&peer).is_some_and(|it| it.unread == 0));
        }
        peer.shutdown(Shutdown::Write).unwrap();
        let (bytes, error) = read_to_end(&mut peer);
        assert_eq!(bytes, vec![b'x'; bytes_count]);
        assert!(error.is_none());
        child.end();
    });
}

/// Answers byte by byte, on a thread beside the worker's own.
fn answer_beside() {
    let selector = SelectorManager::new();
    let forever = selector.spawn(pending());
    let answered = selector.block_on(async {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let mut it = server.accept().await?.connection()?;
        while let Some(bytes) = it.input.read_chunk().await? {
            it.output.write_bytes(bytes).await?;
        }
        it.socket.close().await
    });
    answered.unwrap();
    forever.abort();
}

/// So many rounds of one byte, then the peer's end mark.
async fn ping_pong(selector: &SelectorManager, rounds: usize) -> Result<usize> {
    let (socket, mut peer) = pair(selector).await?;
    let mut it = socket.connection()?;
    let pongs = thread::spawn(move || {
        // Looks again and again, so that it answers while the other side still comes to its wait.
        peer.set_nonblocking(true).unwrap();
        let mut byte = [0];
        for _ in 0..rounds {
            while peer.read(&mut byte).is_err() {
                std::hint::spin_loop();
            }
            peer.write_all(&byte).unwrap();
        }
        peer.shutdown(Shutdown::Write).unwrap();
        peer.set_nonblocking(false).unwrap();
        assert_eq!(peer.read(&mut byte).unwrap(), 0);
    });
    for round in 0..rounds {
        let byte = round.to_le_bytes()[0];
        it.output.write_u8(byte).await?;
        assert_eq!(it.input.read_u8().await?, byte);
    }
    assert_eq!(it.input.read_chunk().await?, None);
    it.output.finish().await?;
    pongs.join().unwrap();
    Ok(rounds)
}

/// Numbers that look random and are always the same (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

// ---- accepting ----------------------------------------------------------------------------------

fn accepting(selector: &SelectorManager, server: &ServerSocket) -> JoinHandle<Result<Socket>> {
    let server = server.clone();
    selector.spawn_value(async move { server.accept().await })
}

/// Connections that arrive in one event go to as many waiters.
#[test]
fn several_waiters_get_several_connections() {
    const WAITERS: usize = 16;
    run(async |selector| {
        let server = listener(&selector).await?;
        for _ in 0..10 {
            let waiters: Vec<_> = (0..WAITERS).map(|_| accepting(&selector, &server)).collect();
            settle().await;
            let peers: Vec<_> = (0..WAITERS).map(|_| dial(server.port())).collect();
            let mut accepted = Vec::new();
            for waiter in waiters {
                accepted.push(waiter.await??.remote_address());
            }
            accepted.sort_unstable();
            let mut dialled: Vec<_> =
                peers.iter().map(|peer| peer.local_addr().unwrap().into()).collect();
            dialled.sort_unstable();
            assert_eq!(accepted, dialled);
        }
        Ok(())
    });
}

/// One connection wakes all, one gets it, and the rest go on waiting for theirs.
#[test]
fn who_loses_the_race_for_a_connection_waits_for_the_next() {
    const WAITERS: usize = 8;
    run(async |selector| {
        let server = listener(&selector).await?;
        let mut waiters: Vec<_> = (0..WAITERS).map(|_| accepting(&selector, &server)).collect();
        for left in (0..WAITERS).rev() {
            let _peer = dial(server.port());
            until(|| waiters.iter().any(JoinHandle::is_finished)).await;
            settle().await;
            waiters.retain(|waiter| !waiter.is_finished());
            assert_eq!(waiters.len(), left);
        }
        Ok(())
    });
}

/// Connections that wait behind the one that was accepted bring no event of their own.
#[test]
fn one_waiter_gets_all_that_came_in_one_event() {
    run(async |selector| {
        let server = listener(&selector).await?;
        let first = accepting(&selector, &server);
        yield_now().await;
        let _peers: Vec<_> = (0..100).map(|_| dial(server.port())).collect();
        first.await??;
        for _ in 1..100 {
            server.accept().await?;
        }
        Ok(())
    });
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// An `accept` that the test polls itself.
struct ByHand<'a> {
    accept: Pin<Box<dyn Future<Output = Result<Socket>> + Send + 'a>>,
    woken: Arc<Woken>,
}

impl<'a> ByHand<'a> {
    /// It waits already.
    fn new(server: &'a ServerSocket) -> Self {
        let mut it = Self { accept: Box::pin(server.accept()), woken: Arc::default() };
        assert!(it.poll().is_pending());
        it
    }

    fn poll(&mut self) -> Poll<Result<Socket>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.accept.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(SeqCst) > 0
    }
}

#[test]
fn a_dropped_waiter_does_not_swallow_the_wake_up() {
    run(async |selector| {
        let server = listener(&selector).await?;
        let clone = server.clone();
        for dropped_after_being_woken in [true, false] {
            for first in [true, false] {
                let (mut dropped, mut stays) = (ByHand::new(&server), ByHand::new(&clone));
                if !first {
                    std::mem::swap(&mut dropped, &mut stays);
                }
                let _peer;
                if dropped_after_being_woken {
                    _peer = dial(server.port());
                    until(|| dropped.is_woken()).await;
                    drop(dropped);
                } else {
                    drop(dropped);
                    _peer = dial(server.port());
                }
                until(|| stays.is_woken()).await;
                assert!(matches!(stays.poll(), Poll::Ready(Ok(_))));
            }
        }
        // Once the woken task is gone, the next call gets the connection.
        let dropped = ByHand::new(&server);
        let _peer = dial(server.port());
        until(|| dropped.is_woken()).await;
        drop(dropped);
        clone.accept().await?;
        Ok(())
    });
}

/// A waiter that has moved to another task is woken there.
#[test]
fn a_waiter_is_woken_by_its_newest_waker() {
    run(async |selector| {
        let server = listener(&selector).await?;
        let mut moved = ByHand::new(&server);
        let old = std::mem::take(&mut moved.woken);
        assert!(moved.poll().is_pending());
        let _peer = dial(server.port());
        until(|| moved.is_woken()).await;
        assert_eq!(old.0.load(SeqCst), 0);
        assert!(matches!(moved.poll(), Poll::Ready(Ok(_))));
        Ok(())
    });
}
