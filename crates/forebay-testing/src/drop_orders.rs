//! A selector, a socket and its two channels, dropped in every order and from everywhere, with any kind of
//! peer. A read and a write are pending at that time, and bytes are in flight both ways.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forebay::testing::TestClock;
use forebay::{Result, SelectorManager, Socket, Stats};
use futures_lite::future::{self, poll_once};

use crate::witness::{Witness, counted, on_a_thread};
use crate::{KIB, PATIENCE, pattern, report, size, watched_for};

/// More than the kernel takes from one side before the other reads.
pub const WRITTEN: usize = 1024 * KIB;
/// A round that takes longer hangs. No timeout of the selector is shorter than a minute.
pub const ENDS_WITHIN: Duration = Duration::from_secs(2);
const DRAIN: Duration = Duration::from_secs(60);

// ---- the other side -----------------------------------------------------------------------------

/// The origin of the other ends.
pub trait Peers {
    type Peer: Peer;

    /// Makes a connection of this selector, ready for use, and its other end.
    async fn connect(&self, selector: &SelectorManager) -> (Socket, Self::Peer);

    /// Returns `true` if nothing is left of the other ends.
    fn is_at_rest(&self) -> bool {
        true
    }
}

/// The other end of a connection. It has small segments, as on a wire: the kernel's buffers are sized by
/// them, and with those of loopback it would take megabytes at once.
pub trait Peer {
    /// Sends something.
    async fn say(&mut self, bytes: &[u8]);

    /// Reads until the end, for [`ENDS_WITHIN`] at most.
    fn read_to_end(&mut self) -> (Vec<u8>, Arrival);
}

/// The outcome of the written bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Every written byte arrives, followed by the end.
    Everything,
    Reset,
}

// ---- what is dropped ----------------------------------------------------------------------------

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Selector,
    Socket,
    Reader,
    Writer,
}

type Order = [Part; 4];

/// The place of the drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Main,
    Task,
    MainPanics,
    TaskPanics,
}

impl Place {
    const ALL: [Self; 4] = [Self::Main, Self::Task, Self::MainPanics, Self::TaskPanics];

    fn is_a_task(self) -> bool {
        matches!(self, Self::Task | Self::TaskPanics)
    }

    fn panics(self) -> bool {
        matches!(self, Self::MainPanics | Self::TaskPanics)
    }
}

fn orders() -> Vec<Order> {
    let parts = [Part::Selector, Part::Socket, Part::Reader, Part::Writer];
    let all = (0..256).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6].map(|at| parts[at]));
    all.filter(|order| parts.iter().all(|part| order.contains(part))).collect()
}

/// A call in progress, with the channel it is a call on.
type Operation = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// The parts that are dropped, in this order, when this is dropped.
struct Parts {
    order: Order,
    selector: Option<SelectorManager>,
    socket: Option<Socket>,
    reader: Option<Operation>,
    writer: Option<Operation>,
}

impl Drop for Parts {
    fn drop(&mut self) {
        for part in self.order {
            match part {
                Part::Selector => drop(self.selector.take()),
                Part::Socket => drop(self.socket.take()),
                Part::Reader => drop(self.reader.take()),
                Part::Writer => drop(self.writer.take()),
            }
        }
    }
}

impl Parts {
    /// Makes a connection to one of these, with its calls begun and pending.
    async fn connect<P: Peers>(
        selector: &SelectorManager,
        order: Order,
        data: Bytes,
        peers: &P,
    ) -> (Self, P::Peer) {
        let (socket, mut peer) = peers.connect(selector).await;
        let mut input = socket.open_read_channel().unwrap();
        let mut output = socket.open_write_channel().unwrap();
        let reader = Box::pin(counted(async move {
            let mut more_than_comes = [0; 8 * KIB];
            input.read_exact(&mut more_than_comes).await
        }));
        let writer = Box::pin(counted(async move {
            output.write_bytes(data).await?;
            // There is no room for this, so it is never accepted.
            output.write_str("more").await
        }));
        peer.say(b"some of what is read").await;
        let mut parts = Self {
            order,
            selector: Some(selector.clone()),
            socket: Some(socket),
            reader: Some(reader),
            writer: Some(writer),
        };
        parts.poll_once().await;
        peer.say(&[b'u'; 4 * KIB]).await;
        (parts, peer)
    }

    async fn poll_once(&mut self) {
        for operation in [&mut self.reader, &mut self.writer].into_iter().flatten() {
            assert!(poll_once(operation).await.is_none());
        }
    }

    fn drop_from(mut self, place: Place) {
        if place.is_a_task() {
            let selector = self.selector.clone().unwrap();
            let task = selector.spawn(counted(async move {
                self.poll_once().await;
                let parts = self;
                if place.panics() {
                    panic_in_silence();
                }
                drop(parts);
                Ok(())
            }));
            drop(selector);
            let ended = future::block_on(task);
            assert_eq!(ended.is_err_and(|error| error.is_panicked()), place.panics());
        } else if place.panics() {
            let parts = AssertUnwindSafe(self);
            let caught = catch_unwind(|| {
                let _parts = parts;
                panic_in_silence();
            });
            assert!(caught.is_err());
        }
    }
}

/// Panics without printing.
fn panic_in_silence() {
    resume_unwind(Box::new("expected by a test"));
}

// ---- one round ----------------------------------------------------------------------------------

/// The outcome that the peer must see. A panic resets, so that half a message is not taken for the whole.
fn due(place: Place) -> Arrival {
    if place.panics() { Arrival::Reset } else { Arrival::Everything }
}

