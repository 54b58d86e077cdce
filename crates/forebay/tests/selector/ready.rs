//! `ready` beside other waits, closes, drops and reuses of the same descriptor, and where it refuses.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use forebay::{ErrorKind, Interest, JoinHandle, Result, SelectorManager};
use forebay_testing::{
    await_no_worker, counted_alone, descriptors, panic_text, settle, size, until, watched,
};
use futures_lite::future::{block_on, poll_once};
use rustix::event::epoll;
use rustix::fs::{OFlags, fcntl_getfl};

/// The numbers of workers with which each test runs.
const WORKERS: [u16; 3] = [1, 2, 4];

fn on_workers(body: fn(SelectorManager) -> Result<()>) {
    for workers in WORKERS {
        watched(move || body(SelectorManager::builder().workers(workers).build().unwrap()))
            .unwrap();
    }
}

fn watched_by(selector: &SelectorManager) -> usize {
    selector.worker_stats().iter().map(|worker| worker.watched).sum()
}

/// Starts a task that waits for input, and waits until it does.
async fn waiting(
    selector: &SelectorManager,
    reader: &Arc<PipeReader>,
) -> JoinHandle<Result<Interest>> {
    let (before, of_the_task, reader) =
        (watched_by(selector), selector.clone(), Arc::clone(reader));
    let wait =
        selector.spawn_value(async move { of_the_task.ready(&*reader, Interest::READABLE).await });
    until(|| watched_by(selector) > before).await;
    wait
}

fn pipe_to_share() -> (Arc<PipeReader>, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    (Arc::new(reader), writer)
}

// ---- several waits -----------------------------------------------------------------------------------

/// Each of them is woken, and a dropped one takes nothing with it.
#[test]
fn any_number_of_tasks_wait_for_one_descriptor() {
    on_workers(|selector| {
        selector.block_on(async {
            let (reader, mut writer) = pipe_to_share();
            for dropped in [0, 7, 19] {
                let mut waits = Vec::new();
                for _ in 0..20 {
                    waits.push(waiting(&selector, &reader).await);
                }
                waits.remove(dropped).abort();
                until(|| watched_by(&selector) == waits.len()).await;
                writer.write_all(b"!").unwrap();
                for wait in waits {
                    assert_eq!(wait.await??, Interest::READABLE);
                }
                (&*reader).read_exact(&mut [0]).unwrap();
                assert_eq!(watched_by(&selector), 0);
            }
            Result::Ok(())
        })
    });
}

/// Waits for different conditions of one descriptor, at the same time.
#[test]
fn waits_for_either_direction_do_not_meet() {
    on_workers(|selector| {
        selector.block_on(async {
            let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
            let both = Interest::READABLE | Interest::WRITABLE;
            let mut reading = Box::pin(selector.ready(&here, Interest::READABLE));
            assert_eq!(poll_once(&mut reading).await.transpose()?, None);
            let writable = selector.ready(&here, Interest::WRITABLE).await?;
            assert_eq!(
                (writable, selector.ready(&here, both).await?),
                (Interest::WRITABLE, writable)
            );
            settle().await;
            assert_eq!(poll_once(&mut reading).await.transpose()?, None);
            there.write_all(b"!").unwrap();
            assert_eq!(reading.await?, Interest::READABLE);
            assert_eq!(selector.ready(&here, both).await?, both);
            // The end counts as everything that was asked for.
            drop(there);
            (&here).read_exact(&mut [0]).unwrap();
            for asked in [both, Interest::READABLE, Interest::WRITABLE, Interest::PRIORITY] {
                assert_eq!(selector.ready(&here, asked).await?, asked);
            }
            Result::Ok(())
        })
    });
}

/// Another library has registered the descriptor in a poll of its own, and keeps it there.
#[test]
fn a_descriptor_that_another_poll_watches() {
    on_workers(|selector| {
        selector.block_on(async {
            let (reader, mut writer) = pipe_to_share();
            let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&poll, &*reader, epoll::EventData::new_u64(7), flags).unwrap();
            for _ in 0..3 {
                let wait = waiting(&selector, &reader).await;
                writer.write_all(b"!").unwrap();
                assert_eq!(wait.await??, Interest::READABLE);
                let mut events = Vec::with_capacity(2);
                let buffer = rustix::buffer::spare_capacity(&mut events);
                assert_eq!(epoll::wait(&poll, buffer, None), Ok(1));
                assert_eq!(events[0].data.u64(), 7);
                (&*reader).read_exact(&mut [0]).unwrap();
            }
            // That it is registered there is not changed either.
            assert!(epoll::delete(&poll, &*reader).is_ok());
            Result::Ok(())
        })
    });
}

