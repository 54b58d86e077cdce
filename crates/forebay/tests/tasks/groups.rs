//! Groups of tasks: asking them to stop, waiting for them, and limiting them; on one worker and on several.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{Either, Error, JoinHandle, Result, SelectorManager, TaskGroup, race};
use forebay_testing::{
    OnDrop, Signal, await_that, lock, panic_text, poll_once, settle, until_that, watched,
};
use futures_lite::future::{self, pending};

const HOUR: Duration = Duration::from_secs(3600);
/// More than a test's clock ever shows.
const FOREVER: Duration = Duration::from_secs(1 << 40);

/// Runs a test on 1, 2 and 4 workers, by a clock that does not advance by itself: nothing that it waits for
/// may need a limit to end it.
fn on_workers(
    test: impl AsyncFn(SelectorManager, TestClock) -> Result<()> + Copy + Send + 'static,
) {
    for workers in [1, 2, 4] {
        watched(move || {
            let clock = TestClock::new();
            let builder = SelectorManager::builder().clock(clock.clone()).workers(workers);
            let selector = builder.build().unwrap();
            selector.block_on(test(selector.clone(), clock)).unwrap();
            selector.block_on(selector.close());
        });
    }
}

/// Starts a task that waits until it is asked to stop, and says so.
fn until_stopped(group: &TaskGroup, stopped: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let stopped = Arc::clone(stopped);
    group.spawn(async move {
        forebay::stop_requested().await;
        stopped.fetch_add(1, SeqCst);
        Ok(())
    })
}

// ---- asking to stop ------------------------------------------------------------------------------------

#[test]
fn a_group_that_is_stopped_wakes_its_tasks_and_no_others() {
    on_workers(async |selector, _| {
        let (one, two) = (selector.group(), forebay::group());
        let (first, second) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        for _ in 0..100 {
            until_stopped(&one, &first);
            until_stopped(&two, &second);
        }
        let alone = selector.spawn(async {
            forebay::stop_requested().await;
            Ok(())
        });
        settle().await;
        assert_eq!((one.len(), two.len(), one.is_empty()), (100, 100, false));
        one.stop();
        one.stop();
        one.join().await;
        assert_eq!((first.load(SeqCst), one.len(), one.is_empty()), (100, 0, true));
        settle().await;
        assert_eq!((second.load(SeqCst), two.len(), alone.is_finished()), (0, 100, false));
        assert_eq!(selector.stats().tasks, 101);
        two.clone().stop();
        two.join().await;
        assert_eq!(second.load(SeqCst), 100);
        Ok(())
    });
}

#[test]
fn a_task_that_begins_after_the_request_finds_it_made() {
    on_workers(async |selector, _| {
        let (group, stopped) = (selector.group(), Arc::default());
        group.stop();
        until_stopped(&group, &stopped).await?;
        group.stop_requested().await;
        assert_eq!(stopped.load(SeqCst), 1);
        Ok(())
    });
}

#[test]
fn the_wait_can_be_polled_again_and_by_reference() {
    on_workers(async |selector, _| {
        let group = selector.group();
        let task = group.spawn(async {
            let mut stop = forebay::stop_requested();
            let (mut near, _far) = forebay::duplex(64);
            let lost = race(near.input.read_u8(), &mut stop).await;
            assert!(lost.is_right());
            assert!(poll_once(Pin::new(&mut stop)).is_ready(), "it stays so");
            Ok(())
        });
        settle().await;
        group.stop();
        task.await
    });
}

/// The call decides whose request it is, and not the task that waits.
#[test]
fn a_wait_that_is_moved_elsewhere_is_woken_there() {
    on_workers(async |selector, _| {
        let (group, other) = (selector.group(), selector.group());
        let task = group.spawn(async {
            let (stop, kept) = (forebay::stop_requested(), forebay::stop_requested());
            let in_no_group = forebay::spawn(async {
                stop.await;
                Ok(())
            });
            let elsewhere = thread::spawn(|| future::block_on(kept));
            in_no_group.await?;
            elsewhere.join().unwrap();
            Ok(())
        });
        let through_handle = other.spawn({
            let group = group.clone();
            async move {
                group.stop_requested().await;
                Ok(())
            }
        });
        settle().await;
        assert!(!task.is_finished() && !through_handle.is_finished());
        group.stop();
        task.await?;
        through_handle.await
    });
}

/// A part of a task, with a waker of its own, as in a set of futures: it is polled only when that waker was
/// woken.
struct Part<F> {
    future: Pin<Box<F>>,
    woken: Arc<PartWaker>,
}

struct PartWaker {
    woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for PartWaker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        let task = lock(&self.task).clone();
        task.unwrap().wake();
    }
}

impl<F: Future> Future for Part<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let task = cx.waker().clone();
        *lock(&self.woken.task) = Some(task);
        if !self.woken.woken.swap(false, SeqCst) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

