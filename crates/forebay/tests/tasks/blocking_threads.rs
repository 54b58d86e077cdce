//! The threads that block: bounded, and never in the way of an end.

use std::fs::File;
use std::future::pending;
use std::io::{self, PipeReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

#[cfg(feature = "tls")]
use forebay::Trust;
use forebay::{Error, ErrorKind, JoinHandle, Result, SelectorManager};
use forebay_testing::{
    OnDrop, alone, await_that, child,
    ends::{Gate, Sink, Told},
    in_host,
    unix::{Directory, leave_stale},
    until_that, watched,
};
use futures_lite::future::{self, poll_once};
use rustix::fs::{FlockOperation, flock};

/// A read that waits until it is told that there is a byte, and then finds the end.
struct Held {
    gate: Gate,
    inside: Arc<AtomicUsize>,
}

impl Read for Held {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.inside.fetch_add(1, SeqCst);
        self.gate.pass();
        self.inside.fetch_sub(1, SeqCst);
        Ok(0)
    }
}

/// Calls that block until `gate` opens, of every kind that a user can begin.
#[derive(Default)]
struct Blocked {
    gate: Gate,
    inside: Arc<AtomicUsize>,
}

impl Blocked {
    fn held(&self) -> Held {
        Held { gate: self.gate.clone(), inside: Arc::clone(&self.inside) }
    }

    /// Begins so many reads; all of them are on their threads when this returns.
    async fn read(&self, selector: &SelectorManager, count: usize) -> Vec<JoinHandle<()>> {
        let before = self.inside.load(SeqCst);
        let reading = (0..count).map(|_| {
            let mut input = selector.blocking_reader(self.held());
            selector.spawn(async move { input.read_line().await.map(drop) })
        });
        let reading = reading.collect();
        until_that("all are inside", || self.inside.load(SeqCst) == before + count).await;
        reading
    }
}

/// Calls that have to end whatever else blocks, and those of them that do not.
struct Beside<'a> {
    selector: &'a SelectorManager,
    failed: Vec<String>,
}

impl Beside<'_> {
    async fn expect(&mut self, name: &str, call: impl Future<Output = Result<()>>) {
        match self.selector.within(Duration::from_secs(5), call).await {
            Some(Ok(())) => {}
            Some(Err(error)) => self.failed.push(format!("{name}: {error}")),
            None => self.failed.push(format!("{name}: waits")),
        }
    }

    async fn expect_all(mut self) -> Vec<String> {
        let selector = self.selector;
        let connect = async {
            let server = selector.tcp().bind("localhost:0").await?;
            let address = format!("localhost:{}", server.port());
            selector.tcp().connect(address).await?.close().await
        };
        self.expect("a look-up", connect).await;
        let replace = async {
            let directory = Directory::new();
            let path = directory.join("stale");
            leave_stale(&path);
            selector.unix().replace_stale().bind(&path).await.map(drop)
        };
        self.expect("a stale path", replace).await;
        #[cfg(feature = "tls")]
        {
            use forebay_testing::tls::{Authority, Configs, secure_pair};

            // The system's roots are read on a thread, by the first handshake that needs them.
            let authority = Authority::new();
            let trust = Trust::system_plus_pem(authority.pem()).unwrap();
            let configs = Configs::by(&authority, |client| client.trust(trust), |server| server);
            let secure = async { secure_pair(selector, &configs).await.map(drop) };
            self.expect("the first handshake", secure).await;
        }
        let flush = async {
            let sink = Sink::default();
            let mut output = selector.blocking_writer(sink.writer());
            output.write_str("flushed").await?;
            output.flush().await?;
            assert_eq!(sink.bytes(), b"flushed");
            Ok(())
        };
        self.expect("a flush", flush).await;
        self.expect("a function", async { selector.spawn_blocking(|| ()).await }).await;
        self.failed
    }
}

#[test]
fn what_ends_by_itself_does_not_wait_behind_what_may_never_end() {
    for count in [16, 64] {
        watched(move || {
            in_host(async |selector: SelectorManager| {
                let blocked = Blocked::default();
                let reading = blocked.read(&selector, count).await;
                let failed = Beside { selector: &selector, failed: Vec::new() }.expect_all().await;
                blocked.gate.open(count);
                for read in reading {
                    read.await?;
                }
                assert!(failed.is_empty(), "beside {count} blocked reads: {failed:#?}");
                Result::Ok(())
            })
            .unwrap();
        });
    }
}

