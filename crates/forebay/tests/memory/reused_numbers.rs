//! Connections are closed and made in a storm, with waits pending, so that the number of a
//! descriptor is another connection's at once. What was meant for the old one never reaches the new.
//!
//! Every peer answers with bytes that only its own connection may see: at once, late, when this side
//! has long gone on, or not at all, by a reset.

#![cfg(target_os = "linux")]

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use forebay::{ByteReadChannel, Connection, Result, SelectorBuilder, SelectorManager, Socket};
use forebay_testing::{
    PATIENCE, Random, alone, report, reset, seed, size, until_at_rest, watched_for,
    witness::{Witness, counted, on_a_thread},
};
use futures_lite::future::poll_once;

const NAME: &str = "reused_numbers";
/// Connections at a time.
const LANES: u64 = 16;
/// Late answers are this many connections late.
const LATE_BY: usize = 8;

/// A peer's way of answering; its connection's number tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    AtOnce,
    Late,
    Reset,
}

impl Answer {
    fn of(id: u64) -> Self {
        [Self::AtOnce, Self::Late, Self::Reset][(id % 3) as usize]
    }
}

/// The bytes that belong to a connection.
fn magic(id: u64) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995
}

/// This side's way of ending a connection whose answer it waits for.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It waits for the answer.
    Waits,
    DropsAll,
    Aborts,
    Closes,
    /// Another thread does, whenever it gets round to it.
    IsAborted,
}

// ---- the peers ----------------------------------------------------------------------------------

/// Answers so many connections. Returns those whose answer is still due.
fn answer(listener: &TcpListener, connections: usize) -> VecDeque<(TcpStream, u64)> {
    let mut late = VecDeque::new();
    for _ in 0..connections {
        let mut peer = listener.accept().unwrap().0;
        let mut id = [0; 8];
        if peer.read_exact(&mut id).is_err() {
            // Given up before it said anything.
            continue;
        }
        let id = u64::from_be_bytes(id);
        match Answer::of(id) {
            Answer::AtOnce => send(peer, id),
            Answer::Reset => reset(peer),
            Answer::Late => late.push_back((peer, id)),
        }
        if late.len() > LATE_BY
            && let Some((peer, id)) = late.pop_front()
        {
            send(peer, id);
        }
    }
    late
}

fn send(mut peer: TcpStream, id: u64) {
    // If the connection is gone by now, that is just the point.
    peer.write_all(&magic(id).to_be_bytes()).ok();
}

// ---- this side ----------------------------------------------------------------------------------

/// The counts that all lanes share.
#[derive(Default)]
struct Counts {
    next_id: AtomicU64,
    own: AtomicUsize,
    ended: AtomicUsize,
    numbers: AtomicUsize,
}

struct Lane {
    selector: SelectorManager,
    server: SocketAddr,
    random: Random,
    counts: Arc<Counts>,
    aborter: Sender<Socket>,
}

impl Lane {
    async fn run(mut self, connections: u64) -> Result<()> {
        for at in 0..connections {
            let id = self.counts.next_id.fetch_add(1, Relaxed);
            let it = self.selector.tcp().connect(self.server).await?.connection()?;
            self.converse(id, it).await?;
            if at % 100 == 0 {
                let numbers = fs::read_dir("/proc/self/fd").unwrap().count();
                self.counts.numbers.fetch_max(numbers, Relaxed);
            }
        }
        Ok(())
    }

    async fn converse(&mut self, id: u64, it: Connection) -> Result<()> {
        let Connection { mut input, mut output, socket } = it;
        output.write_u64(id).await?;
        let end = self.end(id);
        let mut reading = Box::pin(self.counts.read(id, &mut input));
        match end {
            End::Waits => reading.await,
            End::DropsAll => {
                poll_once(&mut reading).await;
            }
            End::Aborts => {
                poll_once(&mut reading).await;
                socket.abort();
                reading.await;
            }
            End::Closes => {
                poll_once(&mut reading).await;
                poll_once(socket.close()).await;
                reading.await;
            }
            End::IsAborted => {
                self.aborter.send(socket.clone()).unwrap();
                reading.await;
            }
        }
        Ok(())
    }

