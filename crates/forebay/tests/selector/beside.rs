//! Several workers, of which one is held up, floods, or is woken by the others: none waits for another.

#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{Connection, JoinHandle, Result, SelectorManager, Socket};
use forebay_testing::{
    KIB, MIB, Random, Signal, drain, lock, pair, seed, until, until_that, watched,
};
use futures_lite::future::{block_on, pending, poll_fn, poll_once, yield_now};

const WORKERS: [u16; 2] = [2, 4];
const HOUR: Duration = Duration::from_secs(3600);

/// Runs a test on two workers, and on four.
fn on_each(test: impl AsyncFn(SelectorManager, u16) -> Result<()> + Copy + Send + 'static) {
    for workers in WORKERS {
        watched(move || {
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            selector.block_on(test(selector.clone(), workers)).unwrap();
            selector.block_on(selector.close());
        });
    }
}

fn here() -> ThreadId {
    thread::current().id()
}

/// Starts a task on each worker; the first is this thread's.
async fn one_on_each<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    selector: &SelectorManager,
    workers: usize,
    task: impl Fn(usize) -> F,
) -> Vec<JoinHandle<T>> {
    loop {
        let homes = Arc::new(Mutex::new(Vec::new()));
        let gate = Signal::new();
        let tasks: Vec<_> = (0..workers)
            .map(|number| {
                let (homes, gate, task) = (Arc::clone(&homes), gate.clone(), task(number));
                selector.spawn_value(async move {
                    lock(&homes).push(here());
                    gate.await;
                    task.await
                })
            })
            .collect();
        until_that("each task has begun", || lock(&homes).len() == workers).await;
        if lock(&homes).iter().collect::<HashSet<_>>().len() == workers {
            gate.set();
            return tasks;
        }
        // The machine has held up a worker, which got none: once more.
        for task in tasks {
            task.abort();
            task.await.err();
        }
    }
}

async fn echo(socket: Socket) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    while let Some(line) = input.read_line().await? {
        output.write_strs(&[&line, "\n"]).await?;
    }
    socket.close().await
}

fn ask(peer: &mut std::net::TcpStream, rounds: usize) {
    for round in 0..rounds {
        let line = format!("{round}\n");
        peer.write_all(line.as_bytes()).unwrap();
        let mut answer = vec![0; line.len()];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(answer, line.as_bytes());
    }
}

/// A handler that blocks holds up its own worker: sockets, timers and tasks of the others go on, also those that
/// begin meanwhile.
#[test]
fn a_handler_that_blocks_holds_up_no_other_worker() {
    on_each(async |selector, _| {
        let (blocked, is_blocked) = mpsc::channel();
        let (release, is_released) = mpsc::channel::<()>();
        // This thread's worker has a task, so the next one is another's.
        let here = selector.spawn_here(pending());
        let main = thread::current().id();
        let blocking = selector.spawn_value(async move {
            assert_ne!(thread::current().id(), main);
            blocked.send(()).unwrap();
            is_released.recv().unwrap();
        });
        is_blocked.recv().unwrap();
        // What is waited for is time: before, its worker is not known to be blocked, and may get tasks.
        selector.sleep(Duration::from_millis(150)).await;
        let (socket, mut peer) = pair(&selector).await?;
        let echoing = selector.spawn_here(echo(socket));
        let asking = selector.spawn_blocking(move || ask(&mut peer, 200));
        for _ in 0..20 {
            selector.sleep(Duration::from_millis(1)).await;
            assert!(!blocking.is_finished());
        }
        asking.await?;
        echoing.await?;
        let tasks: Vec<_> =
            (0..20).map(|number| selector.spawn_value(async move { number })).collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await?, number);
        }
        release.send(()).unwrap();
        blocking.await?;
        here.abort();
        Ok(())
    });
}