struct Round {
    order: Order,
    place: Place,
    /// A clone of the selector is kept, to be asked for its account. Then the dropped one is not the last.
    is_watched: bool,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = if self.is_watched { ", a clone of the selector kept" } else { "" };
        write!(f, "{:?} from {:?}{kept}", self.order, self.place)
    }
}

impl Round {
    fn run(&self, data: &Bytes, peers: &impl Peers, witness: &Witness) -> Duration {
        let since = Instant::now();
        let selector = SelectorManager::builder().drain(DRAIN, 64 * KIB as u64).build().unwrap();
        let connecting = Parts::connect(&selector, self.order, data.clone(), peers);
        let (parts, mut peer) = selector.block_on(connecting);
        let watch = self.is_watched.then(|| selector.clone());
        drop(selector);
        parts.drop_from(self.place);
        let (bytes, arrival) = peer.read_to_end();
        assert_eq!(arrival, due(self.place), "{self}");
        assert!(arrival == Arrival::Reset || bytes.len() == WRITTEN, "{self}: {}", bytes.len());
        assert!(data.starts_with(&bytes), "{self}: other bytes");
        drop((peer, bytes));
        if let Some(selector) = watch {
            while !holds_nothing(&selector.stats()) {
                let stats = selector.stats();
                assert!(since.elapsed() < ENDS_WITHIN, "{self}: still held: {stats:?}");
                thread::yield_now();
            }
            witness.at_rest(&selector);
        }
        self.until(since, "the other side is at rest", || peers.is_at_rest());
        self.until(since, "its descriptors are gone", || witness.more_descriptors() == 0);
        since.elapsed()
    }

    /// Asserts that its connection is held until the drain timeout and no longer, or not at all if it is
    /// reset.
    fn never_reads(&self, data: &Bytes, peers: &impl Peers, witness: &Witness) {
        let clock = TestClock::new();
        let builder = SelectorManager::builder().clock(clock.clone()).drain(DRAIN, 64 * KIB as u64);
        let selector = builder.build().unwrap();
        let connecting = Parts::connect(&selector, self.order, data.clone(), peers);
        let (parts, peer) = selector.block_on(connecting);
        drop(selector);
        parts.drop_from(self.place);
        let since = Instant::now();
        let waits = due(self.place) == Arrival::Everything;
        if waits {
            // The worker still has its poll, its registry and its waker beside the socket.
            clock.advance(DRAIN.checked_sub(Duration::from_millis(1)).unwrap());
            for _ in 0..100 {
                thread::yield_now();
            }
            assert!(witness.more_descriptors() > 1, "{self}: gone before its time");
        }
        // The peer's own socket is left.
        self.until(since, "its descriptors are gone", || {
            if waits {
                clock.advance(DRAIN);
            }
            witness.more_descriptors() == 1
        });
        drop(peer);
        self.until(since, "the other side is at rest", || peers.is_at_rest());
    }

    fn until(&self, since: Instant, what: &str, mut holds: impl FnMut() -> bool) {
        while !holds() {
            assert!(since.elapsed() < ENDS_WITHIN, "{self}: never: {what}");
            thread::yield_now();
        }
    }
}

fn holds_nothing(stats: &Stats) -> bool {
    let Stats { sockets, tasks, timers, blocks, background_closes, .. } = *stats;
    (sockets, background_closes) == (0, 0) && (tasks, timers, blocks) == (0, 0, 0)
}

// ---- all of them --------------------------------------------------------------------------------

/// Tests each order from each place, this many times unless `FOREBAY_ROUNDS` sets another number.
pub fn all_end_soon_and_leave_nothing<P: Peers + Sync>(
    name: &'static str,
    (quick, long): (usize, usize),
    peers: impl FnOnce() -> P + Send + 'static,
) {
    let rounds: usize = size("FOREBAY_ROUNDS", quick, long);
    let patience =
        Duration::from_secs(60) + Duration::from_millis(100) * rounds.try_into().unwrap();
    watched_for(patience, move || {
        let witness = Witness::look();
        let (peers, data) = (peers(), pattern(WRITTEN).into());
        let witness = witness.again();
        let all_orders = |rounds: usize, witness: &Witness| {
            let mut slowest = Duration::ZERO;
            for order in orders() {
                for (at, place) in
                    Place::ALL.iter().cycle().take(Place::ALL.len() * rounds).enumerate()
                {
                    let round = Round { order, place: *place, is_watched: at / 4 % 2 == 0 };
                    slowest = slowest.max(round.run(&data, &peers, witness));
                }
            }
            slowest
        };
        // The warm-up.
        on_a_thread(|| all_orders(3, &witness));
        let (since, witness) = (Instant::now(), witness.again());
        let slowest = on_a_thread(|| all_orders(rounds, &witness));
        witness.all_as_before();
        report(&format!(
            "{name}: {} orders from {} places, {rounds} times each, in {:.1} s: all as before; the \
             slowest took {slowest:.1?}",
            orders().len(),
            Place::ALL.len(),
            since.elapsed().as_secs_f32()
        ));
    });
}

/// Tests each order from each place once, with a peer that never reads.
pub fn no_peer_that_never_reads_holds_a_socket_for_ever<P: Peers + Sync>(
    peers: impl FnOnce() -> P + Send + 'static,
) {
    watched_for(PATIENCE, || {
        let witness = Witness::look();
        let (peers, data) = (peers(), pattern(WRITTEN).into());
        let each = |witness: &Witness| {
            for order in orders() {
                for place in Place::ALL {
                    let round = Round { order, place, is_watched: false };
                    round.never_reads(&data, &peers, witness);
                }
            }
        };
        // The warm-up.
        let witness = witness.again();
        on_a_thread(|| each(&witness));
        let witness = witness.again();
        on_a_thread(|| each(&witness));
        witness.all_as_before();
    });
}
