//! The selector: running and blocking.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use forebay::{Error, ErrorKind, Result, SelectorManager};
use forebay_testing::{
    Signal, await_that, connect_to_std, connected, counted_alone, descriptors, lock, panic_text,
    watched, worker_threads,
};
use futures_lite::future::{self, pending, poll_once, yield_now};

// ---- run -----------------------------------------------------------------------------------------------

#[test]
fn run_returns_the_value_of_main() {
    watched(|| {
        let value = forebay::run(async |_| Result::Ok("value"));
        assert_eq!(value.unwrap(), "value");
        let error = forebay::run(async |_| Result::<()>::Err(Error::other("no")));
        assert_eq!(error.unwrap_err().to_string(), "no");
        // What main borrows is given back.
        let mut seen = Vec::new();
        forebay::run(async |_| {
            seen.push(1);
            Result::Ok(())
        })
        .unwrap();
        assert_eq!(seen, [1]);
    });
}

#[test]
fn run_takes_any_error_that_is_made_from_ours() {
    #[derive(Debug)]
    enum Mine {
        Number(std::num::ParseIntError),
        Network(ErrorKind),
    }
    impl From<Error> for Mine {
        fn from(error: Error) -> Self {
            Self::Network(error.kind())
        }
    }
    impl From<std::num::ParseIntError> for Mine {
        fn from(error: std::num::ParseIntError) -> Self {
            Self::Number(error)
        }
    }
    watched(|| {
        let number = forebay::run(async |_| -> std::result::Result<(), Mine> {
            "x".parse::<u8>()?;
            Ok(())
        });
        assert!(matches!(number, Err(Mine::Number(error)) if !error.to_string().is_empty()));
        let network = forebay::run(async |selector: SelectorManager| {
            selector.tcp().bind("no address").await?;
            std::result::Result::<(), Mine>::Ok(())
        });
        assert!(matches!(network, Err(Mine::Network(ErrorKind::InvalidInput))), "{network:?}");
        let boxed = forebay::run(
            async |_| -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
                Err("boxed")?
            },
        );
        assert_eq!(boxed.unwrap_err().to_string(), "boxed");
    });
}

#[test]
fn run_closes_before_it_returns() {
    watched(|| {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&ended);
        let (kept, address) = forebay::run(async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let address = server.local_address();
            // A handler that is still waiting when main ends is told, and ends by itself.
            let waiting = Signal::new();
            let waits = waiting.clone();
            let note = Arc::clone(&notes);
            selector
                .spawn(async move {
                    waits.set();
                    let error = server.accept().await.unwrap_err();
                    lock(&note).push(error.kind());
                    Ok(())
                })
                .detach();
            waiting.await;
            Result::Ok((selector.clone(), address))
        })
        .unwrap();
        assert_eq!(*lock(&ended), [ErrorKind::Closed]);
        let stats = kept.stats();
        assert_eq!((stats.tasks, stats.sockets, stats.timers, stats.blocks), (0, 0, 0, 0));
        assert!(TcpStream::connect(address.as_inet().unwrap()).is_err(), "still listening");
        let refused = future::block_on(kept.spawn(async { Ok(()) }));
        assert!(refused.is_err_and(|error| error.is_closed()));
    });
}

#[test]
fn a_panic_of_main_goes_on_and_leaves_nothing_running() {
    counted_alone("a_panic_of_main_goes_on_and_leaves_nothing_running", || {
        let before = descriptors();
        let text = panic_text(|| {
            forebay::run(async |selector: SelectorManager| -> Result<()> {
                let (_client, server, listener) = connected(&selector).await?;
                let mut input = server.input;
                selector.spawn(async move { input.read_line().await.map(drop) }).detach();
                selector.spawn(async move { listener.accept().await.map(drop) }).detach();
                yield_now().await;
                panic!("expected by a test");
            })
            .unwrap();
        });
        assert_eq!(text, "expected by a test");
        // What was running is woken with Closed by a thread of its own, which then ends.
        await_that("the worker ends", || worker_threads() == 0);
        await_that("descriptors are released", || descriptors() == before);
        // The thread is free for another run.
        forebay::run(async |_| Result::Ok(())).unwrap();
    });
}

#[test]
fn a_panic_of_main_is_not_held_up_by_a_task_that_never_ends() {
    watched(|| {
        let text = panic_text(|| {
            forebay::run(async |selector: SelectorManager| -> Result<()> {
                selector.spawn_value(pending::<()>()).detach();
                panic!("expected by a test");
            })
            .unwrap();
        });
        assert_eq!(text, "expected by a test");
    });
}

// ---- block_on ------------------------------------------------------------------------------------------

