//! The runtime ends while futures wait elsewhere: the waits go on, on a thread of the worker's own.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use forebay::{CloseReason, Connection, Result, SelectorManager};
use forebay_testing::{KIB, alone, watched, worker_threads};
use futures_lite::future::block_on;
use tokio::runtime::Runtime;

use crate::support::{current_thread, multi_thread, pair, used_pair};

/// Polls a future once inside the runtime; it must wait there.
fn begin<F: Future>(runtime: &Runtime, future: Pin<&mut F>) {
    let mut future = future;
    runtime.block_on(poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    }));
}

fn after_each(name: &str, test: impl Fn(Runtime, &SelectorManager) + Copy + Send + 'static) {
    alone(name, || {
        for runtime in [current_thread, multi_thread] {
            watched(move || test(runtime(), &SelectorManager::new()));
        }
    });
}

fn pair_in(runtime: &Runtime, selector: &SelectorManager) -> (Connection, Connection) {
    runtime.block_on(pair(selector)).unwrap()
}

#[test]
fn a_read_goes_on() {
    after_each("a_read_goes_on", |runtime, selector| {
        let (mut near, mut far) = pair_in(&runtime, selector);
        let mut reading = pin!(far.input.read_line());
        begin(&runtime, reading.as_mut());
        drop(runtime);
        block_on(near.output.write_str("hello\n")).unwrap();
        assert_eq!(block_on(reading).unwrap().as_deref(), Some("hello"));
        block_on(selector.close());
    });
}

#[test]
fn a_write_goes_on() {
    after_each("a_write_goes_on", |runtime, selector| {
        let (mut near, mut far) = pair_in(&runtime, selector);
        let filled = vec![1; 20_000 * KIB];
        let all = filled.len();
        runtime.block_on(near.output.write_bytes(filled.into())).unwrap();
        let Connection { mut output, .. } = near;
        let mut flushing = pin!(output.finish());
        begin(&runtime, flushing.as_mut());
        drop(runtime);
        let (flushed, received) =
            block_on(futures_lite::future::zip(flushing, far.input.read_remaining(all)));
        flushed.unwrap();
        assert_eq!(received.unwrap().len(), all);
        block_on(selector.close());
    });
}

#[test]
fn an_accept_goes_on() {
    after_each("an_accept_goes_on", |runtime, selector| {
        let server = runtime.block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        let mut accepting = pin!(server.accept());
        begin(&runtime, accepting.as_mut());
        drop(runtime);
        let peer = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        let accepted = block_on(accepting).unwrap();
        drop(peer);
        drop(accepted);
        block_on(selector.close());
    });
}

#[test]
fn a_wait_for_the_end_goes_on() {
    after_each("a_wait_for_the_end_goes_on", |runtime, selector| {
        let (near, far) = pair_in(&runtime, selector);
        let mut closed = pin!(near.socket.closed());
        begin(&runtime, closed.as_mut());
        drop(runtime);
        far.socket.abort();
        assert_eq!(block_on(closed), CloseReason::Reset);
        block_on(selector.close());
    });
}

#[test]
fn a_sleep_goes_on() {
    after_each("a_sleep_goes_on", |runtime, selector| {
        let mut sleeping = {
            let _inside = runtime.enter();
            pin!(selector.sleep(Duration::from_millis(30)))
        };
        begin(&runtime, sleeping.as_mut());
        drop(runtime);
        block_on(sleeping);
        assert_eq!(selector.stats().timers, 0);
        block_on(selector.close());
    });
}

/// A closed selector ends what waits after its runtime, each once, with `Closed`.
#[test]
fn closing_the_selector_ends_what_is_left() {
    after_each("closing_the_selector_ends_what_is_left", |runtime, selector| {
        let (near, far) = pair_in(&runtime, selector);
        let Connection { mut input, mut output, socket, .. } = near;
        let server = runtime.block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        runtime.block_on(output.write_bytes(vec![1; 20_000 * KIB].into())).unwrap();
        let mut reading = pin!(input.read_line());
        let mut writing = pin!(output.flush());
        let mut accepting = pin!(server.accept());
        let mut closed = pin!(socket.closed());
        begin(&runtime, reading.as_mut());
        begin(&runtime, writing.as_mut());
        begin(&runtime, accepting.as_mut());
        begin(&runtime, closed.as_mut());
        drop(runtime);
        far.socket.abort();
        drop(far);
        let other = selector.clone();
        let closing = std::thread::spawn(move || block_on(other.close()));
        assert!(block_on(accepting).is_err_and(|error| error.is_closed()));
        block_on(reading).unwrap_err();
        block_on(writing).unwrap_err();
        block_on(closed);
        closing.join().unwrap();
    });
}

/// A socket of one runtime is used in another, and on a worker of the selector. Both ends have been waited for
/// in the first: they belong to it.
#[test]
fn a_socket_outlives_its_runtime() {
    after_each("a_socket_outlives_its_runtime", |runtime, selector| {
        let (mut near, mut far) = runtime.block_on(used_pair(selector)).unwrap();
        let mut greet = async || -> Result<()> {
            near.output.write_str("hello\n").await?;
            assert_eq!(far.input.read_line().await?.as_deref(), Some("hello"));
            far.output.write_str("hi\n").await?;
            assert_eq!(near.input.read_line().await?.as_deref(), Some("hi"));
            Ok(())
        };
        runtime.block_on(greet()).unwrap();
        drop(runtime);
        let (a, b) = (current_thread(), multi_thread());
        for _ in 0..3 {
            a.block_on(greet()).unwrap();
            b.block_on(greet()).unwrap();
            selector.block_on(greet()).unwrap();
            block_on(greet()).unwrap();
        }
        a.block_on(async { tokio::try_join!(near.socket.close(), far.socket.close()) }).unwrap();
        block_on(selector.close());
    });
}

/// Tasks that wait are dropped with their runtime, and their connections with them.
#[test]
fn tasks_are_dropped_with_their_runtime() {
    after_each("tasks_are_dropped_with_their_runtime", |runtime, selector| {
        for _ in 0..20 {
            let (mut near, far) = pair_in(&runtime, selector);
            let server = runtime.block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
            runtime.spawn(async move { near.input.read_line().await });
            runtime.spawn(async move { far.socket.closed().await });
            runtime.spawn(async move { server.accept().await.map(drop) });
            runtime.spawn(selector.sleep(Duration::from_secs(3600)));
        }
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        forebay_testing::wait_for(|| selector.stats().sockets == 0);
        assert_eq!(selector.stats().timers, 0);
        block_on(selector.close());
        forebay_testing::wait_for(|| worker_threads() == 0);
    });
}

/// A sleep that is dropped keeps no thread until its deadline.
#[test]
fn a_dropped_sleep_ends_what_drove_it() {
    after_each("a_dropped_sleep_ends_what_drove_it", |runtime, selector| {
        let mut sleeping = {
            let _inside = runtime.enter();
            Box::pin(selector.sleep(Duration::from_secs(3600)))
        };
        begin(&runtime, sleeping.as_mut());
        drop(runtime);
        forebay_testing::wait_for(|| worker_threads() == 1);
        drop(sleeping);
        forebay_testing::wait_for(|| worker_threads() == 0);
        block_on(selector.close());
    });
}
