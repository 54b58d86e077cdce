//! Several workers beside closes, aborts and drops on other threads: nothing hangs, is lost or is left.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use forebay::{Result, SelectorManager, Socket};
use forebay_testing::{
    alone, await_no_worker, counted_alone, descriptors, dial, listener, size, until_that, watched,
};
use futures_lite::future::{block_on, pending, poll_once, yield_now, zip};
use rustix::process::{Resource, Rlimit, setrlimit};

/// The numbers of workers with which each test runs.
const WORKERS: [u16; 2] = [2, 4];

fn rounds() -> usize {
    size("FOREBAY_SEVERAL_ROUNDS", 50, 1000)
}

fn selector(workers: u16) -> SelectorManager {
    SelectorManager::builder().workers(workers).on_task_error(|_| ()).build().unwrap()
}

/// Waits until no thread and no descriptor of a selector is left.
fn assert_nothing_left(before: usize) {
    await_no_worker(before);
}

/// A task is either refused or runs to its end, and its handle tells which.
#[test]
fn tasks_started_beside_a_close_end_or_are_refused() {
    counted_alone("tasks_started_beside_a_close_end_or_are_refused", || {
        let before = descriptors().len();
        for round in 0..rounds() {
            let selector = selector(WORKERS[round % 2]);
            let begun = Arc::new(AtomicU64::new(0));
            let barrier = Barrier::new(4);
            thread::scope(|scope| {
                for _ in 0..2 {
                    let (selector, begun) = (selector.clone(), Arc::clone(&begun));
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        let handles: Vec<_> = (0..50)
                            .map(|_| {
                                let begun = Arc::clone(&begun);
                                selector.spawn_value(async move {
                                    begun.fetch_add(1, Ordering::Relaxed);
                                    forebay::yield_now().await;
                                })
                            })
                            .collect();
                        let ended = handles
                            .into_iter()
                            .filter_map(|handle| match block_on(handle) {
                                Ok(()) => Some(()),
                                Err(error) => {
                                    assert!(error.is_closed(), "{error}");
                                    None
                                }
                            })
                            .count();
                        (ended, selector)
                    });
                }
                for _ in 0..2 {
                    let selector = selector.clone();
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        selector.block_on(selector.close());
                        assert_eq!(selector.stats().tasks, 0);
                    });
                }
            });
            assert_eq!(selector.stats().tasks, 0);
        }
        assert_nothing_left(before);
    });
}

/// A close that two tasks on different workers call ends for both of them.
#[test]
fn closes_from_tasks_of_several_workers_end() {
    counted_alone("closes_from_tasks_of_several_workers_end", || {
        let before = descriptors().len();
        for round in 0..rounds() {
            let selector = selector(WORKERS[round % 2]);
            let handles: Vec<_> = (0..8)
                .map(|number| {
                    let inner = selector.clone();
                    selector.spawn_value(async move {
                        for _ in 0..number {
                            forebay::yield_now().await;
                        }
                        assert!(number % 4 != 3, "one that panics beside them");
                        inner.close().await;
                    })
                })
                .collect();
            drop(selector);
            for (number, handle) in handles.into_iter().enumerate() {
                let result = block_on(handle);
                assert!(
                    result.is_ok() || number % 4 == 3 || result.is_err_and(|e| e.is_closed()),
                    "{number}"
                );
            }
        }
        assert_nothing_left(before);
    });
}