/// A pipe that notes its reads.
struct Noted(PipeReader, Arc<AtomicUsize>);

impl Read for Noted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.fetch_add(1, SeqCst);
        self.0.read(buffer)
    }
}

#[test]
fn a_read_that_never_returns_keeps_neither_run_nor_the_process() {
    let name = "a_read_that_never_returns_keeps_neither_run_nor_the_process";
    let body = || {
        let reading = Arc::<AtomicUsize>::default();
        let (silent, _nobody_writes) = io::pipe().unwrap();
        let (other, _nobody_writes_here_either) = io::pipe().unwrap();
        let [silent, other] = [silent, other].map(|pipe| Noted(pipe, Arc::clone(&reading)));
        let ran = SelectorManager::builder().drain(Duration::from_millis(20), 0).run(
            async |selector: SelectorManager| {
                // One read by main, one by a task that is still in it when main ends.
                let mut input = selector.blocking_reader(silent);
                assert!(poll_once(input.read_line()).await.is_none());
                let mut input = selector.blocking_reader(other);
                selector.spawn(async move { input.read_line().await.map(drop) }).detach();
                until_that("both read", || reading.load(SeqCst) == 2).await;
                Result::Ok("ran")
            },
        );
        assert_eq!(ran.unwrap(), "ran");
        println!("run has returned");
        // The pipes are still open, and two threads block in them, when this process ends.
        std::process::exit(0);
    };
    let Some(child) = child(name, body) else { return };
    assert!(child.status.success(), "{child:?}");
    assert!(child.stdout.contains("run has returned"), "{child:?}");
}

#[test]
fn the_end_of_main_ends_a_process_whose_threads_block() {
    // Here it is the return of main, and not `exit`, that ends the process: libtest's, after the
    // only test it was asked for.
    alone("the_end_of_main_ends_a_process_whose_threads_block", || {
        let (silent, writer) = io::pipe().unwrap();
        in_host(async |selector: SelectorManager| {
            let mut input = selector.blocking_reader(silent);
            assert!(poll_once(input.read_line()).await.is_none());
            Result::Ok(())
        })
        .unwrap();
        // Open to the very end.
        std::mem::forget(writer);
    });
}

#[test]
fn one_call_too_many_is_refused_at_once_and_names_the_setting() {
    const MAX: usize = 4;
    watched(|| {
        let builder = SelectorManager::builder().blocking_max(MAX);
        let ran = builder.run(async |selector: SelectorManager| {
            let blocked = Blocked::default();
            let reading = blocked.read(&selector, MAX).await;
            let refused = |error: Error, call: &str| {
                let text = format!(
                    "{call}: a resource is exhausted: {MAX} calls that may block forever are under \
                     way already (SelectorBuilder::blocking_max sets this)"
                );
                assert_eq!((error.kind(), error.to_string()), (ErrorKind::Exhausted, text));
            };

            let mut input = selector.blocking_reader(&b"kept\n"[..]);
            for _ in 0..2 {
                refused(input.read_line().await.unwrap_err(), "blocking_reader");
            }
            let sink = Sink::default();
            let mut output = selector.blocking_writer(sink.writer());
            output.write_str("not written").await?;
            refused(output.flush().await.unwrap_err(), "blocking_writer");
            refused(output.finish().await.unwrap_err(), "blocking_writer");
            let dropped = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&dropped);
            let note = OnDrop(move || {
                counted.fetch_add(1, SeqCst);
            });
            let function = selector.spawn_blocking(move || drop(note));
            refused(function.await.unwrap_err(), "spawn_blocking");
            assert_eq!(dropped.load(SeqCst), 1);
            // The selector's own calls have threads of their own.
            selector.tcp().bind("localhost:0").await?.close();

            // A thread is free again: the same channel goes on, and has lost nothing.
            blocked.gate.open(1);
            until_that("one has ended", || blocked.inside.load(SeqCst) == MAX - 1).await;
            until_that("its task has, too", || reading.iter().any(JoinHandle::is_finished)).await;
            assert_eq!(input.read_line().await?.as_deref(), Some("kept"));
            blocked.gate.open(MAX);
            for read in reading {
                read.await?;
            }
            Result::Ok(())
        });
        ran.unwrap();
    });
}

