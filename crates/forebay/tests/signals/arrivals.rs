//! A signal comes to every task that waits for it, once, and none is lost between two waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use forebay::{Either, SelectorManager, SignalKind, race};
use forebay_testing::{alone, listener, until_that, watched};
use futures_lite::future::{block_on, poll_once, ready, yield_now};
use rustix::process::Signal;

use crate::support::{KINDS, WORKERS, assert_waits, on_each_number, raise, settle, waiting};

const TASKS: usize = 16;

#[test]
fn every_task_that_waits_gets_a_signal() {
    on_each_number("every_task_that_waits_gets_a_signal", async |selector| {
        let mut tasks = Vec::new();
        let got = Arc::new(AtomicUsize::new(0));
        for _ in 0..TASKS {
            tasks.push(selector.spawn(selector.ctrl_c()));
            let (mut signals, got) = (selector.signal(SignalKind::User1)?, Arc::clone(&got));
            tasks.push(selector.spawn(async move {
                for _ in 0..2 {
                    assert_eq!(signals.next().await, Some(SignalKind::User1));
                    got.fetch_add(1, SeqCst);
                }
                assert_waits("after both", signals.next()).await;
                Ok(())
            }));
        }
        for round in 1..=2 {
            raise(Signal::USR1);
            until_that("all have got it", || got.load(SeqCst) == round * TASKS).await;
        }
        raise(Signal::INT);
        for task in tasks {
            task.await?;
        }
        Ok(())
    });
}

#[test]
fn a_thread_without_a_selector_gets_a_signal() {
    alone("a_thread_without_a_selector_gets_a_signal", || {
        for count in WORKERS {
            watched(move || {
                let selector = SelectorManager::builder().workers(count).build().unwrap();
                let ctrl_c = waiting(selector.ctrl_c());
                let mut signals = selector.signal(SignalKind::User2).unwrap();
                let next = waiting(async move { signals.next().await });
                raise(Signal::INT);
                ctrl_c.join().unwrap().unwrap();
                raise(Signal::USR2);
                assert_eq!(next.join().unwrap(), Some(SignalKind::User2));
            });
        }
    });
}

#[test]
fn no_signal_of_a_thousand_is_lost() {
    alone("no_signal_of_a_thousand_is_lost", || {
        for count in WORKERS {
            watched(move || {
                let selector = SelectorManager::builder().workers(count).build().unwrap();
                let mut signals = selector.signal(SignalKind::User1).unwrap();
                // On a thread of no selector: the worker sleeps again before each of them.
                block_on(async {
                    for _ in 0..1000 {
                        raise(Signal::USR1);
                        assert_eq!(signals.next().await, Some(SignalKind::User1));
                    }
                });
            });
        }
    });
}

#[test]
fn every_kind_arrives() {
    on_each_number("every_kind_arrives", async |selector| {
        let mut all = Vec::new();
        for (kind, _) in KINDS {
            all.push(selector.signal(kind)?);
        }
        for (signals, (kind, signal)) in all.iter_mut().zip(KINDS) {
            assert!(poll_once(signals.next()).await.is_none(), "{kind:?}");
            raise(signal);
            assert_eq!(signals.next().await, Some(kind));
            assert_waits("it came once", signals.next()).await;
        }
        Ok(())
    });
}

#[test]
fn a_signal_between_two_waits_is_kept() {
    on_each_number("a_signal_between_two_waits_is_kept", async |selector| {
        let mut signals = selector.signal(SignalKind::Hangup)?;
        raise(Signal::HUP);
        raise(Signal::HUP);
        settle().await;
        assert_eq!(signals.next().await, Some(SignalKind::Hangup));
        assert_waits("both count as one", signals.next()).await;
        let mut later = selector.signal(SignalKind::Hangup)?;
        assert_waits("it came before", later.next()).await;

        assert_waits("no Ctrl-C has come", forebay::ctrl_c()).await;
        raise(Signal::INT);
        raise(Signal::INT);
        settle().await;
        forebay::ctrl_c().await?;
        assert_waits("a call has returned it", forebay::ctrl_c()).await;
        raise(Signal::INT);
        forebay::ctrl_c().await
    });
}