/// Four threads run futures on one selector, each with tasks that outlive it.
#[test]
fn block_on_from_several_threads() {
    counted_alone("block_on_from_several_threads", || {
        let before = descriptors().len();
        for round in 0..rounds() {
            let selector = selector(WORKERS[round % 2]);
            let barrier = Barrier::new(4);
            let left = Arc::new(AtomicU64::new(0));
            thread::scope(|scope| {
                for thread in 0..4 {
                    let (selector, left, barrier) = (selector.clone(), Arc::clone(&left), &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        for _ in 0..5 {
                            selector.block_on(async {
                                let inner = selector.clone();
                                let left = Arc::clone(&left);
                                let later = async move {
                                    inner.sleep(Duration::from_micros(200)).await;
                                    left.fetch_add(1, Ordering::Relaxed);
                                    Ok(())
                                };
                                if thread % 2 == 0 {
                                    selector.spawn(later).detach();
                                } else {
                                    selector.spawn_here(later).detach();
                                }
                                let (mut a, mut b) = selector.duplex(64);
                                let echo = selector.spawn_value(async move {
                                    let line = b.input.read_line().await?;
                                    b.output.write_str(&line.unwrap()).await?;
                                    b.output.finish().await
                                });
                                a.output.write_str("hello\n").await.unwrap();
                                assert_eq!(a.input.read_remaining(64).await.unwrap().len(), 5);
                                echo.await.unwrap().unwrap();
                                selector.sleep(Duration::from_micros(50)).await;
                            });
                        }
                    });
                }
            });
            selector.block_on(selector.close());
            assert_eq!(left.load(Ordering::Relaxed), 20);
            drop(selector);
        }
        assert_nothing_left(before);
    });
}

/// Connections are accepted by several tasks, handed to other workers, used there and closed, aborted or
/// dropped by tasks on different workers, beside a close of the listener.
#[test]
fn connections_handed_on_beside_aborts_and_closes() {
    counted_alone("connections_handed_on_beside_aborts_and_closes", || {
        let before = descriptors().len();
        for round in 0..rounds() {
            let workers = WORKERS[round % 2];
            watched(move || {
                let selector = selector(workers);
                selector.block_on(async {
                    handed_on(&selector, round).await.unwrap();
                    selector.close().await;
                    assert_eq!(selector.stats().sockets, 0);
                });
            });
        }
        assert_nothing_left(before);
    });
}

async fn handed_on(selector: &SelectorManager, round: usize) -> Result<()> {
    let server = listener(selector).await?;
    let port = server.port();
    let accepting: Vec<_> = (0..3)
        .map(|_| {
            let (server, inner) = (server.clone(), selector.clone());
            selector.spawn_value(async move {
                let mut number = 0;
                while let Ok(socket) = server.accept().await {
                    number += 1;
                    hand_on(&inner, socket, number + round).detach();
                }
            })
        })
        .collect();
    let clients: Vec<_> = (0..3)
        .map(|client| {
            thread::spawn(move || {
                for number in 0..6 {
                    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
                        return;
                    };
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    stream.write_all(b"line\n").ok();
                    let mut answer = Vec::new();
                    if (number + client) % 3 > 0 {
                        let read = stream.read_to_end(&mut answer);
                        assert!(
                            !read
                                .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
                            "a connection hangs"
                        );
                    }
                }
            })
        })
        .collect();
    selector.sleep(Duration::from_micros(500 * (round as u64 % 7))).await;
    let closing: Vec<_> = (0..2)
        .map(|_| {
            let server = server.clone();
            selector.spawn_value(async move { server.close() })
        })
        .collect();
    for closing in closing {
        closing.await?;
    }
    for accepting in accepting {
        accepting.await?;
    }
    let joined = selector.spawn_blocking(move || {
        for client in clients {
            client.join().unwrap();
        }
    });
    joined.await
}

/// Waits on the socket first on one worker, uses it on two others, and ends it on a fourth.
fn hand_on(selector: &SelectorManager, socket: Socket, number: usize) -> forebay::JoinHandle<()> {
    let inner = selector.clone();
    selector.spawn(async move {
        let mut input = socket.open_read_channel()?;
        let mut output = socket.open_write_channel()?;
        input.read_u8().await?;
        let reading = inner.spawn_value(async move {
            let read = input.read_line().await;
            (input, read)
        });
        let writing = inner.spawn_value(async move {
            output.write_str("answer\n").await?;
            output.flush().await?;
            Result::Ok(output)
        });
        let ending = inner.spawn_value(async move {
            match number % 4 {
                0 => socket.close().await.is_ok(),
                1 => {
                    socket.abort();
                    true
                }
                2 => {
                    drop(socket);
                    true
                }
                _ => {
                    let other = socket.clone();
                    let both = zip(socket.close(), other.close()).await;
                    both.0.is_ok() == both.1.is_ok()
                }
            }
        });
        if number.is_multiple_of(3) {
            reading.abort();
        }
        reading.await.ok();
        let output = writing.await?;
        ending.await?;
        drop(output);
        Ok(())
    })
}

