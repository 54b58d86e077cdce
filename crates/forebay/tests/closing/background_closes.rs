//! Connections that were dropped with something still to be sent: so many may linger and no more,
//! the oldest gives its descriptor where the process has none left, and the others have their time.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use forebay::testing::TestClock;
use forebay::{ByteWriteChannel, ErrorKind, Result, SelectorManager, ServerSocket, Socket};
use forebay_testing::{
    KIB, MIB, MOMENT, just_before_silence, listener, lock, past_silence, pattern, reset, settle,
    until, until_at_rest, until_given_up, watched,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const TIMEOUT: Duration = Duration::from_secs(3600);
const MOST: usize = 8;
const PEERS: usize = 20;

/// More than the kernel takes for a peer that does not read.
static UNSENT: LazyLock<Bytes> = LazyLock::new(|| pattern(16 * MIB).into());

/// A peer that neither reads nor closes, and a connection to it with more to send than the kernel
/// takes.
async fn laden_pair(server: &ServerSocket) -> Result<(Socket, ByteWriteChannel, TcpStream)> {
    let peer = forebay_testing::dial(server.port());
    let socket = server.accept().await?;
    let mut output = socket.open_write_channel()?;
    output.write_bytes(UNSENT.clone()).await?;
    Ok((socket, output, peer))
}

/// A peer whose connection was dropped, and lingers.
async fn lingering_peer(server: &ServerSocket) -> Result<TcpStream> {
    let (socket, output, peer) = laden_pair(server).await?;
    drop((output, socket));
    Ok(peer)
}

/// Returns the error of the connection, as its peer sees it; `None` while it is open. Reading would
/// have the other side send more, so only the error is asked for.
fn end_of(peer: &TcpStream) -> Option<io::Error> {
    peer.take_error().unwrap()
}

fn is_reset(end: Option<io::Error>) -> bool {
    end.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[test]
fn the_oldest_ends_when_there_are_too_many() {
    watched(|| {
        let clock = TestClock::new();
        let builder = SelectorManager::builder().clock(clock.clone());
        builder.drain(TIMEOUT, 64 * KIB as u64).background_closes_max(MOST).run(async |selector| {
            let server = listener(&selector).await?;
            let mut peers = Vec::new();
            for number in 1..=PEERS {
                peers.push(lingering_peer(&server).await?);
                let ended = number.saturating_sub(MOST);
                assert_eq!(selector.stats().unacknowledged, ended as u64);
                assert_eq!(selector.stats().task_errors, ended as u64, "each of them is reported");
                assert_eq!(selector.stats().sockets, 1 + (number - ended) as u64);
            }
            // Those that were ended are gone, and the last one's time has begun: each has a task that
            // closes it, and one that sees its writer off.
            until(|| {
                let stats = selector.stats();
                (stats.background_closes, stats.tasks) == (MOST as u64, 2 * MOST)
            })
            .await;
            for (number, peer) in peers.iter().enumerate() {
                assert_eq!(is_reset(end_of(peer)), number < PEERS - MOST, "peer {number}");
            }
            // The others have all their time.
            just_before_silence(&clock, TIMEOUT).await;
            assert!(peers[PEERS - MOST..].iter().all(|peer| end_of(peer).is_none()));
            assert_eq!(selector.stats().sockets, 1 + MOST as u64);
            past_silence(&clock);
            drop(server);
            until_at_rest(&selector, 0).await;
            assert!(peers[PEERS - MOST..].iter().all(|peer| is_reset(end_of(peer))));
            assert_eq!(selector.stats().unacknowledged, PEERS as u64);
            assert_eq!(selector.stats().timers, 0);
            Ok::<_, forebay::Error>(())
        })
    })
    .unwrap();
}

/// A closing selector has less patience than the connection was given, and cancels its close.
#[test]
fn one_that_its_selector_cuts_short_is_not_counted_for_ever() {
    watched(|| {
        let selector = SelectorManager::builder().drain(MOMENT, 64 * KIB as u64).build()?;
        selector.block_on(async {
            let server = selector.tcp().drain_timeout(TIMEOUT).bind("127.0.0.1:0").await?;
            let peer = lingering_peer(&server).await?;
            until(|| selector.stats().background_closes == 1).await;
            selector.close().await;
            assert_eq!((selector.stats().background_closes, selector.stats().sockets), (0, 0));
            assert!(is_reset(end_of(&peer)));
            Ok::<_, forebay::Error>(())
        })
    })
    .unwrap();
}

/// One that has an owner is no lingering one, however long it takes; one that has ended makes room.
#[test]
fn only_those_without_an_owner_count() {
    watched(|| {
        let clock = TestClock::new();
        let builder = SelectorManager::builder().clock(clock.clone());
        builder.drain(TIMEOUT, 64 * KIB as u64).background_closes_max(1).run(async |selector| {
            let server = listener(&selector).await?;
            let mut awaited = Vec::new();
            for _ in 0..3 {
                let (socket, output, peer) = laden_pair(&server).await?;
                drop(output);
                let closing = socket.clone();
                awaited.push((selector.spawn(async move { closing.close().await }), peer));
            }
            let mut polite = lingering_peer(&server).await?;
            settle().await;
            assert_eq!(selector.stats().unacknowledged, 0);
            assert!(
                awaited
                    .iter()
                    .all(|(closing, peer)| { !closing.is_finished() && end_of(peer).is_none() })
            );
            // It takes everything and goes, so that the next one is alone again.
            let reading = selector.spawn_blocking(move || {
                let mut bytes = Vec::new();
                polite.read_to_end(&mut bytes).map(|_| bytes.len())
            });
            assert_eq!(reading.await??, UNSENT.len());
            until(|| selector.stats().sockets == 4).await;
            let last = lingering_peer(&server).await?;
            settle().await;
            assert_eq!(selector.stats().unacknowledged, 0);
            assert!(end_of(&last).is_none());
            // A call of `close` that was given up leaves its connection without an owner.
            for (closing, _) in &awaited {
                closing.abort();
            }
            until(|| selector.stats().unacknowledged == 3).await;
            assert!(is_reset(end_of(&last)));
            until_given_up(&selector, &clock, TIMEOUT).await;
            Ok::<_, forebay::Error>(())
        })
    })
    .unwrap();
}

/// With no descriptor left, the one that was dropped first gives its own to a new connection, in
/// either direction.
#[test]
fn a_lack_of_descriptors_ends_the_oldest() {
    forebay_testing::alone("a_lack_of_descriptors_ends_the_oldest", || {
        watched(|| {
            let clock = TestClock::new();
            let builder = SelectorManager::builder().clock(clock.clone());
            let selector = builder.drain(TIMEOUT, 64 * KIB as u64);
            selector.run(async |selector| {
                let server = listener(&selector).await?;
                let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let address = there.local_addr().unwrap();
                let name = format!("forebay-test-lingering-{}", std::process::id());
                let name = forebay::UnixAddress::Abstract(name.into_bytes());
                let unix = selector.unix().bind(&name).await?;
                let mut peers = Vec::new();
                for _ in 0..6 {
                    peers.push(lingering_peer(&server).await?);
                }
                let early = forebay_testing::dial(server.port());
                let fillers = use_up_descriptors();

                let mut kept = vec![server.accept().await?];
                assert_ended(&peers, 1);
                kept.push(selector.tcp().connect(address).await?);
                assert_ended(&peers, 2);
                kept.push(selector.unix().connect(&name).await?);
                assert_ended(&peers, 3);
                kept.push(unix.accept().await?);
                assert_ended(&peers, 4);
                assert_eq!(selector.stats().unacknowledged, 4);
                drop((fillers, early, kept));
                until_given_up(&selector, &clock, TIMEOUT).await;
                Ok::<_, forebay::Error>(())
            })
        })
        .unwrap();
    });
}

/// Opens files until there is no descriptor left for one more.
fn use_up_descriptors() -> Vec<File> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), ..limit }).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[track_caller]
fn assert_ended(peers: &[TcpStream], count: usize) {
    // A connection that was reset has no other side any more.
    let ended: Vec<_> = peers.iter().map(|peer| peer.peer_addr().is_err()).collect();
    let expected: Vec<_> = (0..peers.len()).map(|number| number < count).collect();
    assert_eq!(ended, expected);
}

