//! Many selectors in a runtime, and a selector in many runtimes.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{
    KIB, alone, counted_alone, descriptors, dial, pattern, watched, worker_threads,
};
use futures_lite::future::{block_on, poll_once};
use tokio::runtime::Runtime;

use crate::support::{
    Kind, current_thread, echo, in_each, multi_thread, nothing_left, pair, used_pair, warmed_up,
};

async fn greet(near: &mut Connection, far: &mut Connection, word: &str) -> Result<()> {
    let line = [word, "\n"];
    let (told, heard) = tokio::join!(near.output.write_strs(&line), far.input.read_line());
    told?;
    assert_eq!(heard?.as_deref(), Some(word));
    let (told, heard) = tokio::join!(far.output.write_strs(&line), near.input.read_line());
    told?;
    assert_eq!(heard?.as_deref(), Some(word));
    Ok(())
}

#[test]
fn a_hundred_selectors_share_a_runtime() {
    counted_alone("a_hundred_selectors_share_a_runtime", || {
        warmed_up();
        for kind in Kind::ALL {
            let before = descriptors();
            watched(move || {
                let runtime = kind.runtime();
                kind.block_on(&runtime, async {
                    let selectors: Vec<_> = (0..100).map(|_| SelectorManager::new()).collect();
                    let mut pairs = Vec::new();
                    for selector in &selectors {
                        pairs.push(used_pair(selector).await.unwrap());
                    }
                    for round in 0..3 {
                        let talking: Vec<_> = pairs
                            .drain(..)
                            .map(|(mut near, mut far)| {
                                tokio::spawn(async move {
                                    greet(&mut near, &mut far, &format!("{round}")).await.unwrap();
                                    (near, far)
                                })
                            })
                            .collect();
                        for talk in talking {
                            pairs.push(talk.await.unwrap());
                        }
                    }
                    assert_eq!(worker_threads(), 0, "{kind:?}");
                    for (number, (near, far)) in pairs.into_iter().enumerate() {
                        if number % 2 == 0 {
                            near.socket.abort();
                            far.socket.abort();
                        }
                    }
                    for (number, selector) in selectors.into_iter().enumerate() {
                        if number % 3 > 0 {
                            selector.close().await;
                        }
                    }
                });
            });
            nothing_left(&before);
        }
    });
}