/// A spawn from a worker whose turn is long, too, does not go to one that is blocked.
#[test]
fn of_workers_that_are_held_up_one_that_is_blocked_gets_no_task() {
    on_each(async |selector, workers| {
        let held: Vec<_> = (0..3).map(|_| selector.spawn_here(pending())).collect();
        let (release, is_released) = mpsc::channel::<()>();
        let is_released = Arc::new(Mutex::new(is_released));
        let (blocked, is_blocked) = mpsc::channel();
        let others = workers - 1;
        let blocking: Vec<_> = (0..others)
            .map(|_| {
                let (blocked, is_released) = (blocked.clone(), Arc::clone(&is_released));
                selector.spawn_value(async move {
                    blocked.send(()).unwrap();
                    lock(&is_released).recv().unwrap();
                })
            })
            .collect();
        (0..others).for_each(|_| is_blocked.recv().unwrap());
        // What is waited for is time, in both cases: the others are blocked, and this turn becomes long.
        selector.sleep(Duration::from_millis(150)).await;
        let home = thread::current().id();
        let mut tasks = Vec::new();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(10));
            tasks.push(selector.spawn_value(async { thread::current().id() }));
            yield_now().await;
        }
        // The machine may have held up this turn, too, until it counted as blocked. But not each of them.
        let has_ended = || tasks.iter().any(JoinHandle::is_finished);
        until_that("one does not wait for a worker that is blocked", has_ended).await;
        (0..others).for_each(|_| release.send(()).unwrap());
        let mut homes = Vec::new();
        for task in tasks {
            homes.push(task.await?);
        }
        assert!(homes.contains(&home));
        for task in blocking {
            task.await?;
        }
        held.iter().for_each(JoinHandle::abort);
        Ok(())
    });
}

/// A writer uses its share of each turn on its own worker. The tasks of another one do not wait for it, and a spawn
/// goes to the worker that has fewer.
#[test]
fn a_writer_makes_no_other_workers_tasks_wait() {
    on_each(async |selector, _| {
        let here = selector.spawn_here(pending());
        let home = thread::current().id();
        let (socket, peer) = pair(&selector).await?;
        let draining = drain(peer);
        let stopper = socket.clone();
        let writing = selector.spawn_value(async move {
            assert_ne!(thread::current().id(), home);
            let mut output = socket.open_write_channel()?;
            let piece = bytes::Bytes::from(vec![7; 8 * MIB]);
            loop {
                output.write_bytes(piece.clone()).await?;
            }
            #[allow(unreachable_code)]
            Result::Ok(())
        });
        until(|| selector.stats().sent_bytes > 16 * MIB as u64).await;
        let (socket, mut peer) = pair(&selector).await?;
        let echoing = selector.spawn_here(echo(socket));
        let before = selector.stats().sent_bytes;
        selector.spawn_blocking(move || ask(&mut peer, 500)).await?;
        echoing.await?;
        until_that("it writes on", || selector.stats().sent_bytes > before + 64 * KIB as u64).await;
        // This one has two tasks, the other ones have one or none.
        let held = selector.spawn_here(pending());
        // Unless the machine has just taken the processor from the others.
        let mut is_elsewhere = false;
        for _ in 0..2000 {
            let other = selector.spawn_value(async { thread::current().id() });
            is_elsewhere = other.await? != home;
            if is_elsewhere {
                break;
            }
        }
        assert!(is_elsewhere, "every spawn went to the worker with the most tasks");
        stopper.abort();
        writing.await?.unwrap_err();
        draining.join().unwrap();
        here.abort();
        held.abort();
        Ok(())
    });
}

// ---- wake-ups -----------------------------------------------------------------------------------

