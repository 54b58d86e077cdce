//! A descriptor that another thread releases, or a selector that another thread closes, at the moment
//! of the first wait: that wait is answered, and so is every later one.
//!
//! The moment lies between two instructions, so each test is a loop (`FOREBAY_ROUNDS` makes it
//! longer). `models/tests/registration.rs` has every order of the same threads.

#![cfg(unix)]

use std::hint::spin_loop;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{PATIENCE, Random, Transport, report, seed, size, watched_for};
use futures_lite::future::{block_on, poll_once};

/// The longest that one of the two threads lets the other run ahead.
const SPINS_MAX: usize = 2_000;

fn rounds(long: usize) -> usize {
    size("FOREBAY_ROUNDS", long / 8, long)
}

/// Lets two threads begin at the same moment, but for a few spins that differ from round to round.
struct Start {
    arrived: AtomicUsize,
    spins: [usize; 2],
}

impl Start {
    fn new(random: &mut Random) -> Arc<Self> {
        let spins = [random.below(SPINS_MAX), random.below(SPINS_MAX)];
        Arc::new(Self { arrived: AtomicUsize::new(0), spins })
    }

    fn begin(&self, thread: usize) {
        self.arrived.fetch_add(1, SeqCst);
        while self.arrived.load(SeqCst) < 2 {
            thread::yield_now();
        }
        for _ in 0..self.spins[thread] {
            spin_loop();
        }
    }
}

/// Runs `other` on a thread of its own beside `this` on the calling thread.
fn beside<T>(
    random: &mut Random,
    other: impl FnOnce() + Send + 'static,
    this: impl FnOnce() -> T,
) -> T {
    let start = Start::new(random);
    let started = Arc::clone(&start);
    let other = thread::spawn(move || {
        started.begin(0);
        other();
    });
    start.begin(1);
    let done = this();
    other.join().unwrap();
    done
}

async fn pair(selector: &SelectorManager, transport: Transport) -> (Connection, Connection) {
    transport.pair(selector).await.unwrap()
}

/// Everything is over by now, so a read that is not answered at once never is.
fn is_answered(it: &mut Connection) -> bool {
    let read: Option<Result<u8>> = soon(it.input.read_u8());
    assert!(read.as_ref().is_none_or(Result::is_err), "{read:?}");
    read.is_some()
}

/// The answer of a call that has nothing to wait for, but may give way first.
fn soon<T>(call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    (0..2).find_map(|_| block_on(poll_once(call.as_mut())))
}

/// Counts the rounds after which a read waits that nothing will ever end.
fn count(
    name: &'static str,
    rounds: usize,
    round: impl Fn(&mut Random, Transport) -> bool + Send + 'static,
) {
    let longest = PATIENCE + Duration::from_millis(10) * u32::try_from(rounds).unwrap();
    watched_for(longest, move || {
        let mut random = Random::new(seed(name), 0);
        let transports = [Transport::Tcp, Transport::Unix];
        let lost =
            (0..rounds).filter(|at| !round(&mut random, transports[at % transports.len()])).count();
        report(&format!("{name}: {lost} of {rounds} rounds left a read that waits forever"));
        assert_eq!(lost, 0, "of {rounds} rounds");
    });
}

#[test]
fn a_read_beside_an_abort_is_answered_and_so_is_the_next() {
    let selector = SelectorManager::new();
    count("read beside abort", rounds(4_000), move |random, transport| {
        let (mut it, _peer) = block_on(pair(&selector, transport));
        let socket = it.socket.clone();
        beside(
            random,
            move || socket.abort(),
            || {
                block_on(it.input.read_u8()).unwrap_err();
            },
        );
        is_answered(&mut it)
    });
}

#[test]
fn a_read_after_closed_beside_an_abort_is_answered() {
    let selector = SelectorManager::new();
    count("closed beside abort", rounds(4_000), move |random, transport| {
        let (mut it, _peer) = block_on(pair(&selector, transport));
        let socket = it.socket.clone();
        beside(random, move || socket.abort(), || block_on(it.socket.closed()));
        is_answered(&mut it)
    });
}

#[test]
fn a_read_beside_a_closing_selector_is_answered_and_so_is_the_next() {
    count("read beside selector.close", rounds(400), |random, transport| {
        let selector = SelectorManager::new();
        let (mut it, _peer) = block_on(pair(&selector, transport));
        beside(
            random,
            move || block_on(selector.close()),
            || {
                block_on(it.input.read_u8()).unwrap_err();
            },
        );
        is_answered(&mut it)
    });
}

#[test]
fn an_accept_beside_a_close_is_answered_and_so_is_the_next() {
    let selector = SelectorManager::new();
    count("accept beside close", rounds(4_000), move |random, _| {
        let server = block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        let closing = server.clone();
        beside(
            random,
            move || closing.close(),
            || {
                block_on(server.accept()).unwrap_err();
            },
        );
        soon(server.accept()).is_some()
    });
}
