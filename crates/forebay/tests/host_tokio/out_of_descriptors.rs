//! No descriptor is left at the moment when a guest is made, or a socket moves into the runtime.

use std::fs::File;
use std::io::Write;
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use forebay::{Connection, SelectorManager};
use forebay_testing::{alone, watched};
use futures_lite::future::{poll_once, yield_now};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{Kind, warmed_up};

/// Takes every descriptor that the process may still have, until they are dropped.
fn take_all_descriptors() -> Vec<File> {
    let limit = Rlimit { current: Some(256), maximum: Some(256) };
    setrlimit(Resource::Nofile, limit).unwrap();
    iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// The time that this process has spent on processors. It takes no descriptor to ask.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

/// A connection that was not waited for yet, and its peer.
fn accepted(selector: &SelectorManager) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = selector.block_on(selector.tcp().connect(address)).unwrap();
    (socket.connection().unwrap(), listener.accept().unwrap().0)
}

/// A wait that begins without a descriptor is served by a worker's thread; later ones by the runtime.
#[test]
fn a_guest_is_made_as_soon_as_there_are_descriptors() {
    alone("a_guest_is_made_as_soon_as_there_are_descriptors", || {
        warmed_up();
        for kind in [Kind::CurrentThread, Kind::LocalSet] {
            watched(move || {
                let selector = SelectorManager::new();
                let runtime = kind.runtime();
                let (mut it, mut peer) = accepted(&selector);
                kind.block_on(&runtime, async {
                    let all = take_all_descriptors();
                    let turns = selector.stats().sends;
                    let first = poll_once(it.input.read_u8()).await;
                    assert!(first.is_none(), "{first:?}");
                    it.output.write_str("!").await.unwrap();
                    drop(all);
                    let read = it.input.read_u8();
                    peer.write_all(b"x").unwrap();
                    assert_eq!(read.await.unwrap(), b'x');
                    assert!(selector.stats().sends > turns);
                    // The clock of the runtime fires the timers of a guest, and only of a guest.
                    tokio::time::pause();
                    selector.sleep(Duration::from_secs(3600)).await;
                    it.socket.abort();
                    selector.close().await;
                });
            });
        }
    });
}

/// Once there is a guest a move takes no descriptor.
#[test]
fn a_move_into_the_runtime_needs_no_descriptor() {
    alone("a_move_into_the_runtime_needs_no_descriptor", || {
        warmed_up();
        for kind in Kind::ALL {
            watched(move || {
                let selector = SelectorManager::new();
                let runtime = kind.runtime();
                let (mut first, _first_peer) = accepted(&selector);
                let (mut it, mut peer) = accepted(&selector);
                kind.block_on(&runtime, async {
                    assert!(poll_once(first.input.read_u8()).await.is_none());
                    let all = take_all_descriptors();
                    assert!(poll_once(it.input.read_u8()).await.is_none());
                    peer.write_all(b"xy").unwrap();
                    assert_eq!(it.input.read_u16().await.unwrap(), u16::from_be_bytes(*b"xy"));
                    let before = processor_time();
                    let reading = it.input.read_u8();
                    let mut reading = std::pin::pin!(reading);
                    assert!(poll_once(&mut reading).await.is_none());
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    let spent = processor_time().saturating_sub(before);
                    assert!(spent < Duration::from_millis(100), "it spins: {spent:?} of 200 ms");
                    drop(all);
                    yield_now().await;
                    peer.write_all(b"z").unwrap();
                    assert_eq!(reading.await.unwrap(), b'z');
                    first.socket.abort();
                    it.socket.abort();
                    selector.close().await;
                });
            });
        }
    });
}
