//! Files and other things that block, written as channels.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{ByteWriteChannel, Error, Result, SelectorManager};
use forebay_testing::{
    Signal, alone, await_that,
    ends::{Gate, Sink, SinkWriter},
    in_host, lock, pattern, until_that, watched,
};
use futures_lite::future::{self, poll_once};

// ---- writing -------------------------------------------------------------------------------------------

#[test]
fn flush_waits_until_everything_is_written_and_flushed() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let sink = Sink::default();
            let mut output = selector.blocking_writer(sink.writer());
            let mut all = 0;
            for size in [1, 100, 65_536, 65_537, 500_000] {
                output.write_all(&pattern(size)).await?;
                output.flush().await?;
                all += size;
                let written = sink.written();
                assert_eq!((written.bytes.len(), written.flushed), (all, all));
                assert!(!written.dropped);
            }
            output.flush().await?;
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn what_is_written_is_written_out_without_being_asked() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let sink = Sink::default();
            let mut output = selector.blocking_writer(sink.writer());
            output.write_str("by itself").await?;
            until_that("it is there", || sink.written().flushed == 9).await;
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn finish_waits_for_the_last_flush_and_drops_the_writer() {
    watched(|| {
        struct Slow(SinkWriter, Gate);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.1.pass();
                self.0.flush()
            }
        }
        in_host(async |selector: SelectorManager| {
            let (sink, gate) = (Sink::default(), Gate::default());
            let mut output = selector.blocking_writer(Slow(sink.writer(), gate.clone()));
            output.write_str("all of it").await?;
            assert!(poll_once(output.finish()).await.is_none());
            until_that("it is written", || sink.written().bytes.len() == 9).await;
            assert!(poll_once(output.finish()).await.is_none(), "not flushed yet");
            gate.open(usize::MAX);
            output.finish().await?;
            {
                let written = sink.written();
                assert_eq!((written.flushed, written.dropped), (9, true));
            }
            output.finish().await?;
            assert!(output.write_str("more").await.is_err_and(|error| error.is_closed()));
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_dropped_channel_writes_out_what_it_had_accepted() {
    watched(|| {
        let sink = Sink::default();
        in_host(async |selector: SelectorManager| {
            let mut output = selector.blocking_writer(sink.writer());
            output.write_all(&pattern(300_000)).await?;
            Result::Ok(())
        })
        .unwrap();
        assert!(sink.bytes() == pattern(300_000), "something accepted was lost");
        let written = sink.written();
        assert_eq!((written.flushed, written.dropped), (300_000, true));
    });
}

#[test]
fn a_channel_that_outlives_its_selector_says_that_it_is_closed() {
    watched(|| {
        let sink = Sink::default();
        let mut output = in_host(async |selector: SelectorManager| {
            let mut output = selector.blocking_writer(sink.writer());
            output.write_str("flushed").await?;
            output.flush().await?;
            output.write_str(", and what was not").await?;
            Result::Ok(output)
        })
        .unwrap();
        assert_eq!(sink.bytes(), b"flushed, and what was not", "something accepted was lost");
        future::block_on(async {
            output.flush().await.unwrap();
            assert!(output.write_str("more").await.is_err_and(|error| error.is_closed()));
            output.finish().await.unwrap();
        });
        drop(output);
        // The thread that wrote last may still be on its way out with a handle.
        await_that("the writer is dropped", || sink.written().dropped);
    });
}

#[test]
fn an_error_of_writing_is_given_to_every_later_call() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
            }
            let count = bytes.len().min(self.0);
            self.0 -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let mut output = selector.blocking_writer(Full(100));
            output.write_all(&pattern(50)).await?;
            output.flush().await?;
            output.write_all(&pattern(100)).await?;
            let text = "blocking_writer: the disk is full";
            assert_eq!(output.flush().await.unwrap_err().to_string(), text);
            assert_eq!(output.write_str("more").await.unwrap_err().to_string(), text);
            assert_eq!(output.flush().await.unwrap_err().to_string(), text);
            assert_eq!(output.finish().await.unwrap_err().to_string(), text);
            assert!(output.is_closed_for_write());

            // A writer that waits for room is told as well.
            let mut output = selector.blocking_writer(Full(100_000));
            let error = async {
                loop {
                    output.write_all(&pattern(60_000)).await?;
                }
            };
            let error: Result<()> = error.await;
            assert_eq!(error.unwrap_err().to_string(), text);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn an_error_of_the_last_flush_is_told_by_finish() {
    struct NeverFlushes(usize);
    impl Write for NeverFlushes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            if self.0 == 0 {
                return Err(io::Error::other("no flush today"));
            }
            self.0 -= 1;
            Ok(())
        }
    }
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let mut output = selector.blocking_writer(NeverFlushes(1));
            output.write_str("written").await?;
            output.flush().await?;
            let error = output.finish().await.unwrap_err();
            assert_eq!(error.to_string(), "blocking_writer: no flush today");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_panic_of_the_writer_is_an_error_that_stays() {
    struct Panics;
    impl Write for Panics {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("expected by a test");
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let mut output = selector.blocking_writer(Panics);
            output.write_str("x").await?;
            assert!(output.flush().await.is_err_and(|error| error.is_panicked()));
            assert!(output.write_str("x").await.is_err_and(|error| error.is_panicked()));
            assert!(output.finish().await.is_err_and(|error| error.is_panicked()));
            assert_eq!(selector.spawn_blocking(|| 1).await?, 1);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_writer_waits_for_room() {
    watched(|| {
        struct Slow(Gate, SinkWriter);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.pass();
                self.1.write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        in_host(async |selector: SelectorManager| {
            let (gate, sink) = (Gate::default(), Sink::default());
            let mut output = selector.blocking_writer(Slow(gate.clone(), sink.writer()));
            let mut accepted = 0;
            let item = pattern(16 * 1024);
            while poll_once(output.write_all(&item)).await.is_some() {
                accepted += item.len();
                assert!(accepted <= 256 * 1024, "the queue has no bound");
            }
            assert_eq!(output.queued(), accepted);
            gate.open(usize::MAX);
            output.write_all(&item).await?;
            output.finish().await?;
            assert_eq!(sink.bytes().len(), accepted + item.len());
            Result::Ok(())
        })
        .unwrap();
    });
}

/// A pipe that is full until its gate opens.
struct Full(Gate);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.pass();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_flush_in_another_executor_ends_with_its_selector() {
    watched(|| {
        for end in [false, true] {
            let builder = SelectorManager::builder();
            let selector = builder.drain(Duration::from_millis(5), 0).build().unwrap();
            let gate = Gate::default();
            let mut output = selector.blocking_writer(Full(gate.clone()));
            future::block_on(output.write_str("never written")).unwrap();
            let flushing = thread::spawn(move || {
                future::block_on(async {
                    if end { output.finish().await } else { output.flush().await }
                })
            });
            future::block_on(selector.close());
            let ended = flushing.join().unwrap().unwrap_err();
            // Closing gives up what takes nothing; behind that nothing is accepted.
            assert!(ended.is_timeout() || ended.is_closed(), "{ended}");
            gate.open(usize::MAX);
        }
    });
}

#[test]
fn a_closing_selector_answers_a_wait_for_room_with_closed() {
    watched(|| {
        let builder = SelectorManager::builder().clock(TestClock::new());
        let selector = builder.drain(Duration::from_secs(3600), 0).build().unwrap();
        let gate = Gate::default();
        selector.block_on(async {
            let mut output = selector.blocking_writer(Full(gate.clone()));
            let waits = Signal::new();
            let begun = waits.clone();
            let writing = selector.spawn_value(async move {
                while poll_once(output.write_all(&[0; 16 * 1024])).await.is_some() {}
                begun.set();
                let refused = output.write_str("one more").await;
                gate.open(usize::MAX);
                refused
            });
            waits.await;
            selector.close().await;
            let refused = writing.await.unwrap().unwrap_err();
            assert!(refused.is_closed(), "{refused}");
        });
    });
}

// ---- writers that do more than write -------------------------------------------------------------------

/// Uses the selector whenever it is called, and when it is dropped.
struct Reentrant {
    selector: SelectorManager,
    sink: SinkWriter,
}

impl Reentrant {
    fn use_selector(&self) {
        self.selector.stats();
        self.selector.spawn(async { Ok(()) }).detach();
        assert_eq!(self.selector.block_on(async { 42 }), 42);
        let value = future::block_on(self.selector.spawn_value(async { 1 }));
        assert!(value.is_ok_and(|value| value == 1));
    }
}

impl Write for Reentrant {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.use_selector();
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.use_selector();
        self.sink.flush()
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.selector.stats();
        self.selector.spawn(async { Ok(()) }).detach();
        self.selector.blocking_writer(io::sink());
    }
}

#[test]
fn a_writer_may_use_the_selector_it_is_written_by() {
    watched(|| {
        let sink = Sink::default();
        in_host(async |selector: SelectorManager| {
            for finish in [true, false] {
                let writer = Reentrant { selector: selector.clone(), sink: sink.writer() };
                let mut output = selector.blocking_writer(writer);
                output.write_str("ping").await?;
                output.flush().await?;
                output.write_str("pong").await?;
                if finish {
                    output.finish().await?;
                }
            }
            // One that is never written to.
            let writer = Reentrant { selector: selector.clone(), sink: sink.writer() };
            drop(selector.blocking_writer(writer));
            // And one that fails half-way.
            let writer = Reentrant { selector: selector.clone(), sink: sink.writer() };
            let mut output = selector.blocking_writer(writer);
            output.abort_with(Error::other("enough"));
            drop(output);
            until_that("all of it is written", || sink.written().bytes.len() == 16).await;
            Result::Ok(())
        })
        .unwrap();
        assert_eq!(sink.bytes(), b"pingpongpingpong");
    });
}

/// Looks at its own channel when it is dropped.
struct LooksBack(Arc<Mutex<Option<ByteWriteChannel>>>);

impl Write for LooksBack {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LooksBack {
    fn drop(&mut self) {
        // Not a lock of ours: free, or held by the test's own statement.
        if let Ok(channel) = self.0.try_lock()
            && let Some(channel) = &*channel
        {
            channel.queued();
            channel.is_closed_for_write();
        }
    }
}

#[test]
fn a_writer_that_is_refused_a_thread_is_dropped_without_a_lock() {
    watched(|| {
        let selector = SelectorManager::new();
        let kept = Arc::new(Mutex::new(None));
        selector.block_on(async {
            let mut output = selector.blocking_writer(LooksBack(Arc::clone(&kept)));
            output.write_str("x").await.unwrap();
            *lock(&kept) = Some(output);
            // What was written is sent at the end of this turn, when the pool is closed already.
            selector.close().await;
        });
        let output = lock(&kept).take();
        drop(output);
    });
}

#[test]
fn a_writer_that_panics_when_it_is_dropped_harms_nobody() {
    struct Grenade;
    impl Write for Grenade {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("expected by a test");
        }
    }
    alone("a_writer_that_panics_when_it_is_dropped_harms_nobody", || {
        in_host(async |selector: SelectorManager| {
            let mut output = selector.blocking_writer(Grenade);
            output.write_str("x").await?;
            assert!(output.finish().await.is_err_and(|error| error.is_panicked()));
            assert_eq!(selector.spawn_value(async { "alive" }).await?, "alive");
            Result::Ok(())
        })
        .unwrap();
    });
}