/// The worker takes a signal when it polls, and `signal` may be called before that.
#[test]
fn a_signal_before_the_call_is_not_returned() {
    on_each_number("a_signal_before_the_call_is_not_returned", async |selector| {
        let mut first = selector.signal(SignalKind::User1)?;
        raise(Signal::USR1);
        let mut second = selector.signal(SignalKind::User1)?;
        assert_waits("it came before the call", second.next()).await;
        assert_eq!(first.next().await, Some(SignalKind::User1));
        Ok(())
    });
}

/// The loop of a server: Ctrl-C comes while a connection is handled, and not while the loop waits.
#[test]
fn an_accept_loop_misses_no_ctrl_c() {
    on_each_number("an_accept_loop_misses_no_ctrl_c", async |selector| {
        let server = listener(&selector).await?;
        let dial = || std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        let peers = [dial(), dial()];
        let mut rounds = 0;
        while let Either::Left(socket) = race(server.accept(), forebay::ctrl_c()).await {
            drop(socket?);
            rounds += 1;
            if rounds == peers.len() {
                raise(Signal::INT);
                settle().await;
            }
        }
        assert_eq!(rounds, peers.len());
        Ok(())
    });
}

#[test]
fn a_wait_that_was_woken_and_dropped_takes_no_signal() {
    on_each_number("a_wait_that_was_woken_and_dropped_takes_no_signal", async |selector| {
        let mut signals = selector.signal(SignalKind::Terminate)?;
        let mut ctrl_c = Box::pin(forebay::ctrl_c());
        let mut next = Box::pin(signals.next());
        assert!(poll_once(&mut ctrl_c).await.is_none());
        assert!(poll_once(&mut next).await.is_none());
        raise(Signal::INT);
        raise(Signal::TERM);
        settle().await;
        drop((ctrl_c, next));
        assert_eq!(signals.next().await, Some(SignalKind::Terminate));
        // It loses against a future that is ready, and is asked for again.
        for _ in 0..3 {
            assert!(race(ready(()), forebay::ctrl_c()).await.is_left());
        }
        forebay::ctrl_c().await
    });
}

#[test]
fn each_selector_gets_a_signal() {
    on_each_number("each_selector_gets_a_signal", async |selector| {
        let other = SelectorManager::new();
        let third = SelectorManager::builder().workers(2).build()?;
        let (ours, others, thirds) = (selector.ctrl_c(), other.ctrl_c(), third.ctrl_c());
        let thirds = waiting(thirds);
        // What one of them has returned, or its close, takes nothing from the others.
        raise(Signal::INT);
        ours.await?;
        thirds.join().unwrap()?;
        drop(third);
        others.await?;
        raise(Signal::INT);
        other.ctrl_c().await?;
        selector.ctrl_c().await
    });
}

#[test]
fn a_task_that_is_aborted_takes_no_signal() {
    on_each_number("a_task_that_is_aborted_takes_no_signal", async |selector| {
        let tasks: Vec<_> = (0..TASKS).map(|_| selector.spawn(selector.ctrl_c())).collect();
        while selector.stats().tasks < TASKS {
            yield_now().await;
        }
        raise(Signal::INT);
        tasks.iter().for_each(forebay::JoinHandle::abort);
        for task in tasks {
            // It may have been woken and polled before it was aborted.
            task.await.ok();
        }
        // All of them were aborted, or one has returned it.
        let mut signals = selector.signal(SignalKind::Interrupt)?;
        raise(Signal::INT);
        assert_eq!(signals.next().await, Some(SignalKind::Interrupt));
        forebay::ctrl_c().await
    });
}
