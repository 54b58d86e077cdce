//! Several workers: where tasks and sockets go, and that nothing else depends on their number.

#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use forebay::{Connection, JoinHandle, Result, SelectorManager};
use forebay_testing::{
    KIB, await_no_worker, counted_alone, descriptors, dial, listener, lock, pattern, size,
    until_at_rest, until_that, watched, worker_threads,
};
use futures_lite::future::{pending, zip};

const WORKERS: u16 = 4;

fn run<T: Send + 'static>(
    test: impl AsyncFnOnce(SelectorManager) -> Result<T> + Send + 'static,
) -> T {
    watched(|| SelectorManager::builder().workers(WORKERS).run(test)).unwrap()
}

fn here() -> ThreadId {
    thread::current().id()
}

/// Starts a task that counts its thread, and waits forever.
fn counted(
    selector: &SelectorManager,
    threads: &Arc<Mutex<HashMap<ThreadId, u32>>>,
) -> JoinHandle<()> {
    let threads = Arc::clone(threads);
    selector.spawn(async move {
        *lock(&threads).entry(here()).or_default() += 1;
        pending().await
    })
}

/// Starts forty tasks that count their threads, until each worker has got ten of them. A worker from which the machine
/// takes the processor for a while counts as held up, and gets fewer.
async fn spread(
    selector: &SelectorManager,
    start: impl AsyncFn(&Arc<Mutex<HashMap<ThreadId, u32>>>) -> Vec<JoinHandle<()>>,
) -> Result<()> {
    let mut seen = Vec::new();
    for _ in 0..20 {
        let threads = Arc::<Mutex<HashMap<ThreadId, u32>>>::default();
        let tasks = start(&threads).await;
        until_that("all have begun", || lock(&threads).values().sum::<u32>() == 40).await;
        let counts: Vec<_> = lock(&threads).values().copied().collect();
        let stats = selector.worker_stats();
        let loads: Vec<_> = stats.iter().map(|worker| worker.tasks).collect();
        for task in tasks {
            task.abort();
            assert!(task.await.is_err_and(|error| error.is_cancelled()));
        }
        if counts == [10; WORKERS as usize] && loads == [10; WORKERS as usize] {
            assert!(stats.iter().all(|worker| worker.turns > 0));
            return Ok(());
        }
        seen.push((counts, loads));
    }
    panic!("never ten each: {seen:?}");
}

#[test]
fn a_task_goes_to_the_worker_with_the_fewest() {
    run(async |selector| {
        let start = async |threads: &_| {
            (0..10 * WORKERS).map(|_| counted(&selector, threads)).collect::<Vec<_>>()
        };
        spread(&selector, start).await?;
        let threads = Arc::<Mutex<HashMap<ThreadId, u32>>>::default();
        // A task stays where it has begun, and the next one takes the place of one that has ended.
        let (one, other) = (counted(&selector, &threads), counted(&selector, &threads));
        one.abort();
        one.await.ok();
        assert_eq!(selector.stats().tasks, 1);
        other.abort();
        Ok(())
    });
}

/// So do those of a group, with a place and without; a helper stays here also from a task of a group.
#[test]
fn a_task_of_a_group_goes_to_the_worker_with_the_fewest() {
    run(async |selector| {
        let group = selector.group().limit(10 * usize::from(WORKERS));
        let start = async |threads: &Arc<Mutex<HashMap<ThreadId, u32>>>| {
            let mut tasks = Vec::new();
            for number in 0..10 * WORKERS {
                let (threads, inner) = (Arc::clone(threads), selector.clone());
                let task = async move {
                    let home = here();
                    let helper = inner.spawn_here(async move {
                        assert_eq!(here(), home);
                        Ok(())
                    });
                    helper.await?;
                    *lock(&threads).entry(home).or_default() += 1;
                    pending().await
                };
                tasks.push(match number % 2 {
                    0 => group.place().await.spawn(task),
                    _ => group.spawn(task),
                });
            }
            tasks
        };
        spread(&selector, start).await?;
        group.join().await;
        Ok(())
    });
}

