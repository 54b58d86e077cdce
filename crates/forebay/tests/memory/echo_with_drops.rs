//! Echo over 64 connections at a time, while a tenth of all reads, writes and accepts are dropped
//! at random points and made again: what comes back is what was sent.
//!
//! `FOREBAY_ROUND_TRIPS` sets how many there are, `FOREBAY_SEED` repeats a run's numbers.

#![cfg(target_os = "linux")]

use std::hash::{DefaultHasher, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use forebay::{Connection, Result, SelectorManager, ServerSocket, SocketAddress};
use forebay_testing::{
    KIB, PATIENCE, Random, alone, listener, report, seed, size, until_at_rest, watched_for,
    witness::{Witness, counted, on_a_thread},
};

const NAME: &str = "echo_with_drops";
const LANES: u64 = 64;
const SIZE_MAX: usize = 64 * KIB;
/// Round trips before a connection is closed and another made.
const TRIPS_A_CONNECTION: u64 = 50;

/// One in so many calls is marked to be dropped. Half of those that wait are ready before their time
/// has come, so that a tenth of them is.
const MARKED: usize = 5;
/// It is dropped after fewer polls than this, or after none.
const POLLS_MAX: usize = 4;

// ---- calls that are dropped ---------------------------------------------------------------------

/// A future that is given up after so many polls, unless it is ready by then.
struct Cut<F> {
    future: Pin<Box<F>>,
    polls_left: usize,
    /// Given up right after its last poll, and not only when it would be polled again.
    at_once: bool,
}

impl<F: Future> Future for Cut<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls_left == 0 {
            return Poll::Ready(None);
        }
        self.polls_left -= 1;
        match self.future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.at_once && self.polls_left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Read,
    Write,
    Accept,
}

/// The number of calls that were dropped, of each kind.
type Drops = [AtomicU64; 3];

/// Decides which calls are dropped, and where.
struct Fate {
    random: Random,
    drops: Arc<Drops>,
}

impl Fate {
    fn is_marked(&mut self) -> bool {
        self.random.below(MARKED) == 0
    }

    async fn polled_a_few_times<F: Future>(&mut self, call: Call, future: F) -> Option<F::Output> {
        let polls_left = self.random.below(POLLS_MAX);
        let at_once = self.random.below(2) == 0;
        let output = Cut { future: Box::pin(future), polls_left, at_once }.await;
        if output.is_none() {
            self.drops[call as usize].fetch_add(1, Relaxed);
        }
        output
    }
}

/// Makes a call, and makes it again as often as it is dropped.
macro_rules! again_and_again {
    ($fate:expr, $kind:expr, $call:expr) => {
        loop {
            if !$fate.is_marked() {
                break $call.await;
            }
            if let Some(output) = $fate.polled_a_few_times($kind, $call).await {
                break output;
            }
        }
    };
}

// ---- both ends ----------------------------------------------------------------------------------

/// Accepts and echoes, one connection after the other, until the listener is closed.
async fn serve(server: ServerSocket, mut fate: Fate) -> Result<()> {
    loop {
        let socket = match again_and_again!(fate, Call::Accept, server.accept()) {
            Ok(socket) => socket,
            Err(error) if error.is_closed() => return Ok(()),
            Err(error) => return Err(error),
        };
        echo(socket.connection()?, &mut fate).await?;
    }
}

async fn echo(it: Connection, fate: &mut Fate) -> Result<()> {
    let Connection { mut input, mut output, socket } = it;
    let mut buffer = vec![0; SIZE_MAX];
    loop {
        if fate.random.below(2) == 0 {
            let Some(chunk) = again_and_again!(fate, Call::Read, input.read_chunk())? else {
                break;
            };
            // In two parts where it is large, so that a read of all of it is polled with half.
            let is_split = chunk.len() >= 8 * KIB || fate.random.below(8) == 0;
            let at = if is_split { chunk.len() / 2 } else { chunk.len() };
            again_and_again!(fate, Call::Write, output.write_bytes(chunk.slice(..at)))?;
            if is_split {
                output.flush().await?;
                two_turns().await;
                again_and_again!(fate, Call::Write, output.write_bytes(chunk.slice(at..)))?;
            }
        } else {
            let count = again_and_again!(fate, Call::Read, input.read(&mut buffer))?;
            if count == 0 {
                break;
            }
            again_and_again!(fate, Call::Write, output.write_all(&buffer[..count]))?;
        }
    }
    socket.close().await
}

/// Timers fire once a turn. In the first the other side is woken, which runs before the second ends.
async fn two_turns() {
    for _ in 0..2 {
        forebay::sleep(Duration::from_micros(20)).await;
    }
}

