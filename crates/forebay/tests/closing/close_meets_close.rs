//! An end of ours while the peer goes on; both sides that close at once; a close
//! that comes twice, from everywhere, or while something waits; and one that comes while connecting.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Barrier};
use std::thread;

use forebay::{CloseReason, Connection, Result, SelectorManager, Socket};
use forebay_testing::{
    KIB, MIB, Random, dial, listener, pair, pattern, read_to_end, report, run, seed, until,
    until_at_rest,
};
use futures_lite::future::{block_on, poll_once, yield_now, zip};

/// Both ends, each with a handle of its own.
async fn both_ends(selector: &SelectorManager) -> Result<(Socket, Socket)> {
    let server = listener(selector).await?;
    let (accepted, connected) =
        zip(server.accept(), selector.tcp().connect(server.local_address())).await;
    Ok((connected?, accepted?))
}

// ---- an end of ours -----------------------------------------------------------------------------

#[test]
fn behind_our_end_the_peer_is_still_heard() {
    run(async |selector| {
        let (accepted, peer) = pair(&selector).await?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = selector.tcp().connect(listener.local_addr().unwrap()).await?;
        let other_peer = listener.accept().unwrap().0;
        for (socket, mut peer) in [(accepted, peer), (connected, other_peer)] {
            let Connection { mut input, mut output, socket } = socket.connection()?;
            let peers = thread::spawn(move || {
                let (bytes, error) = read_to_end(&mut peer);
                assert!(
                    bytes == pattern(3 * MIB) && error.is_none(),
                    "{} B, {error:?}",
                    bytes.len()
                );
                // Only now does the peer begin.
                for line in 0..1000 {
                    writeln!(peer, "line {line}").unwrap();
                }
                peer.write_all(&pattern(3 * MIB)).unwrap();
                peer.shutdown(Shutdown::Write).unwrap();
            });
            output.write_all(&pattern(3 * MIB)).await?;
            output.finish().await?;
            assert!(output.write_str("more").await.is_err_and(|error| error.is_closed()));
            for line in 0..1000 {
                assert_eq!(input.read_line().await?, Some(format!("line {line}")));
            }
            assert!(input.read_remaining(4 * MIB).await?.as_slice() == pattern(3 * MIB));
            assert_eq!(input.read_line().await?, None);
            peers.join().unwrap();
            assert_eq!(socket.closed().await, CloseReason::Ended);
            socket.close().await?;
        }
        until_at_rest(&selector, 0).await;
        assert_eq!(selector.stats().unacknowledged, 0);
        Ok(())
    });
}

// ---- both at once -------------------------------------------------------------------------------

/// Each side has written, and reads nothing or everything of what the other wrote; then both close
/// at once. No call returns an error, and a reader misses nothing.
#[test]
fn both_sides_close_at_once() {
    const NAME: &str = "both_sides_close_at_once";
    const ROUNDS: usize = 300;
    let seed = seed(NAME);
    run(async move |selector| {
        let mut random = Random::new(seed, 0);
        for _ in 0..ROUNDS {
            let (one, other) = both_ends(&selector).await?;
            let sizes = [0, 1, 100, 60 * KIB];
            let [a, b] = [(); 2].map(|()| sizes[random.below(sizes.len())]);
            let (one, other) = zip(write_and_close(one, a), write_and_close(other, b)).await;
            one?;
            other?;
        }
        until_at_rest(&selector, 0).await;
        assert_eq!(selector.stats().unacknowledged, 0);
        report(&format!("{NAME}: {ROUNDS} rounds, no error"));
        Ok(())
    });
}

async fn write_and_close(socket: Socket, bytes: usize) -> Result<()> {
    let mut output = socket.open_write_channel()?;
    output.write_all(&pattern(bytes)).await?;
    // With one of the halves never opened, and the other open still.
    socket.close().await
}