/// The number of a descriptor is used again right after a wait for it, whether that was complete, dropped
/// or forgotten, and while a copy of the former descriptor is still open.
#[test]
fn a_number_that_is_used_again() {
    counted_alone("a_number_that_is_used_again", || {
        for workers in WORKERS {
            watched(move || {
                let selector = SelectorManager::builder().workers(workers).build().unwrap();
                selector.block_on(async {
                    let mut copies = Vec::new();
                    let mut number = None;
                    for round in 0..30 {
                        let (reader, mut writer) = pipe().unwrap();
                        let same = *number.get_or_insert(reader.as_raw_fd());
                        assert_eq!(reader.as_raw_fd(), same, "the number was used again");
                        let mut wait = Box::pin(selector.ready(&reader, Interest::READABLE));
                        assert_eq!(poll_once(&mut wait).await.transpose()?, None);
                        // What happened to the pipes before is of no concern here.
                        settle().await;
                        assert_eq!(poll_once(&mut wait).await.transpose()?, None);
                        match round % 3 {
                            0 => {
                                writer.write_all(b"!").unwrap();
                                wait.await?;
                            }
                            1 => drop(wait),
                            _ => std::mem::forget(wait),
                        }
                        let (copy, writer_copy) = (reader.try_clone().unwrap(), writer);
                        // Kept from the numbers below, which the next round is to find free.
                        let copy = rustix::io::fcntl_dupfd_cloexec(&copy, 500).unwrap();
                        let writer_copy =
                            rustix::io::fcntl_dupfd_cloexec(&writer_copy, 500).unwrap();
                        copies.push((copy, writer_copy));
                    }
                    Result::Ok(())
                })
            })
            .unwrap();
        }
    });
}

// ---- ends --------------------------------------------------------------------------------------------

#[test]
fn a_dropped_wait_leaves_nothing() {
    counted_alone("a_dropped_wait_leaves_nothing", || {
        let none = descriptors().len();
        for workers in WORKERS {
            // Those of the selector before are gone.
            await_no_worker(none);
            watched(move || {
                let selector = SelectorManager::builder().workers(workers).build().unwrap();
                selector.block_on(async {
                    let (reader, mut writer) = pipe_to_share();
                    // The workers are started, with what they hold.
                    let start = |_| selector.spawn(async { Ok(()) });
                    for task in (0..workers).map(start).collect::<Vec<_>>() {
                        task.await?;
                    }
                    let before = descriptors().len();
                    for round in 0..size("FOREBAY_READY_ROUNDS", 300, 10_000) {
                        let wait = waiting(&selector, &reader).await;
                        if round % 2 == 0 {
                            wait.abort();
                            assert!(wait.await.is_err_and(|error| error.is_cancelled()));
                        } else {
                            writer.write_all(b"!").unwrap();
                            wait.await??;
                            (&*reader).read_exact(&mut [0]).unwrap();
                        }
                        assert_eq!((watched_by(&selector), descriptors().len()), (0, before));
                    }
                    // The pipe's writer is told that no reader is left: no copy of it was kept.
                    drop(reader);
                    assert!(writer.write_all(b"!").is_err());
                    Result::Ok(())
                })
            })
            .unwrap();
        }
    });
}

#[test]
fn closing_the_selector_ends_a_wait() {
    counted_alone("closing_the_selector_ends_a_wait", || {
        let before = descriptors().len();
        for workers in WORKERS {
            watched(move || {
                let (reader, writer) = pipe_to_share();
                let selector = SelectorManager::builder().workers(workers).build().unwrap();
                let foreign = thread::spawn({
                    let (selector, reader) = (selector.clone(), Arc::clone(&reader));
                    move || block_on(selector.ready(&*reader, Interest::READABLE))
                });
                let waits = selector.block_on(async {
                    until(|| watched_by(&selector) == 1).await;
                    let mut waits = Vec::new();
                    for _ in 0..2 * workers {
                        waits.push(waiting(&selector, &reader).await);
                    }
                    selector.close().await;
                    // Nor does a wait begin, even for what is ready.
                    (&writer).write_all(b"!").unwrap();
                    assert_closed(selector.ready(&*reader, Interest::READABLE).await);
                    let mut ended = Vec::new();
                    for wait in waits {
                        ended.push(wait.await);
                    }
                    ended
                });
                for wait in waits {
                    assert_closed(wait.unwrap());
                }
                assert_closed(foreign.join().unwrap());
            });
        }
        await_no_worker(before);
    });
}

