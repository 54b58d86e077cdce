use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use std::task::{Context, Poll};

use super::*;
use crate::host::{Direction, Hangup, Progress};

/// A poll and the descriptors that it watches.
struct Bench {
    poll: mio::Poll,
    slots: Arc<Slots>,
}

impl Bench {
    fn new() -> Self {
        Self { poll: mio::Poll::new().expect("a descriptor is left"), slots: Arc::default() }
    }

    fn register(&self, fd: &impl AsFd) -> WorkerReady {
        let registered = self.slots.register(self.poll.registry(), fd.as_fd(), both_directions());
        registered.expect("an open descriptor")
    }

    /// Returns the kernel's events, of which there is at least one.
    fn events(&mut self) -> mio::Events {
        let mut events = mio::Events::with_capacity(8);
        self.poll.poll(&mut events, Some(Duration::from_secs(30))).expect("no signal comes");
        assert!(!events.is_empty(), "the kernel has nothing to say");
        events
    }

    /// Applies the kernel's events, and wakes.
    fn turn(&mut self) {
        let events = self.events();
        note(&self.slots, &events);
    }
}

fn note(slots: &Slots, events: &mio::Events) {
    let mut woken = Vec::new();
    slots.note(events.iter(), &mut woken);
    woken.into_iter().for_each(Waker::wake);
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

/// Polls one wait. Returns how often the call ran, and its result.
fn poll_with(
    ready: &WorkerReady,
    direction: Direction,
    woken: &Arc<Wakes>,
    mut call: impl FnMut() -> io::Result<Progress>,
) -> (usize, Poll<io::Result<Progress>>) {
    let waker = Waker::from(Arc::clone(woken));
    let mut calls = 0;
    let outcome = ready.slot().poll_io(&mut Context::from_waker(&waker), direction, || {
        calls += 1;
        call()
    });
    (calls, outcome)
}

fn would_block() -> io::Result<Progress> {
    Err(io::ErrorKind::WouldBlock.into())
}

const MOVED: Progress = Progress { count: 1, drained: false };
const EMPTIED: Progress = Progress { count: 1, drained: true };

/// Returns how often a wait tries a call that finds nothing.
fn tries(ready: &WorkerReady, direction: Direction) -> usize {
    let (calls, outcome) = poll_with(ready, direction, &Arc::default(), would_block);
    assert!(outcome.is_pending());
    calls
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
    let (server, _) = listener.accept().expect("connected");
    (client, server)
}

#[test]
fn only_a_write_is_tried_before_the_first_event() {
    let bench = Bench::new();
    let (stream, _peer) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&stream);
    assert_eq!(tries(&ready, Direction::Read), 0);
    assert_eq!(tries(&ready, Direction::Write), 1);
    // The call returned `EAGAIN`, so that the next wait is for the event.
    assert_eq!(tries(&ready, Direction::Write), 0);
}

#[test]
fn an_event_wakes_the_direction_it_is_about() {
    let mut bench = Bench::new();
    let (stream, mut peer) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&stream);
    bench.turn();
    let (reader, writer) = (Arc::default(), Arc::default());
    assert!(poll_with(&ready, Direction::Read, &reader, would_block).1.is_pending());
    assert!(poll_with(&ready, Direction::Write, &writer, would_block).1.is_pending());

    peer.write_all(b"x").expect("room");
    bench.turn();
    assert_eq!(reader.take(), 1);
    let (calls, outcome) = poll_with(&ready, Direction::Read, &reader, || Ok(MOVED));
    assert_eq!((calls, outcome.is_ready()), (1, true));
}

#[test]
fn a_waker_is_woken_once_and_only_the_last_one() {
    let mut bench = Bench::new();
    let (stream, mut peer) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&stream);
    bench.turn();
    let (first, second) = (Arc::default(), Arc::default());
    for wakes in [&first, &second] {
        assert!(poll_with(&ready, Direction::Read, wakes, would_block).1.is_pending());
    }
    for _ in 0..2 {
        peer.write_all(b"x").expect("room");
        bench.turn();
    }
    assert_eq!((first.take(), second.take()), (0, 1));
}

#[test]
fn an_event_of_a_descriptor_that_is_gone_is_nobodys() {
    let mut bench = Bench::new();
    let (old, _peer_of_old) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&old);
    let stale = bench.events();
    drop((ready, old));
    assert_eq!(bench.slots.len(), 0);

    // The next one has the same place in the table, with the next generation.
    let (new, _peer) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&new);
    assert_eq!(stale.iter().next().map(|event| event.token().0 & INDEX_MASK), Some(0));
    assert_eq!(ready.token.0 & INDEX_MASK, 0);
    let wakes = Arc::default();
    assert!(poll_with(&ready, Direction::Write, &wakes, would_block).1.is_pending());
    note(&bench.slots, &stale);
    assert_eq!(wakes.take(), 0, "woken by another descriptor's event");
    assert_eq!(tries(&ready, Direction::Write), 0, "ready by another descriptor's event");

    bench.turn();
    assert_eq!(tries(&ready, Direction::Write), 1, "its own event counts");
}

#[test]
fn no_descriptor_gets_a_token_of_the_polls_own() {
    let mut table = Table { generation: INDEX_MASK - 3, ..Table::default() };
    let tokens: Vec<usize> = (0..6).map(|_| table.insert(Arc::default()).0).collect();
    assert!(tokens.iter().all(|token| token >> INDEX_BITS != INDEX_MASK), "{tokens:x?}");
    let generations: Vec<usize> = tokens.iter().map(|token| token >> INDEX_BITS).collect();
    assert_eq!(generations[..4], [INDEX_MASK - 2, INDEX_MASK - 1, 0, 1]);
}

