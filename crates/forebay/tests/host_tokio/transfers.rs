//! A runtime ends in mid-transfer: what was accepted arrives, and what is read goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use forebay::{Connection, SelectorManager};
use forebay_testing::{
    KIB, MIB, alone, await_that, descriptors, dial, pattern, read_to_end, size, wait_for,
    watched_for,
};
use futures_lite::future::{block_on, poll_once};
use tokio::runtime::Runtime;

use crate::support::{current_thread, multi_thread, nothing_left, warmed_up};

const PATIENCE: Duration = Duration::from_secs(120);

/// A way of ending a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Drop,
    Background,
    Timeout,
    OtherThread,
}

const WAYS: [Way; 4] = [Way::Drop, Way::Background, Way::Timeout, Way::OtherThread];

impl Way {
    fn end(self, runtime: Runtime) {
        match self {
            Self::Drop => drop(runtime),
            Self::Background => runtime.shutdown_background(),
            Self::Timeout => runtime.shutdown_timeout(Duration::from_millis(1)),
            Self::OtherThread => thread::spawn(move || drop(runtime)).join().unwrap(),
        }
    }
}

/// Runs the test for each kind of runtime and each way of its end, and counts what is left.
fn on_each_end(name: &str, test: impl Fn(Runtime, Way, &SelectorManager) + Copy + Send + 'static) {
    alone(name, || {
        warmed_up();
        let before = descriptors();
        for runtime in [current_thread, multi_thread] {
            for way in WAYS {
                watched_for(PATIENCE, move || {
                    let selector = SelectorManager::new();
                    test(runtime(), way, &selector);
                    wait_for(|| selector.stats().sockets == 0);
                    block_on(selector.close());
                    await_that("nothing of the selector's is left", || is_at_rest(&selector));
                });
                nothing_left(&before);
            }
        }
    });
}

fn is_at_rest(selector: &SelectorManager) -> bool {
    let stats = selector.stats();
    (stats.tasks, stats.timers, stats.blocks) == (0, 0, 0)
}

/// A connection that was accepted in the runtime, and its peer.
fn accepted(runtime: &Runtime, selector: &SelectorManager) -> (Connection, TcpStream) {
    runtime.block_on(async {
        let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
        let peer = dial(server.port());
        (server.accept().await.unwrap().connection().unwrap(), peer)
    })
}

/// The task that writes is dropped with its runtime, and its connection with it.
#[test]
fn what_a_task_has_written_arrives_after_its_runtime() {
    on_each_end("what_a_task_has_written_arrives_after_its_runtime", |runtime, way, selector| {
        let (mut it, mut peer) = accepted(&runtime, selector);
        let piece = pattern(100 * KIB);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let sent = piece.clone();
        let writing = runtime.spawn(async move {
            while it.output.write_all(&sent).await.is_ok() {
                count.fetch_add(sent.len(), SeqCst);
            }
        });
        // A runtime of one thread runs only here.
        runtime.block_on(forebay_testing::until(|| accepted.load(SeqCst) >= 5 * piece.len()));
        let mut received = vec![0; 3 * piece.len()];
        peer.read_exact(&mut received).unwrap();
        runtime.block_on(tokio::task::yield_now());
        way.end(runtime);
        let (rest, error) = read_to_end(&mut peer);
        assert!(error.is_none(), "{way:?}: {error:?}");
        received.extend(rest);
        let accepted = accepted.load(SeqCst);
        assert!(received.len() >= accepted, "{way:?}: {} of {accepted}", received.len());
        let right = received.chunks(piece.len()).all(|chunk| *chunk == piece[..chunk.len()]);
        assert!(right, "{way:?}: other bytes");
        drop(writing);
    });
}

/// The connection is held elsewhere, and nothing waits for what is queued.
#[test]
fn what_is_queued_arrives_without_a_wait_after_the_runtime() {
    on_each_end(
        "what_is_queued_arrives_without_a_wait_after_the_runtime",
        |runtime, way, selector| {
            let (mut it, mut peer) = accepted(&runtime, selector);
            let sent = pattern(16 * MIB);
            runtime.block_on(it.output.write_bytes(sent.clone().into())).unwrap();
            way.end(runtime);
            let mut received = vec![0; sent.len()];
            peer.read_exact(&mut received).unwrap();
            assert!(received == sent, "{way:?}");
            it.socket.abort();
        },
    );
}