#[test]
fn block_on_leaves_the_selector_open_and_tasks_go_on_behind_it() {
    watched(|| {
        let selector = SelectorManager::new();
        let served = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&served);
        let address = selector.block_on(async {
            let listener = selector.tcp().bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_address();
            selector
                .spawn(async move {
                    loop {
                        let mut connection = listener.accept().await?.connection()?;
                        let line = connection.input.read_line().await?.unwrap_or_default();
                        connection.output.write_str(&format!("Hello, {line}!\n")).await?;
                        counted.fetch_add(1, SeqCst);
                    }
                })
                .detach();
            address.as_inet().unwrap()
        });
        // No thread is inside block_on now.
        for _ in 0..10 {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"Ada\n").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "Hello, Ada!\n");
        }
        assert_eq!(served.load(SeqCst), 10);
        assert_eq!(selector.block_on(async { "again" }), "again");
        future::block_on(selector.close());
    });
}

#[test]
fn block_on_takes_what_borrows_and_what_is_not_send() {
    watched(|| {
        let selector = SelectorManager::new();
        let local = std::rc::Rc::new(std::cell::Cell::new(1));
        let sum = selector.block_on(async {
            let other = selector.spawn_value(async { 41 });
            local.get() + other.await.unwrap()
        });
        assert_eq!(sum, 42);
    });
}

#[test]
fn block_on_runs_beside_a_worker_that_another_thread_drives() {
    watched(|| {
        let selector = SelectorManager::new();
        // A task starts the selector's own thread.
        let go = Signal::new();
        let gone = go.clone();
        let task = selector.spawn_value(async move {
            gone.await;
            thread::current().name().map(str::to_owned)
        });
        selector.block_on(async {
            let (mut client, mut server, _listener) = connected(&selector).await.unwrap();
            for _ in 0..100 {
                client.output.write_str("ping\n").await.unwrap();
                assert_eq!(server.input.read_line().await.unwrap().as_deref(), Some("ping"));
                server.output.write_str("pong\n").await.unwrap();
                assert_eq!(client.input.read_line().await.unwrap().as_deref(), Some("pong"));
            }
            forebay::sleep(Duration::from_millis(1)).await;
            assert_eq!(forebay::spawn_value(async { 1 }).await.unwrap(), 1);
            go.set();
            assert_eq!(task.await.unwrap().as_deref(), Some("forebay-worker"));
        });
    });
}

#[test]
fn two_threads_block_on_one_selector_and_talk_to_each_other() {
    const LINES: usize = 2000;
    watched(|| {
        for _ in 0..5 {
            let selector = SelectorManager::new();
            let (tell, told) = mpsc::channel();
            let serving = selector.clone();
            let server = thread::spawn(move || {
                serving.block_on(async {
                    let server = serving.tcp().bind("127.0.0.1:0").await.unwrap();
                    tell.send(server.local_address()).unwrap();
                    let mut connection = server.accept().await.unwrap().connection().unwrap();
                    while let Some(line) = connection.input.read_line().await.unwrap() {
                        connection.output.write_strs(&[&line, "\n"]).await.unwrap();
                    }
                    connection.output.finish().await.unwrap();
                });
            });
            let address = told.recv().unwrap();
            selector.block_on(async {
                let client = selector.tcp().connect(address).await.unwrap();
                let mut connection = client.connection().unwrap();
                for number in 0..LINES {
                    let line = number.to_string();
                    connection.output.write_strs(&[&line, "\n"]).await.unwrap();
                    assert_eq!(connection.input.read_line().await.unwrap(), Some(line));
                }
                connection.output.finish().await.unwrap();
                assert_eq!(connection.input.read_line().await.unwrap(), None);
            });
            server.join().unwrap();
        }
    });
}

