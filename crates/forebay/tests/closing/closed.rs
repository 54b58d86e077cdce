//! `closed` and `peer_finished`, over every transport: how a connection ends is noticed when it
//! does, without a read or a write; nothing unread is lost by that, and after a reset no call
//! reports a clean end.

#![cfg(target_os = "linux")]

use std::io::Write;
use std::sync::{Arc, Barrier};
use std::task::{Context, Wake, Waker};
use std::thread;

use forebay::{CloseReason, Connection, Error, Result, SelectorManager};
use forebay_testing::{
    Transport, assert_reset, on_each, on_every_transport, other_end, pair, report, reset, run,
    settle, size, until, wait_for,
};
use futures_lite::future::{block_on, poll_once};

const WAITERS: usize = 100;

#[test]
fn a_reset_is_noticed_although_nobody_reads() {
    on_every_transport(async |selector, transport| {
        let (mut it, peer) = transport.pair(&selector).await?;
        let socket = it.socket.clone();
        let closed = selector.spawn_value(async move { socket.closed().await });
        let socket = it.socket.clone();
        let finished = selector.spawn_value(async move { socket.peer_finished().await });
        settle().await;
        assert!(!it.socket.is_closed() && !closed.is_finished() && !finished.is_finished());

        transport.reset_by_peer(&mut it, &peer).await?;
        assert_eq!(closed.await?, CloseReason::Reset, "over {transport}");
        assert_reset(transport, finished.await?);
        assert!(it.socket.is_closed());
        assert!(it.input.closed_cause().is_some_and(|cause| cause.is_reset()));
        // The writer's very next call says so, and does not accept anything first.
        assert!(it.output.is_closed_for_write());
        assert_reset(transport, poll_once(it.output.write_u8(1)).await.unwrap());
        assert_eq!(it.output.queued(), 0);
        for _ in 0..2 {
            assert_reset(transport, it.input.read(&mut [0]).await);
            assert_reset(transport, it.output.flush().await);
            assert_reset(transport, it.socket.peer_finished().await);
            assert_eq!(it.socket.closed().await, CloseReason::Reset);
            assert_reset(transport, it.socket.close().await);
        }
        Ok(())
    });
}

#[test]
fn the_end_mark_is_seen_before_what_it_stands_behind_is_read() {
    on_every_transport(async |selector, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        assert!(poll_once(it.socket.peer_finished()).await.is_none());
        peer.output.write_str("one\ntwo\nhalf").await?;
        peer.output.flush().await?;
        settle().await;
        assert!(poll_once(it.socket.peer_finished()).await.is_none(), "over {transport}");
        peer.output.finish().await?;
        for _ in 0..2 {
            it.socket.peer_finished().await?;
        }
        // One direction is open still.
        assert!(poll_once(it.socket.closed()).await.is_none(), "over {transport}");
        assert!(!it.socket.is_closed() && it.input.closed_cause().is_none());
        it.output.write_str("answer\n").await?;
        it.output.finish().await?;
        assert_eq!(it.socket.closed().await, CloseReason::Ended, "over {transport}");

        for line in ["one", "two", "half"] {
            assert_eq!(it.input.read_line().await?.as_deref(), Some(line), "over {transport}");
        }
        assert_eq!(it.input.read_line().await?, None);
        assert_eq!(peer.input.read_line().await?.as_deref(), Some("answer"));
        assert_eq!(peer.input.read_line().await?, None);
        it.socket.peer_finished().await?;
        it.socket.close().await
    });
}

/// A reader gets everything that had arrived, and then the reset, although `closed` was the call
/// that took the error from the system.
#[test]
fn what_arrived_before_the_reset_stays_readable() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut it = socket.connection()?;
        let unread = b"one\ntwo\nhalf of thr";
        peer.write_all(unread).unwrap();
        wait_for(|| other_end(&peer).is_some_and(|it| it.unread == unread.len()));
        reset(peer);
        assert_unread_then_reset(Transport::Tcp, &mut it).await
    });
    run(async |selector| {
        let (mut it, mut peer) = Transport::Unix.pair(&selector).await?;
        peer.output.write_str("one\ntwo\nhalf of thr").await?;
        peer.output.flush().await?;
        Transport::Unix.reset_by_peer(&mut it, &peer).await?;
        assert_unread_then_reset(Transport::Unix, &mut it).await
    });
}