    fn end(&mut self, id: u64) -> End {
        // A late answer may never come.
        let ends = [End::DropsAll, End::Aborts, End::Closes, End::IsAborted, End::Waits];
        let may_wait = usize::from(Answer::of(id) != Answer::Late);
        ends[self.random.below(4 + may_wait)]
    }
}

impl Counts {
    /// Reads the answer, which is the connection's own or none.
    async fn read(&self, id: u64, input: &mut ByteReadChannel) {
        match input.read_u64().await {
            Ok(bytes) => {
                assert_eq!(bytes, magic(id), "bytes of another connection than {id}");
                self.own.fetch_add(1, Relaxed);
            }
            Err(error) => {
                assert!(error.is_closed() || error.is_reset(), "connection {id}: {error}");
                let is_reset = Answer::of(id) == Answer::Reset;
                assert!(is_reset || error.is_closed(), "a reset that was another's: {id}: {error}");
                self.ended.fetch_add(1, Relaxed);
            }
        }
    }
}

fn abort_all(sockets: &Receiver<Socket>) {
    for socket in sockets {
        socket.abort();
    }
}

fn storm(seed: u64, connections: u64, selector: SelectorBuilder, witness: &Witness) -> Counts {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let a_lane = connections / LANES;
    let all = usize::try_from(a_lane * LANES).unwrap();
    let peers = thread::spawn(move || answer(&listener, all));
    let (aborter, sockets) = channel();
    let aborting = thread::spawn(move || abort_all(&sockets));
    let counts = Arc::<Counts>::default();
    let storm = async |selector: SelectorManager| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let lane = Lane {
                    selector: selector.clone(),
                    server,
                    random: Random::new(seed, lane),
                    counts: Arc::clone(&counts),
                    aborter: aborter.clone(),
                };
                selector.spawn(counted(lane.run(a_lane)))
            })
            .collect();
        for lane in lanes {
            lane.await?;
        }
        drop(aborter);
        aborting.join().unwrap();
        drop(peers.join().unwrap());
        until_at_rest(&selector, 0).await;
        witness.at_rest(&selector);
        Result::Ok(())
    };
    selector.run(storm).unwrap();
    Arc::into_inner(counts).unwrap()
}

/// Runs storms on selectors that `builder` makes.
fn weather(test: &'static str, builder: fn() -> SelectorBuilder, connections: u64) {
    alone(test, || {
        let seed = seed(NAME);
        watched_for(2 * PATIENCE, move || {
            let witness = Witness::look();
            on_a_thread(|| storm(seed, 1000, builder(), &witness));
            let (witness, since) = (witness.again(), Instant::now());
            let counts = on_a_thread(|| storm(seed, connections, builder(), &witness));
            witness.all_as_before();
            let [own, ended, numbers] = [&counts.own, &counts.ended, &counts.numbers];
            let [own, ended, numbers] = [own, ended, numbers].map(|count| count.load(Relaxed));
            report(&format!(
                "{NAME}: {connections} connections on at most {numbers} descriptors in {:.1} s: {own} \
                 got their own bytes, {ended} were ended while they waited, none got another's",
                since.elapsed().as_secs_f32()
            ));
            assert!(own > 0 && ended > 0);
            // The kernel gives the lowest free number: most of them have been used again and again.
            assert!(
                numbers < 500,
                "{numbers} descriptors at a time are too many for {LANES} lanes"
            );
        });
    });
}

#[test]
fn what_comes_late_never_reaches_a_new_socket_of_the_same_number() {
    let connections = size("FOREBAY_CONNECTIONS", 5_000, 20_000);
    let test = "what_comes_late_never_reaches_a_new_socket_of_the_same_number";
    weather(test, SelectorManager::builder, connections);
}

#[test]
fn what_comes_late_never_reaches_a_new_socket_of_two_workers() {
    let connections = size("FOREBAY_CONNECTIONS", 2_000, 20_000);
    let test = "what_comes_late_never_reaches_a_new_socket_of_two_workers";
    weather(test, || SelectorManager::builder().workers(2), connections);
}

#[test]
fn what_comes_late_never_reaches_a_new_socket_of_four_workers() {
    let connections = size("FOREBAY_CONNECTIONS", 2_000, 20_000);
    let test = "what_comes_late_never_reaches_a_new_socket_of_four_workers";
    weather(test, || SelectorManager::builder().workers(4), connections);
}
