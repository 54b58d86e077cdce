//! The end of a turn: what tasks write leaves together.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use forebay::{ByteWriteChannel, Connection, Result, SelectorManager};
use forebay_testing::{KIB, alone, pattern, watched};
use tokio::sync::Mutex;

use crate::support::{current_thread, in_each, multi_thread, pair};

/// Without a flusher, each write is a call of its own.
#[test]
fn the_writes_of_a_poll_leave_in_one_call() {
    in_each("the_writes_of_a_poll_leave_in_one_call", async |selector| {
        let (near, mut far) = pair(selector).await?;
        let before = selector.stats().sends;
        let writing = tokio::spawn(async move {
            let mut near = near;
            for number in 0..10 {
                near.output.write_str(&format!("{number}\n")).await?;
            }
            Result::Ok(near)
        });
        for number in 0..10 {
            assert_eq!(far.input.read_line().await?, Some(number.to_string()));
        }
        let near = writing.await.unwrap()?;
        // The bytes may be here before the call that has sent them is counted.
        forebay_testing::until(|| selector.stats().sends > before).await;
        // With several threads the flusher may be polled beside the writer.
        let sends = selector.stats().sends - before;
        assert!(sends <= 5, "{sends} calls for ten writes");
        near.socket.close().await
    });
}

/// The writes to many connections do not wait for the end of the poll: they would be out of the caches by then.
#[test]
fn many_connections_are_flushed_in_batches() {
    alone("many_connections_are_flushed_in_batches", || {
        watched(|| {
            let selector = SelectorManager::new();
            current_thread().block_on(async {
                let mut pairs = Vec::new();
                for _ in 0..40 {
                    let (mut near, mut far) = pair(&selector).await.unwrap();
                    near.output.write_str("0\n").await.unwrap();
                    assert_eq!(far.input.read_line().await.unwrap().as_deref(), Some("0"));
                    pairs.push((near, far));
                }
                let before = selector.stats().sends;
                for (near, _) in &mut pairs {
                    // Written twice, so that a call in between would show.
                    near.output.write_str("1").await.unwrap();
                    near.output.write_str("2\n").await.unwrap();
                }
                assert_eq!(selector.stats().sends - before, 32);
                for (_, far) in &mut pairs {
                    assert_eq!(far.input.read_line().await.unwrap().as_deref(), Some("12"));
                }
                assert_eq!(selector.stats().sends - before, 40);
            });
        });
    });
}

/// Says so many messages to all of them, and returns how many calls the loop and the turn have made.
async fn say_to_all(
    selector: &SelectorManager,
    pairs: &mut [(Connection, Connection)],
    messages: usize,
) -> (u64, u64) {
    let before = selector.stats().sends;
    for _ in 0..messages {
        for (near, _) in &mut *pairs {
            assert!(near.output.try_write_str("x").unwrap());
        }
    }
    let in_loop = selector.stats().sends - before;
    for (_, far) in pairs {
        far.input.read_exact(&mut vec![0; messages]).await.unwrap();
    }
    (in_loop, selector.stats().sends - before)
}

/// A loop that says several messages to many connections makes no call for each, but for the first one; and in the turns
/// that follow not even for that.
#[test]
fn several_messages_to_many_connections_are_gathered() {
    const MANY: usize = 40;
    alone("several_messages_to_many_connections_are_gathered", || {
        watched(|| {
            let selector = SelectorManager::new();
            current_thread().block_on(async {
                let mut pairs = Vec::new();
                for _ in 0..MANY {
                    let (mut near, mut far) = pair(&selector).await.unwrap();
                    near.output.write_str("0").await.unwrap();
                    far.input.read_u8().await.unwrap();
                    pairs.push((near, far));
                }
                assert_eq!(say_to_all(&selector, &mut pairs, 10).await, (32, 32 + 40));
                assert_eq!(say_to_all(&selector, &mut pairs, 10).await, (0, 40));
                // Single messages leave in batches again, after a few turns.
                let mut turns = 0;
                while say_to_all(&selector, &mut pairs, 1).await != (32, 40) {
                    turns += 1;
                    assert!(turns < 20, "gathered forever");
                }
            });
        });
    });
}