#[test]
fn a_part_of_a_task_is_woken_by_its_own_waker() {
    on_workers(async |selector, _| {
        let group = selector.group();
        let tasks = [true, false].map(|in_group| {
            let part = move || {
                let woken = PartWaker { woken: AtomicBool::new(true), task: Mutex::default() };
                let future = Box::pin(forebay::stop_requested());
                Part { future, woken: Arc::new(woken) }
            };
            let task = async move {
                part().await;
                Ok(())
            };
            if in_group { group.spawn(task) } else { selector.spawn(task) }
        });
        settle().await;
        group.stop();
        let [in_group, alone] = tasks;
        in_group.await?;
        assert!(!alone.is_finished());
        let closing = selector.spawn({
            let selector = selector.clone();
            async move {
                selector.close().await;
                Ok(())
            }
        });
        alone.await?;
        closing.await
    });
}

#[test]
fn outside_a_group_only_a_closing_selector_asks_to_stop() {
    on_workers(async |selector, _| {
        let group = selector.group();
        let waits = [
            selector.spawn(async {
                forebay::stop_requested().await;
                Ok(())
            }),
            group.spawn(async {
                forebay::stop_requested().await;
                Ok(())
            }),
        ];
        let mut here = forebay::stop_requested();
        settle().await;
        assert!(poll_once(Pin::new(&mut here)).is_pending());
        let closing = selector.spawn({
            let selector = selector.clone();
            async move {
                selector.close().await;
                Ok(())
            }
        });
        here.await;
        for wait in waits {
            wait.await?;
        }
        closing.await
    });
    // Where there is no selector, there is nothing that could ask.
    assert!(poll_once(pin!(forebay::stop_requested())).is_pending());
    let said = panic_text(|| drop(forebay::group()));
    assert!(said.contains("forebay::group() works on a thread of a selector"), "{said}");
}

// ---- waiting for the tasks -----------------------------------------------------------------------------

#[test]
fn a_join_waits_for_all_also_for_those_that_begin_meanwhile() {
    on_workers(async |selector, _| {
        let (group, go) = (selector.group(), Signal::new());
        group.spawn({
            let (group, go) = (group.clone(), go.clone());
            async move {
                go.clone().await;
                group.spawn(async move {
                    forebay::yield_now().await;
                    Ok(())
                });
                Ok(())
            }
        });
        let mut join = pin!(group.join());
        assert!(future::poll_once(&mut join).await.is_none());
        go.set();
        join.await;
        assert_eq!((group.len(), selector.stats().tasks), (0, 0));
        Ok(())
    });
}

#[test]
fn a_join_within_a_time_aborts_what_is_left_and_returns_its_number() {
    on_workers(async |selector, clock| {
        let (group, drops) = (selector.group(), Arc::<AtomicUsize>::default());
        for _ in 0..10 {
            let drops = Arc::clone(&drops);
            let noted = OnDrop(move || _ = drops.fetch_add(1, SeqCst));
            group.spawn(async move {
                let _noted = noted;
                pending().await
            });
        }
        until_stopped(&group, &Arc::default());
        settle().await;
        group.stop();
        let started = selector.now();
        let mut join = pin!(group.join_within(HOUR));
        assert!(future::poll_once(&mut join).await.is_none());
        until_that("the one that listens has ended", || group.len() == 10).await;
        clock.advance(HOUR);
        assert_eq!(join.await, 10);
        assert_eq!(selector.now() - started, HOUR);
        group.join().await;
        assert_eq!((drops.load(SeqCst), group.len(), selector.stats().tasks), (10, 0, 0));

        // All in time; and one that has no time at all.
        until_stopped(&group, &Arc::default());
        assert_eq!(group.join_within(HOUR).await, 0);
        let left = group.spawn(pending());
        assert_eq!(group.join_within(Duration::ZERO).await, 1);
        assert!(left.await.is_err_and(|error| error.is_cancelled()));
        Ok(())
    });
}

#[test]
fn a_join_within_a_time_does_not_wait_for_a_task_that_blocks() {
    watched(|| {
        let selector = SelectorManager::builder().workers(2).build().unwrap();
        selector.block_on(async {
            let group = selector.group();
            let (begin, has_begun) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let (main, released) = (thread::current().id(), Arc::new(Mutex::new(released)));
            // One of the two is not on the worker of this thread.
            for _ in 0..2 {
                let (begin, released) = (begin.clone(), Arc::clone(&released));
                group.spawn(async move {
                    if thread::current().id() != main {
                        begin.send(()).unwrap();
                        lock(&released).recv().unwrap();
                    }
                    pending().await
                });
            }
            until_that("it blocks its thread", || has_begun.try_recv().is_ok()).await;
            assert_eq!(group.join_within(Duration::from_millis(1)).await, 2);
            until_that("the other one has ended", || group.len() == 1).await;
            release.send(()).unwrap();
            group.join().await;
        });
    });
}