#[track_caller]
fn assert_closed(outcome: Result<Interest>) {
    let error = outcome.unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert_eq!(error.operation(), "ready");
}

/// Closes and drops beside waits that begin, are woken and are dropped: each ends, with what has happened.
#[test]
fn closes_beside_waits_that_begin() {
    watched(|| {
        for round in 0..size("FOREBAY_READY_ROUNDS", 300, 10_000) {
            let selector = SelectorManager::builder().workers(WORKERS[round % 3]).build().unwrap();
            let (reader, writer) = pipe_to_share();
            thread::scope(|scope| {
                let waiting = scope.spawn({
                    let (selector, reader) = (selector.clone(), Arc::clone(&reader));
                    move || block_on(selector.ready(&*reader, Interest::READABLE))
                });
                scope.spawn(|| (&writer).write_all(b"!").unwrap());
                block_on(selector.close());
                match waiting.join().unwrap() {
                    Ok(ready) => assert_eq!(ready, Interest::READABLE),
                    closed => assert_closed(closed),
                }
            });
        }
    });
}

// ---- places ------------------------------------------------------------------------------------------

#[test]
fn on_a_thread_without_a_worker() {
    on_workers(|selector| {
        let (reader, mut writer) = pipe_to_share();
        let wait = thread::spawn({
            let (selector, reader) = (selector.clone(), Arc::clone(&reader));
            move || {
                block_on(async {
                    for _ in 0..100 {
                        selector.ready(&*reader, Interest::READABLE).await?;
                        (&*reader).read_exact(&mut [0]).unwrap();
                    }
                    Result::Ok(())
                })
            }
        });
        while !wait.is_finished() {
            writer.write_all(b"!").ok();
            thread::yield_now();
        }
        wait.join().unwrap()
    });
}

/// A wait that begins on one thread and goes on on others.
#[test]
fn a_wait_that_moves() {
    on_workers(|selector| {
        let (reader, mut writer) = pipe().unwrap();
        let of_the_wait = selector.clone();
        let mut wait = Box::pin(async move { of_the_wait.ready(reader, Interest::READABLE).await });
        for _ in 0..3 {
            wait = thread::spawn(move || {
                assert!(block_on(poll_once(&mut wait)).is_none());
                wait
            })
            .join()
            .unwrap();
        }
        writer.write_all(b"!").unwrap();
        assert_eq!(block_on(wait)?, Interest::READABLE);
        // The descriptor was given away, and is closed.
        assert!(writer.write_all(b"!").is_err());
        Ok(())
    });
}

#[test]
fn the_function_at_the_root() {
    on_workers(|selector| {
        selector.block_on(async {
            let (reader, mut writer) = pipe().unwrap();
            let mut wait = Box::pin(forebay::ready(&reader, Interest::READABLE));
            assert_eq!(poll_once(&mut wait).await.transpose()?, None);
            assert_eq!(watched_by(&selector), 1);
            writer.write_all(b"!").unwrap();
            assert_eq!(wait.await?, Interest::READABLE);
            Result::Ok(())
        })?;
        let text =
            panic_text(|| drop(block_on(forebay::ready(std::io::stdin(), Interest::READABLE))));
        assert!(text.starts_with("forebay::ready() works on a thread of a selector"), "{text}");
        Ok(())
    });
}

/// A loop that never reads does not keep others from running, nor does it miss a deadline.
#[test]
fn a_descriptor_that_always_is_ready_gives_way() {
    on_workers(|selector| {
        selector.block_on(async {
            let (reader, mut writer) = pipe_to_share();
            writer.write_all(b"!").unwrap();
            let turns = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&turns);
            let of_the_task = selector.clone();
            let busy = selector.spawn_here(async move {
                loop {
                    of_the_task.ready(&*reader, Interest::READABLE).await?;
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
            until(|| turns.load(Ordering::SeqCst) > 1000).await;
            selector.sleep(Duration::from_millis(1)).await;
            busy.abort();
            assert!(busy.await.is_err_and(|error| error.is_cancelled()));
            Result::Ok(())
        })
    });
}

/// Input that is there when the time is up counts, though the worker has not looked since.
#[test]
fn what_came_by_the_deadline_counts() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let (reader, mut writer) = pipe().unwrap();
            let wait = selector.ready(&reader, Interest::READABLE);
            let mut wait = Box::pin(selector.timeout(Duration::from_millis(1), wait));
            assert!(poll_once(&mut wait).await.is_none());
            thread::sleep(Duration::from_millis(5));
            writer.write_all(b"!").unwrap();
            assert_eq!(wait.await?, Interest::READABLE);
            let never = selector.ready(&writer, Interest::PRIORITY);
            let late = selector.timeout(Duration::from_millis(1), never).await;
            assert!(late.is_err_and(|error| error.is_timeout()));
            Result::Ok(())
        })
    })
    .unwrap();
}