/// The tasks that are ready write before the flusher's next poll.
#[test]
fn two_tasks_share_a_call_on_one_thread() {
    alone("two_tasks_share_a_call_on_one_thread", || {
        watched(|| {
            let selector = SelectorManager::new();
            current_thread().block_on(async {
                let (mut near, mut far) = pair(&selector).await.unwrap();
                near.output.write_str("0").await.unwrap();
                assert_eq!(far.input.read_packet(1).await.unwrap().as_slice(), b"0");
                let output = std::sync::Arc::new(tokio::sync::Mutex::new(near.output));
                let before = selector.stats().sends;
                let tasks: Vec<_> = (0..5)
                    .map(|_| {
                        let output = output.clone();
                        tokio::spawn(async move { output.lock().await.write_str("x").await })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap().unwrap();
                }
                far.input.read_packet(5).await.unwrap();
                assert_eq!(selector.stats().sends - before, 1);
            });
        });
    });
}

/// Everything that a task writes without waiting does not pile up: a large queue is sent in the call.
#[test]
fn a_burst_of_large_items_arrives_whole() {
    in_each("a_burst_of_large_items_arrives_whole", async |selector| {
        let (near, mut far) = pair(selector).await?;
        let sent = pattern(4000 * KIB);
        let items: Vec<Vec<u8>> = sent.chunks(3 * KIB).map(<[u8]>::to_vec).collect();
        let writing = tokio::spawn(async move {
            let mut near = near;
            for item in items {
                near.output.write_all(&item).await?;
            }
            near.output.flush().await?;
            near.socket.close().await
        });
        let received = far.input.read_remaining(sent.len()).await?;
        assert!(received.as_slice() == sent);
        writing.await.unwrap()
    });
}

/// The runtime is dropped before the flusher was polled.
#[test]
fn nothing_accepted_is_lost_with_the_runtime() {
    alone("nothing_accepted_is_lost_with_the_runtime", || {
        watched(|| {
            for runtime in [current_thread, multi_thread] {
                let runtime = runtime();
                let selector = SelectorManager::new();
                let (near, mut far) = runtime.block_on(async {
                    let (mut near, far) = pair(&selector).await.unwrap();
                    near.output.write_str("the last word\n").await.unwrap();
                    (near, far)
                });
                drop(runtime);
                let word = futures_lite::future::block_on(far.input.read_line());
                assert_eq!(word.unwrap().as_deref(), Some("the last word"));
                drop(near);
            }
        });
    });
}

/// The value of a write, which writes to another connection when it is dropped: in a flush, of whichever task.
struct Echoing {
    bytes: Vec<u8>,
    next: Arc<Mutex<ByteWriteChannel>>,
}

impl AsRef<[u8]> for Echoing {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Echoing {
    fn drop(&mut self) {
        // Not while the other connection's task holds it: it may be this one.
        if let Ok(mut output) = self.next.try_lock() {
            let mut writing = pin!(output.write_str("dropped\n"));
            // Nothing is written where it would have to wait.
            drop(writing.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        }
    }
}

/// Threads flush what other threads have deferred, and what is dropped in a flush writes again.
#[test]
fn each_line_arrives_once_and_in_order_however_it_was_flushed() {
    const CONNECTIONS: usize = 100;
    const ROUNDS: usize = 20;
    in_each("each_line_arrives_once_and_in_order_however_it_was_flushed", async |selector| {
        let (mut outputs, mut inputs, mut sockets) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            let (near, far) = pair(selector).await?;
            outputs.push(Arc::new(Mutex::new(near.output)));
            inputs.push(far.input);
            sockets.push((near.socket, far.socket, near.input, far.output));
        }
        let outputs = Arc::new(outputs);
        let writing: Vec<_> = (0..3)
            .map(|writer| {
                let outputs = Arc::clone(&outputs);
                tokio::spawn(async move {
                    for round in 0..ROUNDS {
                        for at in 0..CONNECTIONS {
                            let at = (at * 37 + writer * 11) % CONNECTIONS;
                            let line = format!("{writer} {round}\n");
                            let mut output = outputs[at].lock().await;
                            if !(at + round).is_multiple_of(10) {
                                output.write_str(&line).await?;
                                continue;
                            }
                            let mut bytes = line.into_bytes();
                            bytes.resize(40 * KIB, b'x');
                            bytes.push(b'\n');
                            let next = Arc::clone(&outputs[(at + 1) % CONNECTIONS]);
                            let value = Bytes::from_owner(Echoing { bytes, next });
                            output.write_bytes(value).await?;
                        }
                    }
                    Result::Ok(())
                })
            })
            .collect();
        let reading: Vec<_> = inputs
            .into_iter()
            .map(|mut input| {
                tokio::spawn(async move {
                    let mut next = [0; 3];
                    while next.iter().any(|next| *next < ROUNDS) {
                        let line = input.read_line_ref().await?.expect("no end yet");
                        let Some((writer, round)) = line.split_once(' ') else { continue };
                        let next: &mut usize = &mut next[writer.parse::<usize>().unwrap()];
                        assert_eq!(round, next.to_string());
                        *next += 1;
                    }
                    Result::Ok(())
                })
            })
            .collect();
        for task in writing.into_iter().chain(reading) {
            task.await.unwrap()?;
        }
        drop((outputs, sockets));
        Ok(())
    });
}
