//! Panics of tasks: each ends its task alone.

use std::panic::panic_any;
use std::pin::Pin;
use std::task::{Context, Poll};

use forebay::{Error, Fault, Result, SelectorManager};
use forebay_testing::{alone, in_host, settle, until_that, watched};
use futures_lite::future::yield_now;

#[test]
fn a_panic_ends_its_task_alone_and_its_text_is_in_the_error() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let innocent = selector.spawn_value(async {
                settle().await;
                "alive"
            });
            let literal = selector.spawn(async { panic!("a literal") });
            let error = literal.await.unwrap_err();
            assert!(error.is_panicked());
            assert_eq!(error.kind().fault(), Fault::Caller);
            assert!(error.to_string().contains("a literal"), "{error}");

            let number = 7;
            let formatted = selector.spawn_value(async move { panic!("number {number}") });
            let error = formatted.await.map(|(): ()| ()).unwrap_err();
            assert!(error.to_string().contains("number 7"), "{error}");

            let value = selector.spawn_value(async { panic_any(7_u8) });
            assert!(value.await.is_err_and(|error: Error| error.is_panicked()));
            assert_eq!(innocent.await?, "alive");
            assert_eq!(selector.stats().tasks, 0);
            Result::Ok(())
        })
    })
    .unwrap();
}

/// A future that is done at once and panics when it is dropped.
struct PanicsInDrop(Poll<()>);

impl Future for PanicsInDrop {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.map(Ok)
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("expected by a test: in drop");
    }
}

/// A value that panics when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("expected by a test: a value's drop");
    }
}

#[test]
fn a_task_that_panics_in_drop_ends_alone() {
    alone("a_task_that_panics_in_drop_ends_alone", || {
        in_host(async |selector: SelectorManager| {
            // When it is done.
            let done = selector.spawn(PanicsInDrop(Poll::Ready(())));
            let error = done.await.unwrap_err();
            assert!(error.is_panicked(), "{error}");

            // When it is aborted.
            let aborted = selector.spawn(PanicsInDrop(Poll::Pending));
            yield_now().await;
            aborted.abort();
            let error = aborted.await.unwrap_err();
            assert!(error.is_panicked(), "{error}");
            assert!(error.to_string().contains("in drop"), "{error}");

            assert_eq!(selector.spawn_value(async { "alive" }).await?, "alive");
            assert_eq!(selector.stats().tasks, 0);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_hand_written_future_that_panics_in_poll_and_in_drop_ends_alone() {
    struct Both;

    impl Future for Both {
        type Output = Result<()>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            panic!("expected by a test: in poll");
        }
    }

    impl Drop for Both {
        fn drop(&mut self) {
            panic!("expected by a test: in drop");
        }
    }

    let name = "a_hand_written_future_that_panics_in_poll_and_in_drop_ends_alone";
    alone(name, || {
        in_host(async |selector: SelectorManager| {
            let error = selector.spawn(Both).await.unwrap_err();
            assert!(error.to_string().contains("in poll"), "{error}");
            assert_eq!(selector.spawn_value(async { "alive" }).await?, "alive");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_panic_whose_payload_panics_in_drop_ends_alone() {
    alone("a_panic_whose_payload_panics_in_drop_ends_alone", || {
        in_host(async |selector: SelectorManager| {
            let task = selector.spawn(async { panic_any(Grenade) });
            assert!(task.await.is_err_and(|error| error.is_panicked()));
            let blocking = selector.spawn_blocking(|| panic_any(Grenade)).await;
            assert!(blocking.is_err_and(|error: Error| error.is_panicked()));
            assert_eq!(selector.spawn_value(async { "alive" }).await?, "alive");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_detached_value_that_panics_in_drop_harms_nobody() {
    alone("a_detached_value_that_panics_in_drop_harms_nobody", || {
        in_host(async |selector: SelectorManager| {
            selector.spawn_value(async { Grenade }).detach();
            until_that("the task ends", || selector.stats().tasks == 0).await;
            assert_eq!(selector.spawn_value(async { "alive" }).await?, "alive");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_handler_of_errors_that_panics_harms_nobody() {
    alone("a_handler_of_errors_that_panics_harms_nobody", || {
        let builder = SelectorManager::builder();
        builder
            .on_task_error(|_| panic_any(Grenade))
            .run(async |selector: SelectorManager| {
                for _ in 0..3 {
                    selector.spawn(async { Err(Error::other("no")) }).detach();
                }
                until_that("all are reported", || selector.stats().task_errors == 3).await;
                assert_eq!(selector.spawn_value(async { "alive" }).await?, "alive");
                Result::Ok(())
            })
            .unwrap();
    });
}