#[test]
fn an_event_during_the_call_is_not_cleared_with_it() {
    let mut bench = Bench::new();
    let (stream, mut peer) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&stream);
    peer.write_all(b"x").expect("room");
    bench.turn();

    // The call finds nothing, and an event comes before that is recorded.
    peer.write_all(b"x").expect("room");
    let newer = bench.events();
    let slots = Arc::clone(&bench.slots);
    let mut newer = Some(newer);
    let (calls, outcome) =
        poll_with(&ready, Direction::Read, &Arc::default(), || match newer.take() {
            Some(newer) => {
                note(&slots, &newer);
                would_block()
            }
            None => Ok(MOVED),
        });
    assert_eq!((calls, outcome.is_ready()), (2, true), "the newer event is lost");
}

#[test]
fn only_a_call_that_found_nothing_clears() {
    let mut bench = Bench::new();
    let (stream, mut peer) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&stream);
    peer.write_all(b"x").expect("room");
    bench.turn();
    let wakes = Arc::default();
    for _ in 0..3 {
        let (calls, outcome) = poll_with(&ready, Direction::Read, &wakes, || Ok(MOVED));
        assert_eq!((calls, outcome.is_ready()), (1, true));
    }
    assert_eq!(tries(&ready, Direction::Read), 1, "it was ready until now");
    assert_eq!(tries(&ready, Direction::Read), 0, "and is not any more");
    assert_eq!(tries(&ready, Direction::Write), 1, "the other direction is its own");
}

#[test]
fn a_call_that_emptied_the_kernel_clears() {
    let mut bench = Bench::new();
    let (mut client, server) = tcp_pair();
    let ready = bench.register(&server);
    client.write_all(b"x").expect("room");
    bench.turn();
    let (calls, outcome) = poll_with(&ready, Direction::Read, &Arc::default(), || Ok(EMPTIED));
    assert_eq!((calls, outcome.is_ready()), (1, true));
    assert_eq!(tries(&ready, Direction::Read), 0);
}

#[test]
fn behind_the_end_an_empty_kernel_does_not_clear() {
    let mut bench = Bench::new();
    let (mut client, server) = tcp_pair();
    let ready = bench.register(&server);
    client.write_all(b"x").expect("room");
    client.shutdown(Shutdown::Write).expect("connected");
    // Data and end may come in two events; what counts is that the end has been seen.
    let mut cx = Context::from_waker(Waker::noop());
    while ready.slot().poll_hangup(&mut cx, Hangup::default()).is_pending() {
        bench.turn();
    }
    let (calls, outcome) = poll_with(&ready, Direction::Read, &Arc::default(), || Ok(EMPTIED));
    assert_eq!((calls, outcome.is_ready()), (1, true));
    assert_eq!(tries(&ready, Direction::Read), 1, "the end is still to be read");
    assert_eq!(tries(&ready, Direction::Read), 1, "and stays so for ever");
}

#[test]
fn a_wake_has_both_directions_try_again() {
    let mut bench = Bench::new();
    let (stream, _peer) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&stream);
    bench.turn();
    let (reader, writer): (Arc<Wakes>, Arc<Wakes>) = Default::default();
    assert!(poll_with(&ready, Direction::Read, &reader, would_block).1.is_pending());
    assert!(poll_with(&ready, Direction::Write, &writer, would_block).1.is_pending());
    let mut woken = Vec::new();
    ready.slot().take_all(&mut woken);
    assert_eq!((reader.take(), writer.take()), (0, 0), "woken under the caller's lock");
    woken.into_iter().for_each(Waker::wake);
    assert_eq!((reader.take(), writer.take()), (1, 1));
    assert_eq!(tries(&ready, Direction::Read), 1);
    assert_eq!(tries(&ready, Direction::Write), 1);
}

#[test]
fn take_all_has_everybody_try_again() {
    let bench = Bench::new();
    let pairs: Vec<_> = (0..5).map(|_| UnixStream::pair().expect("a pair")).collect();
    let watched: Vec<_> = pairs
        .iter()
        .flat_map(|(left, right)| [bench.register(left), bench.register(right)])
        .collect();
    assert_eq!(bench.slots.len(), 10);
    let wakes = Arc::<Wakes>::default();
    for ready in &watched {
        for direction in [Direction::Read, Direction::Write] {
            assert!(poll_with(ready, direction, &wakes, would_block).1.is_pending());
        }
    }
    let mut woken = Vec::new();
    bench.slots.take_all(&mut woken);
    assert_eq!((woken.len(), wakes.take()), (20, 0), "woken under the lock");
    woken.into_iter().for_each(Waker::wake);
    assert_eq!(wakes.take(), 20);
    for ready in &watched {
        assert_eq!(tries(ready, Direction::Read), 1);
        assert_eq!(tries(ready, Direction::Write), 1);
    }
    drop(watched);
    assert_eq!(bench.slots.len(), 0);
}

#[test]
fn a_wake_between_the_call_and_the_keeping_of_the_waker_is_seen() {
    let mut bench = Bench::new();
    let (stream, _peer) = UnixStream::pair().expect("a pair");
    let ready = bench.register(&stream);
    bench.turn();
    let mut woken = Vec::new();
    let mut first = true;
    let (calls, outcome) = poll_with(&ready, Direction::Write, &Arc::default(), || {
        if std::mem::take(&mut first) {
            bench.slots.take_all(&mut woken);
            return would_block();
        }
        Ok(MOVED)
    });
    assert_eq!((calls, outcome.is_ready(), woken.len()), (2, true, 0));
}
