//! The selector is closed, or dropped, where a user of tokio may do so.

use std::cell::RefCell;
use std::io::Write;
use std::net::TcpStream;
use std::thread;

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{MIB, alone, descriptors, dial, pattern, read_to_end, wait_for, watched};
use futures_lite::future::block_on;
use tokio::runtime::Runtime;
use tokio::task::{block_in_place, spawn_blocking};

use crate::support::{Kind, current_thread, multi_thread, nothing_left, pair, warmed_up};

/// The place of a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Task,
    SpawnBlocking,
    SpawnBlockingOnASelectorsThread,
    Blocking,
    DropInATask,
    DropOfATask,
    OtherThread,
}

const PLACES: [Place; 7] = [
    Place::Task,
    Place::SpawnBlocking,
    Place::SpawnBlockingOnASelectorsThread,
    Place::Blocking,
    Place::DropInATask,
    Place::DropOfATask,
    Place::OtherThread,
];

impl Place {
    /// Closes the selector, which is the last handle of it.
    async fn close(self, selector: SelectorManager) {
        match self {
            Self::Task => {
                let closing = tokio::spawn(async move { selector.close().await });
                closing.await.unwrap();
            }
            Self::SpawnBlocking => {
                spawn_blocking(move || block_on(selector.close())).await.unwrap();
            }
            Self::SpawnBlockingOnASelectorsThread => {
                spawn_blocking(move || selector.block_on(selector.close())).await.unwrap();
            }
            Self::Blocking => {
                let closing =
                    tokio::spawn(async move { block_in_place(|| block_on(selector.close())) });
                closing.await.unwrap();
            }
            Self::DropInATask => {
                tokio::spawn(async move { drop(selector) }).await.unwrap();
            }
            Self::DropOfATask => {
                let holding = tokio::spawn(async move {
                    let _held = selector;
                    std::future::pending::<()>().await;
                });
                tokio::task::yield_now().await;
                holding.abort();
                holding.await.unwrap_err();
            }
            Self::OtherThread => {
                let closing = thread::spawn(move || block_on(selector.close()));
                spawn_blocking(move || closing.join().unwrap()).await.unwrap();
            }
        }
    }
}

/// A read, an accept and a sleep end, or go on, and what was queued arrives.
#[test]
fn a_selector_is_closed_anywhere() {
    alone("a_selector_is_closed_anywhere", || {
        warmed_up();
        let before = descriptors();
        for kind in Kind::ALL {
            for place in PLACES {
                if place == Place::Blocking && kind != Kind::MultiThread {
                    continue;
                }
                watched(move || {
                    let runtime = kind.runtime();
                    kind.block_on(&runtime, close_at(place));
                });
                nothing_left(&before);
            }
        }
    });
}

async fn close_at(place: Place) {
    let selector = SelectorManager::new();
    let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
    let mut peer = dial(server.port());
    let it = server.accept().await.unwrap().connection().unwrap();
    let Connection { mut input, mut output, socket } = it;
    output.write_bytes(pattern(5 * MIB).into()).await.unwrap();
    let reading = tokio::spawn(async move { input.read_u8().await });
    let accepting = tokio::spawn(async move { server.accept().await.map(drop) });
    let closed = tokio::spawn(async move { socket.closed().await });
    tokio::task::yield_now().await;
    let received = spawn_blocking(move || read_to_end(&mut peer));
    place.close(selector).await;
    let read = reading.await.unwrap();
    assert!(read.as_ref().is_err_and(forebay::Error::is_closed), "{place:?}: {read:?}");
    let accepted = accepting.await.unwrap();
    assert!(accepted.as_ref().is_err_and(forebay::Error::is_closed), "{place:?}: {accepted:?}");
    closed.await.unwrap();
    let (received, error) = received.await.unwrap();
    assert!(error.is_none(), "{place:?}: {error:?}");
    assert!(received == pattern(5 * MIB), "{place:?}: {} bytes", received.len());
    drop(output);
}

thread_local! {
    static KEPT: RefCell<Option<(Runtime, Connection, SelectorManager)>> = const { RefCell::new(None) };
}

