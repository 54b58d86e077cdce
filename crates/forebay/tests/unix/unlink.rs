//! The path of a Unix listener goes with it, and with nothing else.

#![cfg(target_os = "linux")]

use std::env::set_current_dir;
use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use forebay::{SelectorManager, ServerSocket};
use forebay_testing::{
    alone, await_that, in_host,
    unix::{Directory, leave_stale},
    until_that, watched,
};
use futures_lite::future::poll_once;

fn run(test: impl AsyncFnOnce(SelectorManager) -> forebay::Result<()> + Send + 'static) {
    watched(|| in_host(test)).unwrap();
}

#[test]
fn on_close_which_is_idempotent() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = selector.unix().bind(&path).await?;
        let clone = server.clone();
        assert!(path.exists());
        server.close();
        assert!(!path.exists());
        clone.close();
        server.close();
        Ok(())
    });
}

#[test]
fn on_the_drop_of_the_last_clone() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = selector.unix().bind(&path).await?;
        let clone = server.clone();
        drop(server);
        UnixStream::connect(&path).unwrap();
        drop(clone);
        assert!(!path.exists());
        Ok(())
    });
}

#[test]
fn when_the_run_ends_under_a_task_that_accepts() {
    let directory = Directory::new();
    let path = directory.join("server");
    let at = path.clone();
    run(async move |selector| {
        let server = selector.unix().bind(&at).await?;
        selector.spawn(async move { server.accept().await.map(drop) }).detach();
        UnixStream::connect(&at).unwrap();
        Ok(())
    });
    assert!(!path.exists());
}

/// Its handle is of no use any more, wherever it is still held.
#[test]
fn when_its_selector_closes() {
    run(async |_| {
        let directory = Directory::new();
        let path = directory.join("server");
        let selector = SelectorManager::new();
        let server = selector.unix().bind(&path).await?;
        selector.close().await;
        assert!(!path.exists());
        server.closed().await;
        assert!(server.is_closed());
        assert!(server.accept().await.unwrap_err().is_closed());
        Ok(())
    });
}

#[test]
fn not_before_the_end_of_an_accepted_connection_and_not_by_it() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = selector.unix().bind(&path).await?;
        let mut client = selector.unix().connect(&path).await?.connection()?;
        let mut accepted = server.accept().await?.connection()?;
        accepted.socket.clone().close_within(std::time::Duration::ZERO).await.ok();
        drop(accepted);
        assert!(path.exists());

        // And the other way about: connections outlive the path.
        let mut other = selector.unix().connect(&path).await?.connection()?;
        accepted = server.accept().await?.connection()?;
        drop(server);
        assert!(!path.exists());
        other.output.write_str("still here\n").await?;
        assert_eq!(accepted.input.read_line().await?.as_deref(), Some("still here"));
        assert_eq!(client.input.read_line().await?, None);
        Ok(())
    });
}

#[test]
fn not_when_somebody_has_replaced_it() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        for by_close in [true, false] {
            let server = selector.unix().bind(&path).await?;
            fs::remove_file(&path).unwrap();
            let _foreign = UnixListener::bind(&path).unwrap();
            end(server, by_close);
            UnixStream::connect(&path).unwrap();
            fs::remove_file(&path).unwrap();

            let server = selector.unix().bind(&path).await?;
            fs::remove_file(&path).unwrap();
            fs::write(&path, "precious").unwrap();
            end(server, by_close);
            assert_eq!(fs::read(&path).unwrap(), b"precious");
            fs::remove_file(&path).unwrap();
        }
        Ok(())
    });
}

fn end(server: ServerSocket, by_close: bool) {
    if by_close {
        server.close();
    } else {
        drop(server);
    }
}

/// A file system gives the number of a removed file to the next one. What was removed at the close
/// is not looked for again at the drop.
#[test]
fn not_its_successors_after_a_close() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        for _ in 0..10 {
            let old = selector.unix().bind(&path).await?;
            old.close();
            let new = selector.unix().bind(&path).await?;
            old.close();
            drop(old);
            UnixStream::connect(&path).expect("the new server's path is its own");
            drop(new);
        }
        Ok(())
    });
}

#[test]
fn after_a_change_of_the_working_directory() {
    // A process has one working directory.
    alone("after_a_change_of_the_working_directory", || {
        run(async |selector| {
            let (here, elsewhere) = (Directory::new(), Directory::new());
            set_current_dir(here.path()).unwrap();
            let server = selector.unix().replace_stale().bind("server").await?;
            selector.unix().connect("server").await?;
            set_current_dir(elsewhere.path()).unwrap();
            leave_stale(Path::new("server"));
            drop(server);
            assert!(!here.join("server").exists());
            assert!(elsewhere.join("server").exists(), "the same name, and another file");
            set_current_dir("/").unwrap();
            Ok(())
        });
    });
}

#[test]
fn after_a_panic_of_the_task_that_owns_it() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = selector.unix().bind(&path).await?;
        let serving = selector.spawn_value::<()>(async move {
            let accepted = server.accept().await;
            panic!("with {accepted:?} and its listener in hand");
        });
        UnixStream::connect(&path).unwrap();
        let error = serving.await.unwrap_err();
        assert_eq!(error.kind(), forebay::ErrorKind::Panicked, "{error}");
        assert_eq!(directory.names(), [""; 0]);
        until_that("all is released", || selector.stats().sockets == 0).await;
        Ok(())
    });
}

/// Nor does a call of `bind` that is dropped on its way, wherever it had got to.
#[test]
fn after_a_dropped_bind() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        for _ in 0..50 {
            leave_stale(&path);
            let mut binding = Box::pin(selector.unix().replace_stale().bind(&path));
            poll_once(&mut binding).await;
            drop(binding);
            // It has got there, or was not begun: the next one waits for its lock on the directory.
            let server = selector.unix().replace_stale().bind(&path).await;
            drop(server);
        }
        let left = selector.clone();
        selector.close().await;
        await_that("the path is gone", || !path.exists());
        assert_eq!(left.stats().sockets, 0);
        Ok(())
    });
}
