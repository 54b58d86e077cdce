//! Memory, counted by the allocator: a peak of tasks leaves none, and handlers that wait for something
//! else than their connection hold little.

use std::future::pending;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use forebay::{JoinHandle, SelectorManager};
use forebay_testing::{alone, report, until, until_that, watched, witness::live_bytes};
use futures_lite::future::yield_now;

const CLIENTS: usize = 2000;
const TASKS: usize = 100_000;
/// Less than a byte for each of them.
const ALLOWED_BYTES: i64 = 96 * 1024;

/// Held by a test that counts: another one's memory would be counted as well.
static ALONE: Mutex<()> = Mutex::new(());

/// So many tasks wait at once, and end together.
async fn peak(selector: &SelectorManager, tasks: usize, from_another_thread: bool) {
    let waiting: Vec<_> = (0..tasks).map(|_| selector.spawn_value(pending::<()>())).collect();
    assert_eq!(selector.stats().tasks, tasks);
    let abort_all = move || waiting.iter().for_each(JoinHandle::abort);
    if from_another_thread {
        thread::spawn(abort_all).join().unwrap();
    } else {
        abort_all();
    }
    until(|| selector.stats().tasks == 0).await;
    yield_now().await;
}

#[test]
fn the_tasks_of_a_peak_leave_no_memory() {
    alone("the_tasks_of_a_peak_leave_no_memory", || {
        let _alone = ALONE.lock();
        watched(|| {
            let selector = SelectorManager::new();
            selector.block_on(async {
                for from_another_thread in [false, true] {
                    peak(&selector, 100, from_another_thread).await;
                    let before = live_bytes();
                    peak(&selector, TASKS, from_another_thread).await;
                    let left = || live_bytes() - before;
                    // Each worker returns the memory of its queue at the end of a turn of its own.
                    until_that("little memory is left", || left() < ALLOWED_BYTES).await;
                    report(&format!("{} bytes are left of {TASKS} tasks", left()));
                }
            });
        });
    });
}

/// A group lives as long as its server, and its tasks are many.
#[test]
fn the_ended_tasks_of_a_group_leave_no_memory() {
    alone("the_ended_tasks_of_a_group_leave_no_memory", || {
        let _alone = ALONE.lock();
        watched(|| {
            let selector = SelectorManager::builder().workers(2).build().unwrap();
            selector.block_on(async {
                let group = selector.group().limit(100);
                let pass = async |tasks| {
                    for _ in 0..tasks {
                        // Each has waited for a request, and has raced.
                        group.place().await.spawn(async {
                            forebay::race(yield_now(), forebay::stop_requested()).await;
                            Ok(())
                        });
                    }
                    group.join().await;
                    yield_now().await;
                };
                pass(1000).await;
                let before = live_bytes();
                pass(TASKS).await;
                let left = live_bytes() - before;
                report(&format!("{left} bytes are left of {TASKS} tasks of a group"));
                assert!(left < ALLOWED_BYTES / 8, "{left} bytes are left");
                assert_eq!((group.len(), selector.stats().tasks), (0, 0));
            });
        });
    });
}

/// Two thousand clients have sent two lines, and each handler has read one and waits for something else.
#[test]
fn handlers_that_wait_for_something_else_hold_four_kibibytes_at_most() {
    alone("handlers_that_wait_for_something_else_hold_four_kibibytes_at_most", || {
        let _alone = ALONE.lock();
        watched(|| {
            let selector = SelectorManager::new();
            selector.block_on(async {
                let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
                let before = live_bytes();
                let read = Arc::new(AtomicUsize::new(0));
                let mut clients = Vec::new();
                for _ in 0..CLIENTS {
                    let mut client = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
                    client.write_all(b"a\nb\n").unwrap();
                    clients.push(client);
                    let (socket, read) = (server.accept().await.unwrap(), Arc::clone(&read));
                    selector.spawn(async move {
                        let mut input = socket.open_read_channel()?;
                        let _output = socket.open_write_channel()?;
                        assert_eq!(input.read_line().await?.as_deref(), Some("a"));
                        read.fetch_add(1, SeqCst);
                        pending::<()>().await;
                        assert_eq!(input.read_line().await?.as_deref(), Some("b"));
                        Ok(())
                    });
                }
                until(|| read.load(SeqCst) == CLIENTS).await;
                yield_now().await;
                let each = (live_bytes() - before) / i64::try_from(CLIENTS).unwrap();
                report(&format!("memory_of_a_peak: {each} bytes for each of {CLIENTS} handlers"));
                assert!(each <= 4096, "{each} bytes each");
                assert_eq!(selector.stats().blocks, 0);
            });
        });
    });
}