#[test]
fn a_task_stays_on_its_worker_and_a_helper_on_its_callers() {
    run(async |selector| {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let inner = selector.clone();
                selector.spawn(async move {
                    let home = here();
                    for _ in 0..100 {
                        inner.sleep(Duration::from_micros(10)).await;
                        forebay::yield_now().await;
                        assert_eq!(here(), home);
                    }
                    let helper = inner.spawn_here(async move {
                        assert_eq!(here(), home);
                        Ok(())
                    });
                    helper.await?;
                    forebay::spawn_here(async move {
                        assert_eq!(here(), home);
                        Ok(())
                    })
                    .await
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        Ok(())
    });
}

#[test]
fn a_worker_that_gets_no_task_has_no_descriptor_and_no_thread() {
    const NAME: &str = "a_worker_that_gets_no_task_has_no_descriptor_and_no_thread";
    counted_alone(NAME, || {
        let count = |workers| {
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            selector.block_on(async { forebay::yield_now().await });
            (descriptors().len(), worker_threads(), selector.worker_stats().len())
        };
        assert_eq!(count(64), count(1));
    });
}

/// A task that blocks its thread, which it must not do, keeps its worker to itself. New tasks find the
/// others.
#[test]
fn a_blocked_worker_gets_no_new_task() {
    run(async |selector| {
        let (blocked, is_blocked) = mpsc::channel();
        let (release, is_released) = mpsc::channel::<()>();
        let main = here();
        let blocking = selector.spawn({
            let selector = selector.clone();
            async move {
                // On this thread or another, but not on the one that runs the test.
                if here() == main {
                    let inner = async move {
                        blocked.send(here()).ok();
                        is_released.recv().ok();
                        Ok(())
                    };
                    return selector.spawn(inner).await;
                }
                blocked.send(here()).ok();
                is_released.recv().ok();
                Ok(())
            }
        });
        let mut thread = None;
        until_that("it blocks", || {
            thread = is_blocked.try_recv().ok();
            thread.is_some()
        })
        .await;
        let thread = thread.unwrap();
        assert_ne!(thread, main);
        // What is waited for is time: this long, a turn is not held up.
        selector.sleep(Duration::from_millis(20)).await;
        let threads = Arc::<Mutex<HashMap<ThreadId, u32>>>::default();
        let tasks: Vec<_> = (0..20).map(|_| counted(&selector, &threads)).collect();
        until_that("all have begun", || lock(&threads).values().sum::<u32>() == 20).await;
        assert!(!lock(&threads).contains_key(&thread));
        let fewest = selector.worker_stats().iter().map(|worker| worker.tasks).min();
        assert_eq!(fewest, Some(1), "the one that blocks");
        tasks.iter().for_each(JoinHandle::abort);
        release.send(()).ok();
        blocking.await
    });
}

#[test]
fn a_close_waits_for_the_tasks_of_all_workers_and_ends_their_threads() {
    counted_alone("a_close_waits_for_the_tasks_of_all_workers_and_ends_their_threads", || {
        let before = descriptors().len();
        for round in 0..size("FOREBAY_MANY_SELECTORS", 100, 1000) {
            let selector = SelectorManager::builder().workers(WORKERS).build().unwrap();
            let ended = Arc::new(Mutex::new(0));
            for _ in 0..2 * WORKERS {
                let (ended, inner) = (Arc::clone(&ended), selector.clone());
                let task = async move {
                    inner.sleep(Duration::from_micros(100)).await;
                    *lock(&ended) += 1;
                    Ok(())
                };
                selector.spawn(task).detach();
            }
            if round % 2 == 0 {
                selector.block_on(selector.close());
                assert_eq!(*lock(&ended), 2 * WORKERS);
            }
        }
        await_no_worker(before);
    });
}

#[test]
fn a_hundred_selectors_at_once_leave_nothing() {
    counted_alone("a_hundred_selectors_at_once_leave_nothing", || {
        let before = descriptors().len();
        let selectors: Vec<_> = (0..100)
            .map(|_| SelectorManager::builder().workers(WORKERS).build().unwrap())
            .collect();
        let tasks: Vec<_> = selectors
            .iter()
            .flat_map(|selector| (0..WORKERS).map(|_| selector.spawn_value(async { here() })))
            .collect();
        let mut threads: Vec<_> =
            tasks.into_iter().map(|task| futures_lite::future::block_on(task).unwrap()).collect();
        threads.sort_by_key(|thread| format!("{thread:?}"));
        threads.dedup();
        assert!(threads.len() >= selectors.len());
        drop(selectors);
        await_no_worker(before);
    });
}

/// Both halves of each connection are used on a worker of their own, and the close comes from a third.
#[test]
fn the_halves_of_a_connection_may_be_on_different_workers() {
    run(async |selector| {
        let data = Arc::new(pattern(300 * KIB));
        let server = listener(&selector).await?;
        let (mut clients, mut handlers) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let mut peer = dial(server.port());
            let Connection { mut input, mut output, socket } =
                server.accept().await?.connection()?;
            let sent = Arc::clone(&data);
            clients.push(thread::spawn(move || {
                let mut reading = peer.try_clone().unwrap();
                let reader = thread::spawn(move || {
                    let mut bytes = Vec::new();
                    reading.read_to_end(&mut bytes).map(|_| bytes)
                });
                peer.write_all(&sent).unwrap();
                peer.shutdown(std::net::Shutdown::Write).unwrap();
                reader.join().unwrap().unwrap()
            }));
            let (mut lent, mut pipe) = forebay::pipe(10 * KIB);
            handlers.push(selector.spawn(async move {
                input.copy_to(&mut pipe).await?;
                pipe.finish().await
            }));
            handlers.push(selector.spawn(async move {
                lent.copy_to(&mut output).await?;
                output.finish().await
            }));
            handlers.push(selector.spawn(async move {
                socket.closed().await;
                socket.close().await
            }));
        }
        for handler in handlers {
            handler.await?;
        }
        for client in clients {
            assert!(client.join().unwrap() == *data);
        }
        drop(server);
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

/// One accepting task per worker: each connection is accepted once, and each one is served.
#[test]
fn every_worker_may_accept() {
    const CONNECTIONS: usize = 200;
    run(async |selector| {
        let server = listener(&selector).await?;
        let accepting: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (server, inner) = (server.clone(), selector.clone());
                selector.spawn_value(async move {
                    let mut accepted = 0;
                    while let Ok(socket) = server.accept().await {
                        accepted += 1;
                        let serving = async move {
                            socket.open_write_channel()?.write_str("served\n").await?;
                            socket.close().await
                        };
                        inner.spawn_here(serving).detach();
                    }
                    accepted
                })
            })
            .collect();
        let port = server.port();
        let all_served = selector.spawn_blocking(move || {
            (0..CONNECTIONS).all(|_| {
                let mut answer = String::new();
                dial(port).read_to_string(&mut answer).is_ok() && answer == "served\n"
            })
        });
        assert!(all_served.await?);
        server.close();
        let mut accepted = 0;
        for accepting in accepting {
            accepted += accepting.await?;
        }
        assert_eq!(accepted, CONNECTIONS);
        Ok(())
    });
}

/// Sleeps, timeouts and intervals are kept by the worker on which they begin.
#[test]
fn each_worker_keeps_its_time() {
    run(async |selector| {
        let tasks: Vec<_> = (0..4 * u64::from(WORKERS))
            .map(|number| {
                let inner = selector.clone();
                selector.spawn_value(async move {
                    let began = inner.now();
                    let slept = Duration::from_millis(number);
                    inner.sleep(slept).await;
                    let timed = inner.timeout(slept, pending::<Result<()>>()).await;
                    assert!(timed.is_err_and(|error| error.is_timeout()));
                    let mut interval = inner.interval(Duration::from_millis(1));
                    zip(interval.tick(), forebay::sleep(slept)).await;
                    inner.now() - began >= 3 * slept
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await?);
        }
        assert_eq!(selector.stats().timers, 0);
        Ok(())
    });
}