/// The thread-local values of tokio may be gone by then, or not yet made.
#[test]
fn a_runtime_and_a_connection_end_with_their_thread() {
    alone("a_runtime_and_a_connection_end_with_their_thread", || {
        warmed_up();
        let before = descriptors();
        for runtime in [current_thread, multi_thread] {
            for is_first in [false, true] {
                watched(move || {
                    let mut peer = thread::spawn(move || keep(&runtime(), is_first, runtime()))
                        .join()
                        .unwrap();
                    let (received, error) = read_to_end(&mut peer);
                    assert!(error.is_none() && received == pattern(3 * MIB), "{error:?}");
                });
                nothing_left(&before);
            }
        }
    });
}

/// Fills the thread-local value before the thread's first use of tokio, or after it.
fn keep(other: &Runtime, is_first: bool, runtime: Runtime) -> TcpStream {
    if is_first {
        KEPT.with(|kept| drop(kept.borrow_mut()));
    } else {
        other.block_on(async {});
    }
    let selector = SelectorManager::new();
    let (it, peer) = runtime.block_on(async {
        let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
        let peer = dial(server.port());
        let mut it = server.accept().await.unwrap().connection().unwrap();
        it.output.write_bytes(pattern(3 * MIB).into()).await.unwrap();
        (it, peer)
    });
    KEPT.with(|kept| kept.replace(Some((runtime, it, selector))));
    peer
}

/// Threads of `block_in_place` and `spawn_blocking` wait for sockets of their runtime, which other threads drive.
#[test]
fn blocking_threads_wait_for_sockets_of_their_runtime() {
    alone("blocking_threads_wait_for_sockets_of_their_runtime", || {
        warmed_up();
        let before = descriptors();
        for in_place in [false, true] {
            watched(move || {
                let selector = SelectorManager::new();
                let runtime = multi_thread();
                let waited: Result<()> = runtime.block_on(async {
                    let (mut near, far) = pair(&selector).await?;
                    let read = move || {
                        let Connection { mut input, mut output, .. } = far;
                        block_on(async {
                            while let Some(line) = input.read_line().await? {
                                output.write_strs(&[&line, "\n"]).await?;
                            }
                            output.finish().await
                        })
                    };
                    let reading = if in_place {
                        tokio::spawn(async move { block_in_place(read) })
                    } else {
                        spawn_blocking(read)
                    };
                    for round in 0..100 {
                        let line = format!("{round}");
                        near.output.write_strs(&[&line, "\n"]).await?;
                        assert_eq!(near.input.read_line().await?, Some(line));
                    }
                    near.output.finish().await?;
                    reading.await.unwrap()?;
                    near.socket.close().await
                });
                waited.unwrap();
                wait_for(|| selector.stats().sockets == 0);
            });
            nothing_left(&before);
        }
    });
}

/// A runtime waits for its blocking threads, also for one that waits for a socket of the runtime, which has
/// stopped watching.
#[test]
fn a_blocking_thread_reads_on_while_its_runtime_ends() {
    alone("a_blocking_thread_reads_on_while_its_runtime_ends", || {
        warmed_up();
        let before = descriptors();
        for runtime in [current_thread, multi_thread] {
            watched(move || {
                let (selector, runtime) = (SelectorManager::new(), runtime());
                let server = runtime.block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
                let mut peer = dial(server.port());
                let mut it = runtime.block_on(server.accept()).unwrap().connection().unwrap();
                let (began, has_begun) = std::sync::mpsc::channel();
                let reading = runtime.spawn_blocking(move || {
                    block_on(async {
                        assert!(
                            futures_lite::future::poll_once(it.input.read_u8()).await.is_none()
                        );
                        began.send(()).unwrap();
                        let mut bytes = Vec::new();
                        while let Some(chunk) = it.input.read_chunk().await.unwrap() {
                            it.output.write_bytes(chunk.clone()).await.unwrap();
                            bytes.extend(chunk);
                        }
                        it.socket.close().await.unwrap();
                        bytes
                    })
                });
                has_begun.recv().unwrap();
                let ending = thread::spawn(move || drop(runtime));
                let sent = pattern(3 * MIB);
                for piece in sent.chunks(10_000) {
                    peer.write_all(piece).unwrap();
                    std::io::Read::read_exact(&mut peer, &mut vec![0; piece.len()]).unwrap();
                }
                peer.shutdown(std::net::Shutdown::Write).unwrap();
                ending.join().unwrap();
                assert!(block_on(reading).unwrap() == sent);
                drop(server);
            });
            nothing_left(&before);
        }
    });
}
