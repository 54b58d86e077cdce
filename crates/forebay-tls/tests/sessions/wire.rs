//! The writes of a turn leave in as few records as possible, and no memory is kept afterwards.

use std::sync::Arc;

use bytes::Bytes;
use forebay_io::seam::{BlockLedger, WorkerPool};
use forebay_testing::{
    report, scrambled,
    sessions::{BOTH, DATA, Side, Version, client, opened, opened_with_middle, records, server},
    watched_future,
};
use futures_lite::future::poll_once;

/// The records that one flush makes of what `write` writes.
async fn records_of(version: Version, write: impl AsyncFnOnce(&mut Side)) -> (Vec<usize>, usize) {
    let (mut left, mut middle, mut right) =
        opened_with_middle(&client(version), &server(version)).await;
    left.output.manual_flush();
    write(&mut left).await;
    let queued = left.output.queued();
    left.output.flush().await.expect("room");
    let stream = middle.sent_by_client().await;
    let found = records(&stream);
    assert!(found.iter().all(|record| record[0] == DATA));
    let lengths = found.iter().map(|record| record.len()).collect();
    middle.give_server(&stream).await;
    let mut read = vec![0; queued];
    right.input.read_exact(&mut read).await.expect("all of it");
    (lengths, queued)
}

#[track_caller]
fn assert_full(name: &str, version: Version, (lengths, written): (Vec<usize>, usize)) {
    report(&format!(
        "{name}, TLS {version}: {written} bytes in {} records {lengths:?}",
        lengths.len()
    ));
    assert!(lengths.len() <= written.div_ceil(16 * 1024), "{name}: {lengths:?}");
}

#[test]
fn a_flush_makes_no_record_more_than_it_needs() {
    watched_future(|| async {
        for version in BOTH {
            for length in [1, 100, 8000, 8192, 16_383, 16_384, 16_385, 65_536, 200_000, 1_000_000] {
                let data = scrambled(length, 0);
                let made = records_of(version, async |side: &mut Side| {
                    side.output.write_all(&data).await.expect("room");
                });
                assert_full("one write", version, made.await);
            }
        }
    });
}

#[test]
fn small_writes_of_a_turn_share_a_record() {
    watched_future(|| async {
        for version in BOTH {
            for (count, size) in [(10, 1), (5000, 1), (1000, 60), (30, 1000), (8, 8000)] {
                let made = records_of(version, async |side: &mut Side| {
                    for _ in 0..count {
                        side.output.write_all(&scrambled(size, 0)).await.expect("room");
                    }
                });
                assert_full(&format!("{count} writes of {size}"), version, made.await);
            }
        }
    });
}

#[test]
fn large_values_and_small_writes_share_records() {
    watched_future(|| async {
        for version in BOTH {
            let made = records_of(version, async |side: &mut Side| {
                for value in [40_000, 33_000] {
                    side.output.write_str("a small write in front").await.expect("room");
                    side.output.write_bytes(Bytes::from(scrambled(value, 0))).await.expect("room");
                }
            });
            assert_full("values of 40,000 and 33,000 between small writes", version, made.await);
        }
    });
}

#[test]
fn an_idle_session_holds_no_block() {
    watched_future(|| async {
        for version in BOTH {
            let ledger = Arc::new(BlockLedger::default());
            let pool = WorkerPool::enter(Arc::clone(&ledger));
            let (mut left, mut right) = opened(version).await;
            assert_eq!(ledger.in_use(), 0, "behind the handshake");
            for length in [1, 5000, 16_384, 100_000] {
                for _ in 0..2 {
                    left.output.write_all(&scrambled(length, 0)).await.expect("room");
                    left.output.flush().await.expect("room");
                    let mut read = vec![0; length];
                    right.input.read_exact(&mut read).await.expect("all of it");
                    std::mem::swap(&mut left, &mut right);
                }
                // A reader that waits for a line, or reads no more, holds nothing.
                assert_eq!(ledger.in_use(), 0, "{length} bytes were read, TLS {version}");
                assert!(poll_once(left.input.read_line()).await.is_none());
                assert_eq!(ledger.in_use(), 0, "{length} bytes, and a reader waits");
            }
            drop((left, right));
            drop(pool);
        }
    });
}

#[test]
fn a_reader_who_does_not_read_stops_the_sender() {
    watched_future(|| async {
        for version in BOTH {
            let ledger = Arc::new(BlockLedger::default());
            let pool = WorkerPool::enter(Arc::clone(&ledger));
            let (mut left, mut right) = forebay_testing::sessions::opened_over(
                64 * 1024,
                &client(version),
                &server(version),
            )
            .await;
            let data = scrambled(10_000, 0);
            right.output.write_all(&data).await.expect("room");
            let mut byte = [0];
            left.input.read_exact(&mut byte).await.expect("the first byte");
            let mut written = data.len();
            while poll_once(right.output.write_all(&data)).await.is_some() {
                written += data.len();
                // A writer that works on what has arrived does not take more for that.
                left.output.write_str("x").await.expect("room");
            }
            report(&format!(
                "TLS {version}: stopped after {written} bytes, {} blocks",
                ledger.in_use()
            ));
            assert!(written < 512 * 1024, "{written}");
            assert!(ledger.in_use() <= 12, "{}", ledger.in_use());
            drop((left, right));
            drop(pool);
        }
    });
}
