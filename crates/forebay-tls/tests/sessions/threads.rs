//! Two sides on two threads, over pipes. A pipe has no turns, so the thread that makes room in it also
//! sends the bytes that wait for that room.

use std::thread;

use forebay_testing::{
    from_environment, scrambled,
    sessions::{BOTH, Side, client, opened_over, server},
    watched_future,
};
use futures_lite::future::{block_on, zip};

/// Writes all of it and reads as much.
async fn exchange(mut side: Side, data: &[u8], item: usize) {
    let writes = async {
        for item in data.chunks(item) {
            side.output.write_all(item).await.expect("the session is fine");
        }
        side.output.finish().await.expect("the session is fine");
    };
    let reads = async { side.input.read_remaining(data.len()).await.expect("it is all sent") };
    let ((), read) = zip(writes, reads).await;
    assert!(read.as_ref() == data);
}

#[test]
fn two_sides_on_two_threads_wait_for_nobody_who_waits_for_them() {
    watched_future(|| async {
        for version in BOTH {
            for capacity in [1, 100, 5000, 70_000] {
                for round in 0..from_environment("FOREBAY_TLS_ROUNDS", 8) {
                    let (left, right) =
                        opened_over(capacity, &client(version), &server(version)).await;
                    let length = if capacity == 1 { 3000 } else { 300_000 };
                    let data = scrambled(length, 0);
                    let there = data.clone();
                    let other = thread::spawn(move || {
                        block_on(exchange(right, &there, [1000, 20_000][round % 2]));
                    });
                    exchange(left, &data, 7000).await;
                    other.join().expect("no panic");
                }
            }
        }
    });
}