/// Each worker's task is woken by foreign threads and by the other workers' tasks, and waits for that alone.
#[test]
fn wake_ups_between_workers_are_not_lost() {
    const ROUNDS: u32 = 2000;
    for workers in WORKERS {
        watched(move || {
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            selector.block_on(async {
                let (wanted, wants) = mpsc::channel::<Signal>();
                let waking = thread::spawn(move || wants.iter().for_each(|signal| signal.set()));
                let count = usize::from(workers);
                let ring: Vec<_> =
                    (0..count).map(|_| Mutex::new(forebay::pipe(8))).collect::<Vec<_>>();
                let (readers, mut writers): (Vec<_>, Vec<_>) =
                    ring.into_iter().map(|pipe| pipe.into_inner().unwrap()).unzip();
                writers.rotate_left(1);
                let places: Arc<Mutex<Vec<_>>> =
                    Arc::new(Mutex::new(readers.into_iter().zip(writers).map(Some).collect()));
                let tasks = one_on_each(&selector, count, |number| {
                    let (places, wanted) = (Arc::clone(&places), wanted.clone());
                    async move {
                        let (mut reader, mut writer) = lock(&places)[number].take().unwrap();
                        for round in 0..ROUNDS {
                            if number == 0 {
                                writer.write_u32(round).await?;
                                assert_eq!(reader.read_u32().await?, round);
                            } else {
                                let passed = reader.read_u32().await?;
                                writer.write_u32(passed).await?;
                            }
                            let signal = Signal::new();
                            wanted.send(signal.clone()).unwrap();
                            signal.await;
                        }
                        Result::Ok(())
                    }
                });
                for task in tasks.await {
                    task.await.unwrap().unwrap();
                }
                drop(wanted);
                waking.join().unwrap();
            });
        });
    }
}

/// Wakers are woken again and again, from each thread, while their tasks run, wait, have ended, and are aborted.
#[test]
fn spurious_and_late_wake_ups_do_no_harm() {
    on_each(async |selector, _| {
        let kept = Arc::new(Mutex::new(Vec::<Waker>::new()));
        let over = Arc::new(AtomicUsize::new(0));
        let waking: Vec<_> = (0..2)
            .map(|_| {
                let (kept, over) = (Arc::clone(&kept), Arc::clone(&over));
                thread::spawn(move || {
                    while over.load(SeqCst) == 0 {
                        let wakers = lock(&kept).clone();
                        wakers.iter().for_each(Waker::wake_by_ref);
                        thread::yield_now();
                    }
                })
            })
            .collect();
        for round in 0..200 {
            let kept = Arc::clone(&kept);
            let inner = selector.clone();
            let task = selector.spawn_value(async move {
                poll_fn(|cx| {
                    let mut kept = lock(&kept);
                    if kept.len() > 50 {
                        kept.clear();
                    }
                    kept.push(cx.waker().clone());
                    Poll::Ready(())
                })
                .await;
                inner.sleep(Duration::from_micros(100)).await;
                let (mut near, mut far) = inner.duplex(64);
                near.output.write_str("hello\n").await?;
                far.input.read_line().await
            });
            if round % 5 == 0 {
                task.abort();
                task.await.ok();
            } else {
                assert_eq!(task.await??.as_deref(), Some("hello"));
            }
        }
        over.store(1, SeqCst);
        for thread in waking {
            thread.join().unwrap();
        }
        lock(&kept).clear();
        assert_eq!(selector.stats().tasks, 0);
        Ok(())
    });
}

/// A future of this selector is polled by another one's worker, and by no worker: each waker is woken where it is.
#[test]
fn waits_are_woken_across_selectors() {
    for workers in WORKERS {
        watched(move || {
            let selector = SelectorManager::builder().workers(workers).build().unwrap();
            let other = SelectorManager::builder().workers(workers).build().unwrap();
            for round in 0..50 {
                let (mut near, mut far) = selector.block_on(async {
                    let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
                    let near = selector.tcp().connect(server.local_address()).await.unwrap();
                    let far = server.accept().await.unwrap();
                    (near.connection().unwrap(), far.connection().unwrap())
                });
                let mut reading = Box::pin(async move { (far.input.read_line().await, far) });
                // First here, then on a worker of the other selector, then here again.
                assert!(block_on(poll_once(&mut reading)).is_none());
                let elsewhere = other.spawn_value(async move {
                    assert!(poll_once(&mut reading).await.is_none());
                    Some(reading)
                });
                let mut reading = block_on(elsewhere).unwrap().unwrap();
                let writing = selector.spawn_value(async move {
                    near.output.write_str("hello\n").await.map(|()| near)
                });
                let (read, _far) = if round % 2 == 0 {
                    other.block_on(&mut reading)
                } else {
                    block_on(&mut reading)
                };
                assert_eq!(read.unwrap().as_deref(), Some("hello"));
                block_on(writing).unwrap().unwrap();
            }
        });
    }
}