#[test]
fn threads_that_take_turns_at_the_worker_lose_no_wake_up() {
    const ROUNDS: usize = 100_000;
    watched(|| {
        let selector = SelectorManager::new();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let selector = selector.clone();
                thread::spawn(move || {
                    // Wakes from a thread that drives nothing.
                    let (wanted, wants) = mpsc::channel::<Signal>();
                    let waker = thread::spawn(move || {
                        for signal in wants {
                            signal.set();
                        }
                    });
                    for round in 0..ROUNDS {
                        let signal = Signal::new();
                        if round % 2 == 0 {
                            wanted.send(signal.clone()).unwrap();
                            selector.block_on(signal);
                        } else {
                            selector.block_on(yield_now());
                        }
                    }
                    drop(wanted);
                    waker.join().unwrap();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn what_block_on_wrote_is_sent_before_it_returns() {
    watched(|| {
        let selector = SelectorManager::new();
        let (socket, mut peer) = connect_to_std(&selector);
        let mut output = socket.open_write_channel().unwrap();
        peer.set_nonblocking(true).unwrap();
        let mut bytes = [0; 16];
        for _ in 0..100 {
            selector.block_on(async { output.write_str("ping").await }).unwrap();
            // On loopback what was sent is there.
            assert_eq!(peer.read(&mut bytes).unwrap(), 4);
            assert_eq!(output.queued(), 0);
        }
        assert_eq!(selector.stats().sends, 100);
    });
}

#[test]
fn what_a_task_wrote_in_the_last_turn_is_sent_before_block_on_returns() {
    watched(|| {
        let selector = SelectorManager::new();
        let (socket, mut peer) = connect_to_std(&selector);
        let mut output = socket.open_write_channel().unwrap();
        let output = selector.block_on(async {
            let task = selector.spawn_value(async move {
                output.write_str("ping").await.unwrap();
                output
            });
            task.await.unwrap()
        });
        peer.set_nonblocking(true).unwrap();
        let mut bytes = [0; 16];
        assert_eq!(peer.read(&mut bytes).unwrap(), 4);
        drop(output);
    });
}

#[test]
fn what_was_written_outside_of_any_turn_is_sent_at_once() {
    watched(|| {
        let selector = SelectorManager::new();
        let (socket, mut peer) = connect_to_std(&selector);
        let mut output = socket.open_write_channel().unwrap();
        future::block_on(output.write_str("ping")).unwrap();
        let mut bytes = [0; 16];
        assert_eq!(peer.read(&mut bytes).unwrap(), 4);
    });
}

#[test]
fn nested_block_on_and_run_panic_and_say_what_to_do() {
    const SENTENCE: &str = "forebay::run and SelectorManager::block_on cannot be called from \
        inside each other or from a task: the thread would wait for itself; await the future \
        instead";
    watched(|| {
        let (selector, other) = (SelectorManager::new(), SelectorManager::new());
        selector.block_on(async {
            assert_eq!(panic_text(|| selector.block_on(async {})), SENTENCE);
            assert_eq!(panic_text(|| other.block_on(async {})), SENTENCE);
            let run = || forebay::run(async |_| Result::Ok(())).unwrap();
            assert_eq!(panic_text(run), SENTENCE);
        });
        forebay::run(async |inner: SelectorManager| {
            assert_eq!(panic_text(|| inner.block_on(async {})), SENTENCE);
            assert_eq!(panic_text(|| other.block_on(async {})), SENTENCE);
            Result::Ok(())
        })
        .unwrap();
        // Beside a worker too.
        let go = Signal::new();
        let task = selector.spawn_value(go.clone());
        selector.block_on(async {
            assert_eq!(panic_text(|| selector.block_on(async {})), SENTENCE);
            assert_eq!(panic_text(|| other.block_on(async {})), SENTENCE);
            go.set();
            task.await.unwrap();
        });
    });
}

#[test]
fn a_nested_call_that_panicked_costs_neither_selector_its_worker() {
    watched(|| {
        let (selector, other) = (SelectorManager::new(), SelectorManager::new());
        selector.block_on(async {
            panic_text(|| other.block_on(async {}));
        });
        for used in [&selector, &other] {
            used.block_on(async {
                used.sleep(Duration::from_millis(1)).await;
                assert_eq!(used.spawn_value(async { 1 }).await.unwrap(), 1);
            });
            assert_eq!(future::block_on(used.spawn_value(async { 2 })).unwrap(), 2);
            future::block_on(used.sleep(Duration::from_millis(1)));
        }
    });
}

#[test]
fn a_panic_inside_block_on_costs_no_task_its_wake_up() {
    watched(|| {
        // A task waits for room to write. The main future makes room, and panics in the turn in
        // which the worker hears of it; which turn that is, is tried out.
        for turns in 0..6 {
            let selector = SelectorManager::new();
            let (socket, mut peer) = connect_to_std(&selector);
            peer.set_nonblocking(true).unwrap();
            let mut output = socket.open_write_channel().unwrap();
            let mut task = None;
            let text = panic_text(|| {
                selector.block_on(async {
                    let full = Signal::new();
                    let is_full = full.clone();
                    task = Some(selector.spawn_value(async move {
                        let item = vec![7; 256 * 1024];
                        loop {
                            let mut write = pin!(output.write_all(&item));
                            if poll_once(write.as_mut()).await.is_none() {
                                is_full.set();
                                return write.await;
                            }
                            yield_now().await;
                        }
                    }));
                    full.await;
                    drain(&mut peer);
                    for _ in 0..turns {
                        yield_now().await;
                    }
                    panic!("expected by a test");
                });
            });
            assert_eq!(text, "expected by a test");
            // The selector's own thread goes on with the task.
            let task = task.unwrap();
            await_that("the task goes on", || {
                drain(&mut peer);
                task.is_finished()
            });
            future::block_on(task).unwrap().unwrap();
        }
    });
}

/// Reads whatever there is.
fn drain(peer: &mut TcpStream) {
    let mut sink = vec![0; 1024 * 1024];
    while peer.read(&mut sink).is_ok_and(|count| count > 0) {}
}