/// The rest is read without a runtime, or in another one.
#[test]
fn a_large_transfer_is_read_on_after_its_runtime() {
    on_each_end("a_large_transfer_is_read_on_after_its_runtime", |runtime, way, selector| {
        let all = size("FOREBAY_TRANSFER_MIB", 32, 1024);
        let (it, mut peer) = accepted(&runtime, selector);
        let Connection { mut input, socket, .. } = it;
        let piece = Arc::new(pattern(MIB));
        let sent = Arc::clone(&piece);
        let sending = thread::spawn(move || {
            (0..all).for_each(|_| peer.write_all(&sent).unwrap());
        });
        let mut count = 0;
        let mut read = async |until: usize| {
            while count < until {
                let chunk = input.read_chunk().await.unwrap().expect("more");
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    let at = count % MIB;
                    let (head, tail) = rest.split_at(rest.len().min(MIB - at));
                    assert!(*head == piece[at..at + head.len()], "{way:?}: other bytes at {count}");
                    (count, rest) = (count + head.len(), tail);
                }
            }
        };
        runtime.block_on(read(all * MIB / 3));
        way.end(runtime);
        block_on(read(all * MIB / 2));
        multi_thread().block_on(read(all * MIB));
        sending.join().unwrap();
        assert_eq!(block_on(input.read_chunk()).unwrap(), None);
        drop((input, socket));
    });
}

/// The runtime ends on one thread while two others end the connection, each in its own way.
#[test]
fn a_runtime_ends_beside_closes_aborts_and_drops() {
    alone("a_runtime_ends_beside_closes_aborts_and_drops", || {
        warmed_up();
        let before = descriptors();
        for round in 0..size("FOREBAY_HOST_ROUNDS", 60, 1000) {
            watched_for(PATIENCE, move || beside(round));
        }
        nothing_left(&before);
    });
}

fn beside(round: usize) {
    let runtime = if round.is_multiple_of(2) { current_thread() } else { multi_thread() };
    let selector = SelectorManager::builder().on_task_error(|_| ()).build().unwrap();
    let (it, mut peer) = accepted(&runtime, &selector);
    let Connection { mut input, mut output, socket, .. } = it;
    runtime.block_on(async {
        output.write_bytes(pattern(6 * MIB).into()).await.unwrap();
        assert!(poll_once(input.read_u8()).await.is_none());
    });
    let other = socket.clone();
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        scope.spawn(|| {
            barrier.wait();
            WAYS[round / 2 % 4].end(runtime);
        });
        scope.spawn(|| {
            barrier.wait();
            match round % 3 {
                1 if !round.is_multiple_of(5) => drop(block_on(input.read_u8())),
                0 | 1 => drop((input, output)),
                _ => drop(block_on(output.finish())),
            }
        });
        scope.spawn(|| {
            barrier.wait();
            match round % 5 {
                0 => drop((socket, other)),
                1 | 2 => drop(block_on(socket.close())),
                _ => socket.abort(),
            }
        });
        scope.spawn(|| {
            barrier.wait();
            let (received, error) = read_to_end(&mut peer);
            let is_whole = received.len() == 6 * MIB;
            assert!(is_whole || error.is_some() || round % 5 > 2, "{} bytes", received.len());
            drop(peer);
        });
    });
    await_that("the connection has ended", || selector.stats().sockets == 0);
    block_on(selector.close());
    await_that("nothing of the selector's is left", || is_at_rest(&selector));
}

/// Threads of a runtime watch sockets for the first time at the moment when it ends: none loses its
/// descriptor.
#[test]
fn a_runtime_that_ends_takes_no_socket_along() {
    alone("a_runtime_that_ends_takes_no_socket_along", || {
        warmed_up();
        let before = descriptors();
        for round in 0..size("FOREBAY_HOST_ROUNDS", 60, 1000) {
            watched_for(PATIENCE, move || first_waits_beside_the_end(round));
        }
        nothing_left(&before);
    });
}

fn first_waits_beside_the_end(round: usize) {
    const SOCKETS: usize = 40;
    let runtime = if round.is_multiple_of(2) { current_thread() } else { multi_thread() };
    let selector = SelectorManager::new();
    let server = block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
    let mut pairs: Vec<_> = (0..2 * SOCKETS)
        .map(|_| {
            let peer = dial(server.port());
            (block_on(server.accept()).unwrap().connection().unwrap(), peer)
        })
        .collect();
    // The guest is there before.
    runtime.block_on(async {
        assert!(poll_once(pairs[0].0.input.read_u8()).await.is_none());
    });
    let handle = runtime.handle().clone();
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        let (left, right) = pairs.split_at_mut(SOCKETS);
        for half in [left, right] {
            let (handle, barrier) = (handle.clone(), &barrier);
            scope.spawn(move || {
                let _inside = handle.enter();
                barrier.wait();
                for (it, _) in half {
                    let first = block_on(poll_once(it.input.read_u8()));
                    assert!(first.is_none(), "a first wait ended: {first:?}");
                }
            });
        }
        barrier.wait();
        for _ in 0..round % 20 {
            thread::yield_now();
        }
        drop(runtime);
    });
    for (it, peer) in &mut pairs {
        peer.write_all(b"x").unwrap();
        assert_eq!(block_on(it.input.read_u8()).unwrap(), b'x');
        it.socket.abort();
    }
    drop((pairs, server));
    block_on(selector.close());
}