// ---- timers -------------------------------------------------------------------------------------

/// Writes down when it was woken.
struct Note {
    number: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        lock(&self.woken).push(self.number);
    }
}

/// Very many timers of each worker fire in the order of their deadlines.
#[test]
fn each_worker_fires_its_timers_in_order() {
    const EACH: usize = 10_000;
    let seed = seed("each_worker_fires_its_timers_in_order");
    for workers in WORKERS {
        watched(move || {
            let clock = TestClock::new();
            let builder = SelectorManager::builder().workers(workers).clock(clock.clone());
            let selector = builder.build().unwrap();
            selector.block_on(async {
                let count = usize::from(workers);
                let woken: Vec<_> = (0..count).map(|_| Arc::new(Mutex::new(Vec::new()))).collect();
                let tasks = one_on_each(&selector, count, |home| {
                    let (inner, woken) = (selector.clone(), Arc::clone(&woken[home]));
                    async move {
                        let mut random = Random::new(seed, home as u64);
                        let (mut sleeps, mut deadlines) = (Vec::new(), Vec::new());
                        for number in 0..EACH {
                            // By seconds, so that many are equal, of up to an hour.
                            let after = 1 + random.below(3599);
                            let mut sleep =
                                Box::pin(inner.sleep(Duration::from_secs(after as u64)));
                            let note = Note { number, woken: Arc::clone(&woken) };
                            let waker = Waker::from(Arc::new(note));
                            let polled =
                                Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker));
                            assert!(polled.is_pending());
                            sleeps.push(sleep);
                            deadlines.push((after, number));
                        }
                        deadlines.sort_unstable();
                        (sleeps, deadlines)
                    }
                });
                let mut made = Vec::new();
                for task in tasks.await {
                    made.push(task.await.unwrap());
                }
                let stats = selector.worker_stats();
                assert!(stats.iter().all(|worker| worker.timers == EACH), "{stats:?}");
                for _ in 0..10 {
                    clock.advance(HOUR / 10);
                    forebay::yield_now().await;
                }
                until_that("all have fired", || selector.stats().timers == 0).await;
                for (woken, (_sleeps, deadlines)) in woken.iter().zip(&made) {
                    until(|| lock(woken).len() == EACH).await;
                    let expected: Vec<_> = deadlines.iter().map(|(_, number)| *number).collect();
                    assert!(*lock(woken) == expected, "not in the order of the deadlines");
                }
            });
        });
    }
}

#[test]
fn durations_of_nothing_and_of_forever_overflow_on_no_worker() {
    for workers in WORKERS {
        watched(move || {
            let clock = TestClock::new();
            let builder = SelectorManager::builder().workers(workers).clock(clock.clone());
            let selector = builder.build().unwrap();
            selector.block_on(async {
                for _ in 0..3 {
                    clock.advance(Duration::from_secs(3600 * 24 * 365 * 50));
                }
                let tasks = one_on_each(&selector, usize::from(workers), |_| {
                    let inner = selector.clone();
                    async move {
                        for duration in [Duration::MAX, Duration::from_secs(u64::MAX)] {
                            assert!(poll_once(inner.sleep(duration)).await.is_none());
                            let within = inner.within(duration, pending::<()>());
                            assert!(poll_once(pin!(within)).await.is_none());
                            let mut beat = inner.interval(duration);
                            assert!(poll_once(beat.tick()).await.is_none());
                            assert_eq!(inner.within(duration, async { 7 }).await, Some(7));
                        }
                        inner.sleep(Duration::ZERO).await;
                        assert_eq!(inner.within(Duration::ZERO, pending::<()>()).await, None);
                        let mut always = inner.interval(Duration::ZERO);
                        for _ in 0..100 {
                            always.tick().await;
                        }
                    }
                });
                for task in tasks.await {
                    task.await.unwrap();
                }
                assert_eq!(selector.stats().timers, 0);
            });
        });
    }
}