/// The timer and the socket are two workers', of which the socket's is held up.
#[test]
fn bytes_that_have_arrived_by_the_deadline_count_on_whichever_worker() {
    watched(|| {
        let selector = selector(2);
        selector.block_on(async {
            let server = listener(&selector).await.unwrap();
            let mut peer = dial(server.port());
            let socket = server.accept().await.unwrap();
            let mut input = socket.open_read_channel().unwrap();
            assert!(poll_once(input.read_u8()).await.is_none(), "this thread's worker watches it");
            // The next task is the other worker's.
            let here = selector.spawn_here(pending());
            let (began, has_begun) = std::sync::mpsc::channel();
            let (home, inner) = (thread::current().id(), selector.clone());
            let reading = selector.spawn_value(async move {
                assert_ne!(thread::current().id(), home);
                began.send(()).unwrap();
                inner.timeout(Duration::from_millis(100), input.read_u8()).await
            });
            has_begun.recv().unwrap();
            peer.write_all(b"x").unwrap();
            // What is waited for is time, in which this worker looks at nothing.
            thread::sleep(Duration::from_millis(300));
            assert_eq!(reading.await.unwrap().unwrap(), b'x');
            here.abort();
            selector.close().await;
        });
    });
}

#[test]
fn a_task_that_a_closed_selector_refuses_makes_no_worker() {
    let selector = selector(64);
    selector.block_on(async {
        let task = selector.spawn_here(pending());
        assert!(poll_once(selector.close()).await.is_none(), "a task is left");
        // The other workers have fewer tasks than this one.
        for _ in 0..100 {
            let refused = selector.spawn_value(async {}).await;
            assert!(refused.is_err_and(|error| error.is_closed()));
        }
        assert_eq!(selector.worker_stats().len(), 1);
        task.abort();
        selector.close().await;
    });
}

/// Without a descriptor for another worker, those that there are share the tasks.
#[test]
fn where_no_worker_can_be_made_the_fewest_tasks_decide_among_the_others() {
    alone("where_no_worker_can_be_made_the_fewest_tasks_decide_among_the_others", || {
        let selector = selector(4);
        selector.block_on(async {
            let mut tasks = vec![selector.spawn(pending()), selector.spawn(pending())];
            assert_eq!(selector.worker_stats().len(), 2);
            let limit = Rlimit { current: Some(64), maximum: Some(64) };
            setrlimit(Resource::Nofile, limit).unwrap();
            let open = |_| std::fs::File::open("/dev/null").ok();
            let others: Vec<_> = (0..64).map_while(open).collect();
            let counts = || selector.worker_stats().iter().map(|it| it.tasks).collect::<Vec<_>>();
            // A worker that the machine has just held up gets no task, and more of the next ones.
            while tasks.len() < 20 || counts()[0] != counts()[1] {
                assert!(tasks.len() < 2000, "not shared: {:?}", counts());
                tasks.push(selector.spawn(pending()));
                yield_now().await;
            }
            let each = tasks.len() / 2;
            assert_eq!(counts(), [each, each]);
            drop(others);
            tasks.push(selector.spawn(pending()));
            assert_eq!(counts(), [each, each, 1], "as soon as there is a descriptor");
            let all = tasks.len();
            drop(tasks);
            until_that("all have been seen", || selector.stats().tasks == all).await;
        });
    });
}
