//! A task that never waits beside one that must run, with tokio's budget and without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{KIB, connection_and_peer, drain, flood};
use tokio::task::{JoinHandle, unconstrained};

use crate::support::{echo, in_each, pair};

/// Counts its own polls, and what it asks an echo, which also takes the guest.
fn beside(
    selector: &SelectorManager,
    count: &Arc<AtomicU64>,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<Result<()>> {
    let (selector, count, stop) = (selector.clone(), Arc::clone(count), Arc::clone(stop));
    tokio::spawn(async move {
        let (mut near, far) = pair(&selector).await?;
        let echoing = tokio::spawn(echo(far));
        while !stop.load(SeqCst) {
            near.output.write_str("hello\n").await?;
            assert_eq!(near.input.read_line().await?.as_deref(), Some("hello"));
            selector.sleep(Duration::from_micros(10)).await;
            count.fetch_add(1, SeqCst);
        }
        near.socket.close().await?;
        echoing.await.unwrap()
    })
}

/// Runs `busy` until the task beside it has gone on twenty times.
async fn not_starved<F: Future<Output = Result<()>> + Send + 'static>(
    selector: &SelectorManager,
    with_budget: bool,
    busy: impl FnOnce(Arc<AtomicBool>) -> F,
) -> Result<()> {
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let busy = busy(Arc::clone(&stop));
    let busy = if with_budget { tokio::spawn(busy) } else { tokio::spawn(unconstrained(busy)) };
    let other = beside(selector, &count, &stop);
    let mut turns = 0_u64;
    while count.load(SeqCst) < 20 {
        tokio::task::yield_now().await;
        turns += 1;
    }
    stop.store(true, SeqCst);
    other.await.unwrap()?;
    busy.await.unwrap()?;
    assert!(turns > 0);
    Ok(())
}

#[test]
fn a_read_that_never_waits_starves_no_task() {
    in_each("a_read_that_never_waits_starves_no_task", async |selector| {
        for with_budget in [true, false] {
            let (it, peer) = connection_and_peer(selector).await?;
            let flooding = flood(peer);
            not_starved(selector, with_budget, |stop| async move {
                let Connection { mut input, socket, .. } = it;
                while !stop.load(SeqCst) {
                    input.read_chunk().await?;
                }
                socket.abort();
                Ok(())
            })
            .await?;
            flooding.join().unwrap();
        }
        Ok(())
    });
}

#[test]
fn a_write_that_never_waits_starves_no_task() {
    in_each("a_write_that_never_waits_starves_no_task", async |selector| {
        for with_budget in [true, false] {
            let (it, peer) = connection_and_peer(selector).await?;
            let draining = drain(peer);
            not_starved(selector, with_budget, |stop| async move {
                let Connection { mut output, socket, .. } = it;
                let piece = vec![7; 8 * KIB];
                while !stop.load(SeqCst) {
                    output.write_all(&piece).await?;
                }
                socket.abort();
                Ok(())
            })
            .await?;
            draining.join().unwrap();
        }
        Ok(())
    });
}

/// A queue of many megabytes leaves beside the other tasks.
#[test]
fn a_large_queue_starves_no_task() {
    in_each("a_large_queue_starves_no_task", async |selector| {
        let (it, peer) = connection_and_peer(selector).await?;
        let draining = drain(peer);
        not_starved(selector, false, |stop| async move {
            let Connection { mut output, socket, .. } = it;
            let piece = bytes::Bytes::from(vec![7; 64 * 1024 * KIB]);
            while !stop.load(SeqCst) {
                output.write_bytes(piece.clone()).await?;
            }
            socket.abort();
            Ok(())
        })
        .await?;
        draining.join().unwrap();
        Ok(())
    });
}

/// Memory has no readiness at all.
#[test]
fn a_transfer_in_memory_starves_no_task() {
    in_each("a_transfer_in_memory_starves_no_task", async |selector| {
        for with_budget in [true, false] {
            let (near, far) = selector.duplex(64 * KIB);
            let draining = tokio::spawn(async move {
                let Connection { mut input, .. } = far;
                while input.read_chunk().await.is_ok_and(|chunk| chunk.is_some()) {}
            });
            not_starved(selector, with_budget, |stop| async move {
                let Connection { mut output, socket, .. } = near;
                while !stop.load(SeqCst) {
                    output.write_all(&[7; 100]).await?;
                }
                socket.abort();
                Ok(())
            })
            .await?;
            draining.await.unwrap();
        }
        Ok(())
    });
}

/// Everything is in one task: the busy side must give way to the other side of its own `select!`.
#[test]
fn a_busy_branch_leaves_a_sleep_its_turn() {
    in_each("a_busy_branch_leaves_a_sleep_its_turn", async |selector| {
        let (mut it, peer) = connection_and_peer(selector).await?;
        let flooding = flood(peer);
        for with_budget in [true, false] {
            let read = async {
                tokio::select! {
                    biased;
                    () = async { while it.input.read_chunk().await.is_ok() {} } => {}
                    () = selector.sleep(Duration::from_millis(20)) => {}
                }
            };
            if with_budget { read.await } else { unconstrained(read).await }
        }
        it.socket.abort();
        flooding.join().unwrap();
        Ok(())
    });
}