#[test]
fn a_task_of_the_group_waits_for_the_others() {
    on_workers(async |selector, _| {
        let (group, go) = (selector.group(), Signal::new());
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let group_of_it = group.clone();
                group.spawn(async move {
                    group_of_it.join().await;
                    Ok(())
                })
            })
            .collect();
        let last = group.spawn({
            let go = go.clone();
            async move {
                go.await;
                Ok(())
            }
        });
        settle().await;
        assert!(waiting.iter().all(|task| !task.is_finished()));
        go.set();
        for task in waiting {
            task.await?;
        }
        last.await?;
        // Outside, nothing is spared.
        group.join().await;
        assert_eq!(group.len(), 0);
        Ok(())
    });
}

/// The clock stands still, so a close that waited for the task that calls it would never end.
#[test]
fn a_task_of_a_group_can_close_the_selector() {
    on_workers(async |selector, _| {
        let group = selector.group();
        let other = group.spawn(async {
            forebay::stop_requested().await;
            Ok(())
        });
        let closing = group.spawn({
            let selector = selector.clone();
            async move {
                selector.close().await;
                Ok(())
            }
        });
        other.await?;
        closing.await?;
        let refused = group.spawn(async { Ok(()) }).await;
        assert!(refused.is_err_and(|error| error.is_closed()));
        group.join().await;
        assert_eq!((group.len(), selector.stats().tasks), (0, 0));
        Ok(())
    });
}

#[test]
fn a_closing_selector_ends_the_waits_of_a_group() {
    watched(|| {
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
        let group = selector.group();
        group.spawn(pending());
        let limited = selector.group().limit(1);
        limited.spawn(pending());
        let waits: Vec<_> = [0, 1, 2, 3]
            .map(|wait| {
                let (group, limited) = (group.clone(), limited.clone());
                thread::spawn(move || match wait {
                    0 => future::block_on(group.join()),
                    1 => assert_eq!(future::block_on(group.join_within(FOREVER)), 0),
                    2 => future::block_on(group.stop_requested()),
                    _ => {
                        let place = future::block_on(limited.place());
                        let refused = future::block_on(place.spawn(async { Ok(()) }));
                        assert!(refused.is_err_and(|error| error.is_closed()));
                    }
                })
            })
            .into();
        let closing = thread::spawn({
            let selector = selector.clone();
            move || future::block_on(selector.close())
        });
        await_that("everything ends", || {
            clock.advance(Duration::from_secs(10));
            closing.is_finished() && waits.iter().all(thread::JoinHandle::is_finished)
        });
        for ended in waits {
            ended.join().unwrap();
        }
        closing.join().unwrap();
        assert_eq!((group.len(), limited.len()), (0, 0));
    });
}

#[test]
fn the_tasks_of_a_dropped_group_go_on() {
    on_workers(async |selector, _| {
        let (go, done) = (Signal::new(), Signal::new());
        let group = selector.group();
        group.spawn({
            let (go, done) = (go.clone(), done.clone());
            async move {
                go.await;
                done.set();
                Ok(())
            }
        });
        drop(group);
        settle().await;
        go.set();
        done.await;
        Ok(())
    });
}

/// A group keeps no selector open: dropping the last clone closes it.
#[test]
fn a_group_does_not_keep_its_selector_open() {
    watched(|| {
        let selector = SelectorManager::new();
        let group = selector.group();
        let handle = group.spawn(async {
            forebay::stop_requested().await;
            Ok(())
        });
        drop(selector);
        future::block_on(handle).unwrap();
        future::block_on(group.join());
        let refused = future::block_on(group.spawn(async { Ok(()) }));
        assert!(refused.is_err_and(|error| error.is_closed()));
    });
}

#[test]
fn errors_and_panics_of_a_group_are_reported_and_end_one_task() {
    watched(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&told);
        let builder = SelectorManager::builder()
            .on_task_error(move |error| lock(&notes).push(error.to_string()));
        builder
            .run(async |selector: SelectorManager| {
                let group = selector.group();
                group.spawn(async { Err(Error::other("of the group")) });
                group.spawn(async { panic!("expected by a test") });
                group.join().await;
                let awaited = group.spawn(async { Err(Error::other("awaited")) }).await;
                assert!(awaited.is_err());
                let mut said = lock(&told).clone();
                said.sort();
                assert_eq!(said.len(), 2, "{said:?}");
                assert!(said[0].contains("of the group") || said[1].contains("of the group"));
                assert_eq!(group.len(), 0);
                Result::Ok(())
            })
            .unwrap();
    });
}

