//! The first of two futures.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use forebay::{Either, Result, SelectorManager, race};
use forebay_testing::{OnDrop, Signal, in_host, panic_text, poll_once, watched};
use futures_lite::future::{pending, poll_fn};

/// A future that is never ready, and adds one to a count when it is dropped.
fn counted_drop(drops: &Arc<AtomicUsize>) -> impl Future<Output = ()> + use<> {
    let drops = Arc::clone(drops);
    async move {
        let _noted = OnDrop(move || _ = drops.fetch_add(1, SeqCst));
        pending::<()>().await;
    }
}

#[test]
fn the_first_one_is_polled_first_and_wins_if_both_are_ready() {
    let both = poll_once(pin!(race(ready("first"), ready("second"))));
    assert_eq!(both, Poll::Ready(Either::Left("first")));
    let second = poll_once(pin!(race(pending::<()>(), ready("second"))));
    assert_eq!(second, Poll::Ready(Either::Right("second")));

    let polls = AtomicUsize::new(0);
    let counting = |place: usize| {
        let polls = &polls;
        poll_fn(move |_| {
            assert_eq!(polls.fetch_add(1, SeqCst) % 2, place);
            Poll::<()>::Pending
        })
    };
    let mut both = pin!(race(counting(0), counting(1)));
    for _ in 0..3 {
        assert!(poll_once(both.as_mut()).is_pending());
    }
    assert_eq!(polls.load(SeqCst), 6);
}

#[test]
fn a_winner_that_is_ready_does_not_poll_the_other() {
    let other = poll_fn(|_| -> Poll<()> { panic!("it was polled") });
    assert!(poll_once(pin!(race(ready(()), other))).is_ready());
}

#[test]
fn the_loser_is_dropped_before_the_race_returns() {
    let drops = Arc::new(AtomicUsize::new(0));
    let (go, loser) = (Signal::new(), counted_drop(&drops));
    let mut first_wins = pin!(race(go.clone(), loser));
    assert!(poll_once(first_wins.as_mut()).is_pending());
    assert_eq!(drops.load(SeqCst), 0);
    go.set();
    assert_eq!(poll_once(first_wins), Poll::Ready(Either::Left(())));
    // The race itself is still there: it is dropped at the end of this function.
    assert_eq!(drops.load(SeqCst), 1);

    let (go, loser) = (Signal::new(), counted_drop(&drops));
    let mut second_wins = pin!(race(loser, go.clone()));
    assert!(poll_once(second_wins.as_mut()).is_pending());
    go.set();
    assert_eq!(poll_once(second_wins), Poll::Ready(Either::Right(())));
    assert_eq!(drops.load(SeqCst), 2);
}

#[test]
fn a_race_that_is_dropped_drops_both() {
    let drops = Arc::new(AtomicUsize::new(0));
    let mut both = Box::pin(race(counted_drop(&drops), counted_drop(&drops)));
    assert!(poll_once(both.as_mut()).is_pending());
    drop(both);
    assert_eq!(drops.load(SeqCst), 2);
}

#[test]
fn a_race_that_is_over_says_so() {
    let mut both = pin!(race(ready(()), pending::<()>()));
    assert!(poll_once(both.as_mut()).is_ready());
    let said = panic_text(|| _ = poll_once(both.as_mut()));
    assert!(said.contains("race was polled again"), "{said}");
}

/// A read that lost is made again, and has lost no byte; a future that was passed by reference goes on.
#[test]
fn what_lost_goes_on_later() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let (mut near, mut far) = selector.duplex(64);
            let mut late = selector.sleep(Duration::from_millis(20));
            far.output.write_str("half a").await?;
            for _ in 0..3 {
                let tick = selector.sleep(Duration::from_millis(1));
                let line = race(near.input.read_line(), tick).await;
                assert!(line.is_right());
                let sooner = race(selector.sleep(Duration::ZERO), &mut late).await;
                assert!(sooner.is_left());
            }
            far.output.write_str(" line\n").await?;
            let line = race(near.input.read_line(), pending::<()>()).await;
            assert_eq!(line.unwrap_left()?.as_deref(), Some("half a line"));
            late.await;
            Result::Ok(())
        })
    })
    .unwrap();
}

/// A future in a race is stored once, so a task that races does not grow with each of them.
#[test]
fn a_race_is_no_larger_than_its_futures() {
    let large = || async {
        let bytes = [0_u8; 1000];
        pending::<()>().await;
        std::hint::black_box(bytes);
    };
    let one = size_of_val(&large());
    let both = size_of_val(&race(large(), large()));
    assert!(both <= 2 * one + 32, "{both} bytes for two of {one}");
}