async fn assert_unread_then_reset(transport: Transport, it: &mut Connection) -> Result<()> {
    assert_eq!(it.socket.closed().await, CloseReason::Reset, "over {transport}");
    assert_reset(transport, it.socket.peer_finished().await);
    assert_eq!(it.input.read_line().await?.as_deref(), Some("one"), "over {transport}");
    assert_eq!(it.input.read_line().await?.as_deref(), Some("two"), "over {transport}");
    assert_reset(transport, it.input.read_line().await);
    assert_eq!(it.input.read_chunk().await?.as_deref(), Some(&b"half of thr"[..]));
    assert_reset(transport, it.input.read_line().await);
    Ok(())
}

/// Two threads, of which one waits for the end and the other reads: the system tells the error to
/// one of them, and an empty receive to the other.
#[test]
fn a_reset_is_no_clean_end_whoever_takes_the_error() {
    let races = size("FOREBAY_RACES", 75, 300);
    let noticed_first: usize = run(async move |selector| {
        let mut noticed_first = 0;
        for race in 0..races {
            let (socket, peer) = pair(&selector).await?;
            let start = Arc::new(Barrier::new(3));
            let waiter = thread::spawn({
                let (socket, start) = (socket.clone(), Arc::clone(&start));
                move || {
                    start.wait();
                    (block_on(socket.peer_finished()), block_on(socket.closed()))
                }
            });
            let reader = thread::spawn({
                let (mut it, start) = (socket.connection()?, Arc::clone(&start));
                move || {
                    start.wait();
                    let known = it.input.closed_cause().is_some();
                    (block_on(it.input.read(&mut [0; 8])), known, block_on(it.output.write_u8(1)))
                }
            });
            start.wait();
            if race % 2 == 0 {
                thread::yield_now();
            }
            reset(peer);
            // Not `join`, which would stop the loop that wakes them.
            until(|| waiter.is_finished() && reader.is_finished()).await;
            let (finished, reason) = waiter.join().unwrap();
            let (read, known, written) = reader.join().unwrap();
            assert_eq!(reason, CloseReason::Reset, "race {race}");
            assert_reset(Transport::Tcp, read);
            assert_reset(Transport::Tcp, finished);
            assert_reset(Transport::Tcp, socket.peer_finished().await);
            if let Err(error) = written {
                assert!(error.is_reset(), "race {race}: {error}");
            }
            noticed_first += usize::from(known);
        }
        Ok(noticed_first)
    });
    report(&format!("{races} resets, {noticed_first} known before the reader began"));
}

#[test]
fn many_wait_for_the_same_end() {
    on_every_transport(async |selector, transport| {
        let (it, peer) = transport.pair(&selector).await?;
        let mut waiting = Vec::new();
        for _ in 0..WAITERS {
            let (socket, other) = (it.socket.clone(), it.socket.clone());
            waiting.push((
                selector.spawn_value(async move { socket.closed().await }),
                selector.spawn_value(async move { other.peer_finished().await }),
            ));
        }
        settle().await;
        assert!(waiting.iter().all(|(one, other)| !one.is_finished() && !other.is_finished()));
        let Connection { mut output, .. } = peer;
        output.finish().await?;
        let mut reasons = Vec::new();
        for (closed, finished) in waiting {
            finished.await??;
            reasons.push(closed);
        }
        settle().await;
        assert!(reasons.iter().all(|closed| !closed.is_finished()), "over {transport}");
        let Connection { output, .. } = it;
        drop(output);
        for closed in reasons {
            assert_eq!(closed.await?, CloseReason::Ended, "over {transport}");
        }
        Ok(())
    });
}

/// A waker that counts itself by being an `Arc`.
struct Counted;

