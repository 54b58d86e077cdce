//! The threads that block: bounded, and never in the way of an end.

#![allow(clippy::unwrap_used, missing_docs)]

mod vocabulary;

use std::io::{self, PipeReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forebay::{Result, SelectorManager};
use futures_lite::future::{self, poll_once, yield_now};
use vocabulary::ends::Gate;
use vocabulary::{OnDrop, alone, await_that, child, until, watched};

#[test]
fn sixteen_threads_block_at_most() {
    const READERS: usize = 40;
    watched(|| {
        struct Counted {
            gate: Gate,
            inside: Arc<AtomicUsize>,
            most: Arc<AtomicUsize>,
        }
        impl Read for Counted {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                let inside = self.inside.fetch_add(1, SeqCst) + 1;
                self.most.fetch_max(inside, SeqCst);
                self.gate.pass();
                self.inside.fetch_sub(1, SeqCst);
                Ok(0)
            }
        }
        let (gate, inside) = (Gate::default(), Arc::<AtomicUsize>::default());
        let most = Arc::<AtomicUsize>::default();
        forebay::run(async |selector: SelectorManager| {
            let tasks: Vec<_> = (0..READERS)
                .map(|_| {
                    let mut input = selector.blocking_reader(Counted {
                        gate: gate.clone(),
                        inside: Arc::clone(&inside),
                        most: Arc::clone(&most),
                    });
                    selector.spawn(async move { input.read_line().await.map(drop) })
                })
                .collect();
            until("sixteen are inside", || inside.load(SeqCst) == 16).await;
            // A call more has to wait, like everything else that blocks.
            let waiting = selector.spawn_blocking(|| ());
            for _ in 0..1000 {
                yield_now().await;
            }
            assert_eq!(inside.load(SeqCst), 16);
            assert!(!waiting.is_finished());
            gate.open(READERS);
            for task in tasks {
                task.await?;
            }
            waiting.await
        })
        .unwrap();
        assert_eq!(most.load(SeqCst), 16);
    });
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
                until("both read", || reading.load(SeqCst) == 2).await;
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
        forebay::run(async |selector: SelectorManager| {
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
fn closing_drops_what_waits_for_a_thread_and_abandons_what_blocks() {
    watched(|| {
        let selector =
            SelectorManager::builder().drain(Duration::from_millis(5), 0).build().unwrap();
        let gate = Gate::default();
        let (inside, dropped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let blocking: Vec<_> = (0..16)
            .map(|_| {
                let (gate, inside) = (gate.clone(), Arc::clone(&inside));
                selector.spawn_blocking(move || {
                    inside.fetch_add(1, SeqCst);
                    gate.pass();
                })
            })
            .collect();
        await_that("sixteen are inside", || inside.load(SeqCst) == 16);
        let counted = Arc::clone(&dropped);
        let note = OnDrop(move || {
            counted.fetch_add(1, SeqCst);
        });
        let waiting = selector.spawn_blocking(move || drop(note));
        future::block_on(selector.close());
        let waited = future::block_on(waiting).unwrap_err();
        assert!(waited.is_cancelled(), "{waited}");
        assert_eq!(dropped.load(SeqCst), 1);
        for call in blocking {
            assert!(future::block_on(call).is_err_and(|error| error.is_cancelled()));
        }
        gate.open(16);
    });
}