#[test]
fn one_call_after_the_other_needs_one_thread() {
    watched(|| {
        let builder = SelectorManager::builder().blocking_max(1);
        let ran = builder.run(async |selector: SelectorManager| {
            let (reader, chunks, _) = Told::new();
            let mut input = selector.blocking_reader(reader);
            for number in 0..1000 {
                chunks.send(Ok(format!("{number}\n").into_bytes())).unwrap();
                assert_eq!(input.read_line().await?, Some(number.to_string()));
                assert_eq!(selector.spawn_blocking(move || number).await?, number);
            }
            Result::Ok(())
        });
        ran.unwrap();
    });
}

#[test]
fn a_directory_that_another_program_has_locked_holds_no_thread() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let directory = Directory::new();
            let locked = File::open(directory.path()).unwrap();
            flock(&locked, FlockOperation::LockExclusive).unwrap();
            let binding: Vec<_> = (0..40)
                .map(|number| {
                    let (selector, path) = (selector.clone(), directory.join(&number.to_string()));
                    leave_stale(&path);
                    selector.clone().spawn_value(async move {
                        selector.unix().replace_stale().bind(path).await
                    })
                })
                .collect();
            // Each of them has met the lock before this is done.
            for _ in 0..40 {
                let look_up = selector.tcp().bind("localhost:0");
                selector.timeout(Duration::from_secs(5), look_up).await?.close();
            }
            assert!(binding.iter().all(|bind| !bind.is_finished()), "the lock kept none out");
            drop(locked);
            for bind in binding {
                bind.await??.close();
            }
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn closing_abandons_what_blocks() {
    watched(|| {
        let selector =
            SelectorManager::builder().drain(Duration::from_millis(5), 0).build().unwrap();
        let blocked = Blocked::default();
        let blocking: Vec<_> = (0..16)
            .map(|_| {
                let mut held = blocked.held();
                selector.spawn_blocking(move || held.read(&mut []).map(drop))
            })
            .collect();
        await_that("sixteen are inside", || blocked.inside.load(SeqCst) == 16);
        future::block_on(selector.close());
        for call in blocking {
            assert!(future::block_on(call).is_err_and(|error| error.is_cancelled()));
        }
        blocked.gate.open(16);
    });
}

/// The call that starts a function gives it to its thread. No worker has to be free for that.
#[test]
fn a_function_begins_while_every_worker_is_blocked() {
    watched(|| {
        let builder = SelectorManager::builder().workers(1).blocked_after(None);
        let selector = builder.build().unwrap();
        let (is_blocked, release, blocking) = blocking(&selector);
        is_blocked.recv().unwrap();
        let (begun, has_begun) = channel();
        let calling = selector.spawn_blocking(move || begun.send(()).unwrap());
        has_begun.recv().unwrap();
        release.send(()).unwrap();
        future::block_on(blocking).unwrap();
        future::block_on(calling).unwrap();
    });
}

/// The value of a function comes to the worker of its caller, also if another worker has fewer tasks: that one may be
/// blocked.
#[test]
fn a_value_comes_while_the_least_busy_worker_is_blocked() {
    watched(|| {
        let builder = SelectorManager::builder().workers(2).blocked_after(None);
        let ran = builder.run(async |selector: SelectorManager| {
            let tasks = [selector.spawn_here(pending()), selector.spawn_here(pending())];
            let (is_blocked, release, blocking) = blocking(&selector);
            // This worker is held up only for a moment, in which the other one has just begun to be.
            is_blocked.recv().unwrap();
            assert_eq!(selector.spawn_blocking(|| 42).await?, 42);
            assert!(!blocking.is_finished());
            release.send(()).unwrap();
            tasks.iter().for_each(JoinHandle::abort);
            blocking.await
        });
        ran.unwrap();
    });
}

/// Starts a task that blocks its worker until it is released, and tells when it does.
fn blocking(selector: &SelectorManager) -> (Receiver<()>, Sender<()>, JoinHandle<()>) {
    let (blocked, is_blocked) = channel();
    let (release, is_released) = channel();
    let task = selector.spawn(async move {
        blocked.send(()).unwrap();
        is_released.recv().unwrap();
        Ok(())
    });
    (is_blocked, release, task)
}