/// A reset during a close without an owner loses what was still queued: it is counted and reported, as a
/// peer that stops reading is.
#[test]
fn a_reset_during_a_background_close_is_reported() {
    watched(|| {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&reported);
        let builder = SelectorManager::builder().drain(TIMEOUT, 64 * KIB as u64);
        builder.on_task_error(move |error| lock(&told).push(error.kind())).run(async |selector| {
            let server = listener(&selector).await?;
            let peer = lingering_peer(&server).await?;
            until(|| selector.stats().background_closes == 1).await;
            reset(peer);
            until(|| selector.stats().background_closes == 0).await;
            assert_eq!(selector.stats().unacknowledged, 1);
            assert_eq!(selector.stats().task_errors, 1);
            assert_eq!(*lock(&reported), [ErrorKind::Reset]);

            // One whose peer has everything loses nothing by a reset.
            let peer = forebay_testing::dial(server.port());
            let socket = server.accept().await?;
            let mut output = socket.open_write_channel()?;
            output.write_str("all of it\n").await?;
            output.flush().await?;
            reset(peer);
            socket.closed().await;
            drop((output, socket));
            until(|| selector.stats().sockets == 1).await;
            assert_eq!((selector.stats().unacknowledged, selector.stats().task_errors), (1, 1));
            Ok::<_, forebay::Error>(())
        })
    })
    .unwrap();
}