impl Wake for Counted {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn dropped_waiters_leave_nothing() {
    on_every_transport(async |selector, transport| {
        let (it, _peer) = transport.pair(&selector).await?;
        let counted = Arc::new(Counted);
        let before = selector.stats();
        for _ in 0..1000 {
            let waker = Waker::from(Arc::clone(&counted));
            let mut cx = Context::from_waker(&waker);
            let mut closed = Box::pin(it.socket.closed());
            let mut finished = Box::pin(it.socket.peer_finished());
            assert!(closed.as_mut().poll(&mut cx).is_pending());
            assert!(finished.as_mut().poll(&mut cx).is_pending());
            assert!(closed.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(Arc::strong_count(&counted), 1, "wakers kept over {transport}");
        let mut now = selector.stats();
        // Over TLS the session's tickets follow the handshake. They may be on their way, or still be sent.
        (now.receives, now.received_bytes) = (before.receives, before.received_bytes);
        if transport == Transport::Tls {
            (now.sends, now.sent_bytes) = (before.sends, before.sent_bytes);
        }
        assert_eq!(now, before);
        Ok(())
    });
}

#[test]
fn our_own_end_is_local() {
    type End = fn(&Connection);
    const ENDS: [(&str, End); 2] = [
        ("abort", |it| it.socket.abort()),
        ("close", |it| {
            assert!(poll_now(it.socket.close()));
        }),
    ];
    on_every_transport(async |selector, transport| {
        for (name, end) in ENDS {
            let (it, peer) = transport.pair(&selector).await?;
            let socket = it.socket.clone();
            let closed = selector.spawn_value(async move { socket.closed().await });
            let socket = it.socket.clone();
            let finished = selector.spawn_value(async move { socket.peer_finished().await });
            settle().await;
            // The peer's end is out already where a close is to be done at once.
            drop(peer);
            finished.await??;
            end(&it);
            assert_eq!(closed.await?, CloseReason::Local, "{name} over {transport}");
            assert_eq!(it.socket.closed().await, CloseReason::Local, "{name} over {transport}");
            assert!(it.socket.is_closed());
        }
        // Where the peer has not ended, that is what is told.
        let (it, _peer) = transport.pair(&selector).await?;
        let socket = it.socket.clone();
        let finished = selector.spawn_value(async move { socket.peer_finished().await });
        settle().await;
        it.socket.abort();
        assert!(finished.await?.is_err_and(|error| error.is_closed()), "over {transport}");
        Ok(())
    });
}

/// Polls a future once; true when that was enough.
fn poll_now(future: impl Future<Output = Result<()>>) -> bool {
    block_on(poll_once(future)).is_some_and(|outcome| outcome.is_ok())
}

#[test]
fn a_close_tells_whoever_waits_for_the_peer() {
    on_every_transport(async |selector, transport| {
        let (it, _peer) = transport.pair(&selector).await?;
        let socket = it.socket.clone();
        let finished = selector.spawn_value(async move { socket.peer_finished().await });
        settle().await;
        it.socket.close().await?;
        let error: Error = finished.await?.unwrap_err();
        assert!(error.is_closed(), "over {transport}: {error}");
        Ok(())
    });
}

#[test]
fn a_closing_selector_wakes_them() {
    on_each(|transport| {
        let selector = SelectorManager::new();
        let other = selector.clone();
        let (it, peer) = selector.block_on(transport.pair(&other)).unwrap();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let socket = it.socket.clone();
                thread::spawn(move || {
                    let finished = block_on(socket.peer_finished());
                    (finished, block_on(socket.closed()))
                })
            })
            .collect();
        let socket = it.socket.clone();
        let task = selector.spawn_value(async move { socket.closed().await });
        selector.block_on(settle());
        selector.block_on(async {
            selector.close().await;
            assert_eq!(task.await.unwrap(), CloseReason::Local, "over {transport}");
        });
        for thread in waiting {
            let (finished, reason) = thread.join().unwrap();
            assert!(finished.is_err_and(|error| error.is_closed()), "over {transport}");
            assert_eq!(reason, CloseReason::Local, "over {transport}");
        }
        drop((it, peer));
    });
}