/// Half of a hundred rounds alternate between ten runtimes; in the other half all ten use the selector at once.
#[test]
fn ten_runtimes_share_a_selector() {
    counted_alone("ten_runtimes_share_a_selector", || {
        warmed_up();
        let before = descriptors();
        watched(|| {
            let selector = SelectorManager::new();
            let runtimes: Vec<_> = (0..10)
                .map(|number| if number % 2 == 0 { current_thread() } else { multi_thread() })
                .collect();
            let mut pairs: Vec<_> = runtimes
                .iter()
                .map(|runtime| runtime.block_on(used_pair(&selector)).unwrap())
                .collect();
            for round in 0..20 {
                for (number, runtime) in runtimes.iter().enumerate() {
                    let (near, far) = &mut pairs[number];
                    runtime.block_on(greet(near, far, &format!("{round}"))).unwrap();
                }
            }
            let threads: Vec<_> = runtimes
                .into_iter()
                .zip(pairs)
                .map(|(runtime, (mut near, mut far))| {
                    let selector = selector.clone();
                    thread::spawn(move || {
                        runtime.block_on(async {
                            for round in 0..20 {
                                greet(&mut near, &mut far, &format!("{round}")).await.unwrap();
                                let (one, other) = pair(&selector).await.unwrap();
                                let echoing = tokio::spawn(echo(other));
                                back_and_forth(one).await.unwrap();
                                echoing.await.unwrap().unwrap();
                            }
                            near.socket.abort();
                            far.socket.abort();
                        });
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(selector.stats().sockets, 0);
            block_on(selector.close());
        });
        nothing_left(&before);
    });
}

async fn back_and_forth(it: Connection) -> Result<()> {
    let Connection { mut input, mut output, socket } = it;
    let sent = pattern(200 * KIB);
    let written = async {
        output.write_all(&sent).await?;
        output.finish().await
    };
    let (written, read) = tokio::join!(written, input.read_remaining(sent.len()));
    written?;
    assert!(read?.as_slice() == sent);
    socket.close().await
}

/// The halves of a connection are used in two runtimes at once, whose threads drive them for each other.
#[test]
fn the_halves_of_a_connection_are_in_two_runtimes() {
    alone("the_halves_of_a_connection_are_in_two_runtimes", || {
        warmed_up();
        let before = descriptors();
        for first in [current_thread, multi_thread] {
            for second in [current_thread, multi_thread] {
                watched(move || halves(first(), &second()));
            }
        }
        nothing_left(&before);
    });
}

fn halves(first: Runtime, second: &Runtime) {
    let selector = SelectorManager::new();
    let sent = Arc::new(pattern(3000 * KIB));
    let (it, mut peer) = first.block_on(async {
        let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
        let peer = dial(server.port());
        (server.accept().await.unwrap().connection().unwrap(), peer)
    });
    let Connection { mut input, mut output, socket } = it;
    let mut reading_peer = peer.try_clone().unwrap();
    let data = Arc::clone(&sent);
    let peer_writes = thread::spawn(move || {
        peer.write_all(&data).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let peer_reads = thread::spawn(move || {
        let mut bytes = Vec::new();
        reading_peer.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let reading = thread::spawn(move || {
        let read = first.block_on(input.read_remaining(4000 * KIB)).unwrap();
        (read, first)
    });
    let data = Arc::clone(&sent);
    second.block_on(async {
        output.write_all(&data).await.unwrap();
        output.finish().await.unwrap();
    });
    let (read, first) = reading.join().unwrap();
    assert!(read.as_slice() == *sent && peer_reads.join().unwrap() == *sent);
    peer_writes.join().unwrap();
    drop(first);
    second.block_on(socket.close()).unwrap();
    block_on(selector.close());
}

/// A read begins in one runtime, and ends in another, which polls the same future.
#[test]
fn a_wait_moves_from_one_runtime_to_another() {
    in_each("a_wait_moves_from_one_runtime_to_another", async |selector| {
        let (mut near, mut far) = used_pair(selector).await?;
        for round in 0..50 {
            let mut reading = Box::pin(async move { (far.input.read_line().await, far) });
            assert!(poll_once(&mut reading).await.is_none());
            let elsewhere = thread::spawn(move || {
                let runtime = if round % 2 == 0 { current_thread() } else { multi_thread() };
                runtime.block_on(async {
                    let mut polls = 0;
                    poll_fn(|cx| {
                        polls += 1;
                        // Polled again and again, as in `join!`.
                        match reading.as_mut().poll(cx) {
                            Poll::Pending if polls < 3 => {
                                cx.waker().wake_by_ref();
                                Poll::Pending
                            }
                            polled => polled,
                        }
                    })
                    .await
                })
            });
            near.output.write_str("hello\n").await?;
            near.output.flush().await?;
            let back = tokio::task::spawn_blocking(move || elsewhere.join().unwrap());
            let read;
            (read, far) = back.await.unwrap();
            assert_eq!(read?.as_deref(), Some("hello"));
        }
        near.socket.abort();
        far.socket.abort();
        Ok(())
    });
}

/// A socket whose first wait was in one host is used in the others: it stays where it is.
#[cfg(feature = "smol")]
#[test]
fn sockets_of_smol_and_of_tokio_are_used_in_the_other() {
    alone("sockets_of_smol_and_of_tokio_are_used_in_the_other", || {
        warmed_up();
        let before = descriptors();
        for runtime in [current_thread, multi_thread] {
            watched(move || {
                let (selector, runtime) = (SelectorManager::new(), runtime());
                let (mut a, mut b) = runtime.block_on(used_pair(&selector)).unwrap();
                let (mut c, mut d) = async_io::block_on(used_pair(&selector)).unwrap();
                for round in 0..20 {
                    let word = format!("{round}");
                    runtime.block_on(greet(&mut c, &mut d, &word)).unwrap();
                    selector.block_on(greet(&mut c, &mut d, &word)).unwrap();
                    block_on(greet(&mut c, &mut d, &word)).unwrap();
                    // A runtime of one thread drives its sockets only inside its own `block_on`.
                    runtime.block_on(greet(&mut a, &mut b, &word)).unwrap();
                }
                drop(runtime);
                async_io::block_on(greet(&mut a, &mut b, "after it")).unwrap();
                async_io::block_on(greet(&mut c, &mut d, "after it")).unwrap();
                for it in [a, b, c, d] {
                    it.socket.abort();
                }
                block_on(selector.close());
            });
            nothing_left(&before);
        }
    });
}
