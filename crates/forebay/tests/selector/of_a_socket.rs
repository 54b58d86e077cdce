//! A socket tells its selector, without keeping it open and without opening it again.

use forebay::{ErrorKind, Result, SelectorManager};
use forebay_testing::{await_that, run, until_at_rest, watched};
use futures_lite::future::block_on;

#[test]
fn it_starts_tasks_and_waits_there() {
    run(async |selector| {
        let (left, mut right) = selector.duplex(64);
        let tasks = left.socket.selector();
        let mut output = left.output;
        let writing = tasks.spawn(async move { output.write_str("hello\n").await });
        assert_eq!(right.input.read_line().await?.as_deref(), Some("hello"));
        writing.await
    });
}

#[test]
fn a_socket_does_not_keep_its_selector_open_and_its_selector_does() {
    watched(|| {
        let selector = SelectorManager::new();
        let (left, _right) = selector.duplex(64);
        let also = left.socket.selector();
        drop(selector);
        assert_eq!(also.block_on(also.spawn_value(async { 1 })).unwrap(), 1, "one user is left");
        drop(also);
        await_that("closed with its last user", || left.socket.has_peer_finished());
    });
}

/// Whatever is done with it, and however often it is asked for.
#[test]
fn a_closed_selector_stays_closed() {
    watched(|| {
        let selector = SelectorManager::new();
        let (mut left, _right) = selector.duplex(64);
        drop(selector);
        for _ in 0..3 {
            let again = left.socket.selector();
            let refused = again.spawn(async { Ok(()) });
            let error = block_on(refused).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            let refused = block_on(again.tcp().bind("127.0.0.1:0")).map(drop).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
            block_on(again.close());
        }
        assert!(block_on(left.input.read_line()).unwrap_err().is_closed());
    });
}

#[test]
fn it_is_the_same_selector() {
    run(async |selector| {
        let (left, _right) = selector.duplex(64);
        let other = SelectorManager::new();
        let (there, _end) = other.duplex(64);
        let task = selector.spawn_value(std::future::pending::<()>());
        assert_eq!(left.socket.selector().stats().tasks, 1);
        assert_eq!(there.socket.selector().stats().tasks, 0);
        task.abort();
        until_at_rest(&selector, 0).await;
        Result::Ok(())
    });
}