// ---- refusals ----------------------------------------------------------------------------------------

/// A file and a directory, which no event is known of; a device that never makes a call wait is ready.
#[test]
fn files_are_refused_by_name() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let path = std::env::current_exe().unwrap();
            let files = [File::open(&path), File::open(path.parent().unwrap())];
            for file in files.map(std::result::Result::unwrap) {
                for asked in [Interest::READABLE, Interest::WRITABLE, Interest::PRIORITY] {
                    let error = selector.ready(&file, asked).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    assert_eq!(
                        error.to_string(),
                        "ready: invalid argument (Operation not permitted, os error 1): a regular file or \
                         a directory does not tell when it is ready, and its calls block: read and \
                         write it through blocking_reader and blocking_writer"
                    );
                }
            }
            let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
            let both = Interest::READABLE | Interest::WRITABLE;
            for _ in 0..3 {
                assert_eq!(selector.ready(&null, both).await?, both);
            }
            Result::Ok(())
        })
    })
    .unwrap();
}

/// A descriptor that names a file without having it open.
#[test]
fn a_descriptor_that_nothing_can_be_done_with() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            for path in ["/dev/null", "/tmp"] {
                let named = rustix::fs::open(path, flags, 0.into()).unwrap();
                let error = selector.ready(&named, Interest::READABLE).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::System, "{error}");
                assert!(error.to_string().contains("Bad file descriptor"), "{error}");
            }
            Result::Ok(())
        })
    })
    .unwrap();
}

/// The system's limit has a name, and a wait that it refuses leaves nothing.
#[test]
fn more_waits_than_the_system_allows() {
    counted_alone("more_waits_than_the_system_allows", || {
        watched(|| {
            forebay::run(async |selector: SelectorManager| {
                let (reader, mut writer) = pipe_to_share();
                let mut waits = Vec::new();
                let refused = loop {
                    // The third call in one poll that need not wait gives way.
                    forebay::yield_now().await;
                    let before = descriptors().len();
                    let of_the_wait = (selector.clone(), Arc::clone(&reader));
                    let mut wait = Box::pin(async move {
                        of_the_wait.0.ready(&*of_the_wait.1, Interest::READABLE).await
                    });
                    match poll_once(&mut wait).await {
                        None => waits.push(wait),
                        Some(outcome) => {
                            assert_eq!(descriptors().len(), before);
                            break outcome.unwrap_err();
                        }
                    }
                };
                assert_eq!((waits.len(), watched_by(&selector)), (500, 500));
                assert_eq!(refused.kind(), ErrorKind::Exhausted);
                let detail = "the system allows no more waits for this descriptor at once (Linux about \
                              500): let one task wait for the others";
                assert!(refused.to_string().ends_with(detail), "{refused}");
                writer.write_all(b"!").unwrap();
                for wait in waits {
                    assert_eq!(wait.await?, Interest::READABLE);
                }
                Result::Ok(())
            })
        })
        .unwrap();
    });
}

/// The flags of a descriptor are shared with every copy of it.
#[test]
fn a_wait_changes_no_flag() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let (reader, mut writer) = pipe().unwrap();
            let reader = OwnedFd::from(reader);
            let before = fcntl_getfl(&reader).unwrap();
            let mut wait = Box::pin(selector.ready(reader.as_fd(), Interest::READABLE));
            assert_eq!(poll_once(&mut wait).await.transpose()?, None);
            assert_eq!(fcntl_getfl(&reader), Ok(before));
            writer.write_all(b"!").unwrap();
            wait.await?;
            assert_eq!(fcntl_getfl(&reader), Ok(before));
            Result::Ok(())
        })
    })
    .unwrap();
}