/// The bytes that a lane has sent and received.
#[derive(Default)]
struct Lane {
    sent: DefaultHasher,
    received: DefaultHasher,
    bytes: u64,
}

async fn round_trips(
    selector: SelectorManager,
    server: SocketAddress,
    noise: Arc<[u8]>,
    trips: u64,
    mut fate: Fate,
) -> Result<Lane> {
    let mut lane = Lane::default();
    let mut left = trips;
    while left > 0 {
        let socket = selector.tcp().connect(&server).await?;
        let mut it = socket.connection()?;
        for _ in 0..left.min(TRIPS_A_CONNECTION) {
            lane.round_trip(&mut it, &noise, &mut fate).await?;
            left -= 1;
        }
        socket.close().await?;
    }
    Ok(lane)
}

impl Lane {
    async fn round_trip(
        &mut self,
        it: &mut Connection,
        noise: &[u8],
        fate: &mut Fate,
    ) -> Result<()> {
        // As often below 2 as from there to 4, and from there to 8, and so on.
        let most = 1 << fate.random.below(17);
        let size = 1 + fate.random.below(most);
        let message = &noise[fate.random.below(SIZE_MAX)..][..size];
        let (first, second) = message.split_at(fate.random.below(size));
        again_and_again!(fate, Call::Write, it.output.write_all(first))?;
        again_and_again!(fate, Call::Write, it.output.write_all(second))?;
        let mut back = vec![0; size];
        if fate.random.below(2) == 0 {
            again_and_again!(fate, Call::Read, it.input.read_exact(&mut back))?;
        } else {
            let packet = again_and_again!(fate, Call::Read, it.input.read_packet(size))?;
            back.copy_from_slice(&packet.into_bytes());
        }
        self.sent.write(message);
        self.received.write(&back);
        self.bytes += size as u64;
        Ok(())
    }
}

// ---- all of it ----------------------------------------------------------------------------------

async fn run_lanes(selector: &SelectorManager, seed: u64, trips: u64) -> Result<(u64, u64)> {
    let drops = Arc::<Drops>::default();
    let fate = |stream| Fate { random: Random::new(seed, stream), drops: Arc::clone(&drops) };
    let mut random = Random::new(seed, 0);
    let noise: Arc<[u8]> =
        (0..2 * SIZE_MAX / 8).flat_map(|_| random.next().to_le_bytes()).collect();

    let since = Instant::now();
    let server = listener(selector).await?;
    let mut echoing = Vec::new();
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let serving = serve(server.clone(), fate(2 * lane + 1));
        echoing.push(selector.spawn(counted(serving)));
        let trips = trips / LANES + u64::from(lane < trips % LANES);
        let address = server.local_address();
        let round_trips =
            round_trips(selector.clone(), address, Arc::clone(&noise), trips, fate(2 * lane + 2));
        lanes.push(selector.spawn_value(counted(round_trips)));
    }
    let (mut bytes, mut hash) = (0, 0_u64);
    for (lane, ended) in lanes.into_iter().enumerate() {
        let ended = ended.await??;
        assert_eq!(
            ended.sent.finish(),
            ended.received.finish(),
            "lane {lane}, FOREBAY_SEED={seed}"
        );
        bytes += ended.bytes;
        hash = hash.rotate_left(1) ^ ended.received.finish();
    }
    server.close();
    for ended in echoing {
        ended.await?;
    }
    let [reads, writes, accepts] = [0, 1, 2].map(|call| drops[call].load(Relaxed));
    report(&format!(
        "{NAME}: {trips} round trips, {} MiB each way, in {:.1} s; dropped: {reads} reads, {writes} \
         writes, {accepts} accepts; hashes equal: {hash:016x}",
        bytes >> 20,
        since.elapsed().as_secs_f32()
    ));
    Ok((reads.min(writes), accepts))
}

#[test]
fn what_comes_back_is_what_was_sent() {
    alone("what_comes_back_is_what_was_sent", || {
        let seed = seed(NAME);
        let trips = size("FOREBAY_ROUND_TRIPS", 10_000, 40_000);
        let patience = PATIENCE + Duration::from_millis(1) * trips;
        watched_for(patience, move || {
            let mut witness = Witness::look();
            // The first as a warm-up.
            for trips in [1000, trips] {
                witness = witness.again();
                let run = async |selector: SelectorManager| {
                    let dropped = run_lanes(&selector, seed, trips.into()).await?;
                    until_at_rest(&selector, 0).await;
                    witness.at_rest(&selector);
                    Ok::<_, forebay::Error>(dropped)
                };
                let (dropped, dropped_accepts) = on_a_thread(|| forebay::run(run)).unwrap();
                assert!(dropped > 0 && dropped_accepts > 0, "nothing was dropped");
            }
            witness.all_as_before();
        });
    });
}