/// The same, where each first finishes and reads what the other has sent.
#[test]
fn both_sides_finish_at_once_and_miss_nothing() {
    const ROUNDS: usize = 100;
    run(async |selector| {
        for round in 0..ROUNDS {
            let (one, other) = both_ends(&selector).await?;
            let (one, other) =
                zip(tell_and_listen(one, 2 * round), tell_and_listen(other, 2 * round + 1)).await;
            one?;
            other?;
        }
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

/// Each of a pair begins the pattern elsewhere; their places differ in the last bit.
async fn tell_and_listen(socket: Socket, from: usize) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    let bytes = 150 * KIB;
    let sending = async {
        output.write_all(&pattern(bytes + from)[from..]).await?;
        output.finish().await
    };
    let (sent, received) = zip(sending, input.read_remaining(MIB)).await;
    sent?;
    let received = received?;
    let theirs = from ^ 1;
    assert!(received.as_slice() == &pattern(bytes + theirs)[theirs..], "{} B", received.len());
    assert_eq!(socket.closed().await, CloseReason::Ended);
    socket.close().await
}

/// A peer of the standard library on a thread of its own, which releases its descriptor in the same
/// moment, with input unread: that is a reset on its part, and an end either way.
#[test]
fn a_peer_releases_in_the_same_moment() {
    const ROUNDS: usize = 300;
    run(async |selector| {
        let (mut resets, mut ends) = (0, 0);
        for round in 0..ROUNDS {
            let (socket, mut peer) = pair(&selector).await?;
            let mut output = socket.open_write_channel()?;
            output.write_all(&pattern(round % 3 * 1000)).await?;
            output.flush().await?;
            let start = Arc::new(Barrier::new(2));
            let started = Arc::clone(&start);
            let peer = thread::spawn(move || {
                peer.write_all(b"and I say").unwrap();
                started.wait();
                drop(peer);
            });
            start.wait();
            match socket.close().await {
                Ok(()) => ends += 1,
                Err(error) if error.is_reset() => resets += 1,
                Err(error) => return Err(error),
            }
            peer.join().unwrap();
        }
        until_at_rest(&selector, 0).await;
        report(&format!("t5: {ROUNDS} peers in the same moment: {ends} ends, {resets} resets"));
        Ok(())
    });
}

// ---- again and again ----------------------------------------------------------------------------

#[test]
fn a_close_that_comes_again_changes_nothing() {
    run(async |selector| {
        for first_aborts in [false, true] {
            let (socket, peer) = pair(&selector).await?;
            let mut output = socket.open_write_channel()?;
            output.write_str("goodbye\n").await?;
            output.flush().await?;
            if first_aborts {
                socket.abort();
            }
            // Begun twice within one task, then by clones on other threads, then once more.
            let (one, two) = zip(socket.close(), socket.close()).await;
            assert_eq!((one.is_ok(), two.is_ok()), (true, true), "{one:?}, {two:?}");
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let socket = socket.clone();
                    thread::spawn(move || block_on(socket.close()))
                })
                .collect();
            for thread in threads {
                thread.join().unwrap()?;
            }
            socket.close().await?;
            socket.abort();
            socket.abort();
            socket.close().await?;
            assert_eq!(socket.closed().await, CloseReason::Local);
            assert!(output.finish().await.is_err_and(|error| error.is_closed()) || !first_aborts);
            let mut peer = peer;
            let mut heard = String::new();
            let ended = peer.read_to_string(&mut heard);
            assert_eq!(ended.is_err(), first_aborts, "{ended:?}");
            assert!(first_aborts || heard == "goodbye\n");
        }
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

// ---- while something waits ----------------------------------------------------------------------

/// Every call that waits, for bytes, for room, for the kernel or for the end, is ended by `close` and
/// by `abort`.
#[test]
fn what_waits_ends_with_closed() {
    run(async |selector| {
        for aborts in [false, true] {
            let (socket, mut peer) = pair(&selector).await?;
            let Connection { mut input, mut output, socket } = socket.connection()?;
            let reading = selector.spawn_value(async move { input.read_line().await.map(drop) });
            let writing = selector.spawn_value(async move {
                loop {
                    let written = output.write_all(&pattern(100 * KIB)).await;
                    if let Err(error) = written {
                        break error;
                    }
                }
            });
            let ended = {
                let socket = socket.clone();
                selector.spawn_value(async move { socket.closed().await })
            };
            let mut quiet = (0, 0);
            until(|| {
                let sent = selector.stats().sent_bytes;
                quiet = if sent == quiet.0 { (sent, quiet.1 + 1) } else { (sent, 0) };
                sent > 0 && quiet.1 > 100
            })
            .await;
            assert!(!reading.is_finished() && !writing.is_finished() && !ended.is_finished());
            let closing = {
                let socket = socket.clone();
                selector.spawn(async move {
                    if aborts {
                        socket.abort();
                    }
                    socket.close().await
                })
            };
            let reading = reading.await?.unwrap_err();
            assert!(reading.is_closed(), "{reading}");
            let writing = writing.await?;
            assert!(writing.is_closed(), "{writing}");
            // The peer takes what had been accepted, up to the end mark.
            let peers = thread::spawn(move || read_to_end(&mut peer).1.is_some());
            closing.await?;
            assert_eq!(ended.await?, CloseReason::Local);
            assert_eq!(peers.join().unwrap(), aborts, "whether the peer saw a reset");
        }
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

/// The wait and the close are two futures of one task.
#[test]
fn a_close_in_the_task_that_waits() {
    run(async |selector| {
        let (socket, _peer) = pair(&selector).await?;
        let mut input = socket.open_read_channel()?;
        let (read, closed) = zip(input.read_line(), socket.close()).await;
        assert!(read.is_err_and(|error| error.is_closed()));
        closed
    });
}

// ---- while connecting ---------------------------------------------------------------------------

/// A connect leaves nothing when its task is aborted, its future is dropped or its selector is
/// closed while the handshake hangs.
#[test]
fn an_end_while_connecting_leaves_nothing() {
    run(async |selector| {
        // No call of `accept`, and the backlog is as short as it gets: later handshakes hang.
        let full = selector.tcp().backlog(0).bind("127.0.0.1:0").await?;
        let _filler = dial(full.port());
        let connecting = || {
            let (selector, address) = (selector.clone(), full.local_address());
            async move { selector.tcp().connect(address).await.map(drop) }
        };
        for _ in 0..20 {
            let mut dropped = Box::pin(connecting());
            assert!(poll_once(dropped.as_mut()).await.is_none());
            let aborted = selector.spawn(connecting());
            for _ in 0..5 {
                yield_now().await;
            }
            drop(dropped);
            aborted.abort();
            assert!(aborted.await.is_err_and(|error| error.is_cancelled()));
        }
        until(|| selector.stats().sockets == 1 && selector.stats().timers == 0).await;

        let other = SelectorManager::new();
        let closed = {
            let (other, address) = (other.clone(), full.local_address());
            other.clone().spawn(async move { other.tcp().connect(address).await.map(drop) })
        };
        until(|| other.stats().sockets == 1).await;
        other.close().await;
        assert!(closed.await.is_err_and(|error| error.is_closed() || error.is_cancelled()));
        assert_eq!(other.stats().sockets, 0);
        Ok(())
    });
}
