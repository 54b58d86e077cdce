//! A task that yields goes on in the next turn: the other tasks, the sockets and the timers come first.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forebay::{Result, yield_now};
use forebay_testing::{pair, run, run_on_one_worker, with_clock_on_a_worker};
use futures_lite::future::block_on;

#[test]
fn what_was_written_is_sent_first() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        peer.set_nonblocking(true).unwrap();
        let mut output = socket.open_write_channel()?;
        let task = selector.spawn(async move {
            output.write_str("a question").await?;
            assert!(peer.read(&mut [0; 10]).is_err(), "not before the turn ends");
            yield_now().await;
            assert_eq!(peer.read(&mut [0; 10]).unwrap(), 10);
            Ok(())
        });
        task.await
    });
}

#[test]
fn each_of_the_other_tasks_is_polled_once_in_between() {
    run_on_one_worker(async |selector| {
        let polled = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..10)
            .map(|_| {
                let polled = Arc::clone(&polled);
                selector.spawn(async move {
                    for _ in 0..5 {
                        polled.fetch_add(1, SeqCst);
                        yield_now().await;
                    }
                    Ok(())
                })
            })
            .collect();
        for round in 1..=5 {
            yield_now().await;
            assert_eq!(polled.load(SeqCst), 10 * round);
        }
        for other in others {
            other.await?;
        }
        Ok(())
    });
}

#[test]
fn a_timer_that_is_due_fires_in_between() {
    // Between two polls by a worker.
    with_clock_on_a_worker(async |selector, clock| {
        let sleeping = selector.spawn(async {
            forebay::sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        yield_now().await;
        clock.advance(Duration::from_secs(1));
        yield_now().await;
        yield_now().await;
        assert!(sleeping.is_finished());
        Result::Ok(())
    });
}

#[test]
fn it_works_in_any_executor() {
    block_on(async {
        for _ in 0..3 {
            yield_now().await;
        }
    });
}