// ---- the limit -----------------------------------------------------------------------------------------

/// A number of tasks that wait for each other.
#[derive(Default)]
struct Barrier(AtomicUsize);

impl Barrier {
    async fn wait(&self, count: usize) {
        self.0.fetch_add(1, SeqCst);
        until_that("all run at once", || self.0.load(SeqCst) >= count).await;
    }
}

#[test]
fn no_more_tasks_than_the_limit_run_at_once() {
    on_workers(async |selector, _| {
        let group = selector.group().limit(3);
        let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        for round in 0..100 {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            group.place().await.spawn(async move {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                for _ in 0..round % 4 {
                    forebay::yield_now().await;
                }
                now.fetch_sub(1, SeqCst);
                Ok(())
            });
            assert!(group.len() <= 3);
        }
        group.join().await;
        assert!(most.load(SeqCst) <= 3);
        // Three do run at once.
        let all_run = Arc::<Barrier>::default();
        for _ in 0..3 {
            let all_run = Arc::clone(&all_run);
            group.place().await.spawn(async move {
                all_run.wait(3).await;
                Ok(())
            });
        }
        group.join().await;
        Ok(())
    });
}

#[test]
fn several_that_wait_for_a_place_get_one_each() {
    on_workers(async |selector, _| {
        let group = selector.group().limit(2);
        let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let producers: Vec<_> = (0..8)
            .map(|_| {
                let (group, now, most) = (group.clone(), Arc::clone(&now), Arc::clone(&most));
                selector.spawn(async move {
                    for _ in 0..50 {
                        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                        group.place().await.spawn(async move {
                            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                            forebay::yield_now().await;
                            now.fetch_sub(1, SeqCst);
                            Ok(())
                        });
                    }
                    Ok(())
                })
            })
            .collect();
        for producer in producers {
            producer.await?;
        }
        group.join().await;
        assert!(most.load(SeqCst) <= 2);
        Ok(())
    });
}

#[test]
fn a_place_that_is_dropped_is_free_again() {
    on_workers(async |selector, _| {
        let group = selector.group().limit(1);
        let place = group.place().await;
        let mut waiting = pin!(group.place());
        assert!(future::poll_once(&mut waiting).await.is_none());
        // A wait that was dropped has taken nothing.
        drop(future::poll_once(pin!(group.place())).await);
        assert_eq!(group.len(), 0, "a place is not a task");
        drop(place);
        let task = waiting.await.spawn(pending());
        assert_eq!(group.len(), 1);
        let mut waiting = pin!(group.place());
        assert!(future::poll_once(&mut waiting).await.is_none());
        // Tasks that do not wait for a place may be more than the limit, and count.
        let other = group.spawn(pending());
        task.abort();
        task.await.ok();
        assert!(future::poll_once(&mut waiting).await.is_none());
        other.abort();
        drop(waiting.await);
        // A higher limit has room at once.
        let first = group.place().await;
        let mut waiting = pin!(group.place());
        assert!(future::poll_once(&mut waiting).await.is_none());
        let wider = group.clone().limit(2);
        drop((waiting.await, first, wider));
        Ok(())
    });
}

#[test]
fn without_a_limit_there_is_always_a_place() {
    on_workers(async |selector, _| {
        let group = selector.group();
        let places: Vec<_> = {
            let mut places = Vec::new();
            for _ in 0..1000 {
                places.push(group.place().await);
            }
            places
        };
        drop(places);
        Ok(())
    });
    let said = panic_text(|| drop(SelectorManager::new().group().limit(0)));
    assert!(said.contains("at least one task"), "{said}");
}

// ---- a server ------------------------------------------------------------------------------------------

/// The life of a server, with a signal of the test's in place of the system's.
#[test]
fn a_server_that_stops_lets_its_sessions_end() {
    on_workers(async |selector, _| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let (address, stop) = (server.local_address(), Signal::new());
        let sessions = selector.group();
        let serving = {
            let (sessions, stop) = (sessions.clone(), stop.clone());
            async move {
                while let Either::Left(socket) = race(server.accept(), stop.clone()).await {
                    let mut it = socket?.connection()?;
                    sessions.spawn(async move {
                        let read = race(it.input.read_line(), forebay::stop_requested()).await;
                        assert!(read.is_right());
                        it.output.write_str("goodbye\n").await?;
                        it.socket.close().await
                    });
                }
                sessions.stop();
                sessions.join().await;
                Ok(())
            }
        };
        let serving = selector.spawn(serving);
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(selector.tcp().connect(address.clone()).await?.connection()?);
        }
        until_that("all are accepted", || sessions.len() == 20).await;
        stop.set();
        for mut client in clients {
            assert_eq!(client.input.read_line().await?.as_deref(), Some("goodbye"));
            client.socket.close().await?;
        }
        serving.await
    });
}
