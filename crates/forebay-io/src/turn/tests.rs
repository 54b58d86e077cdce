use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn bench() -> (Arc<Wakes>, Waker) {
    let wakes = Arc::new(Wakes::default());
    (Arc::clone(&wakes), Waker::from(wakes))
}

fn end_turn() {
    ThreadTurns::end_turn().into_iter().for_each(Waker::wake);
}

#[test]
fn a_share_is_used_up_by_calls_or_by_bytes_and_renewed_by_the_next_turn() {
    let (count, waker) = bench();
    let cx = Context::from_waker(&waker);
    let _turns = ThreadTurns::enter();
    for (calls, bytes) in [(CALLS_MAX as usize, 1), (4, BYTES_MAX as usize / 4)] {
        let mut share = Share::default();
        for _ in 0..calls {
            assert!(share.poll_left(&cx).is_ready());
            share.spend(bytes);
        }
        let before = count.0.load(SeqCst);
        assert!(share.poll_left(&cx).is_pending());
        assert!(share.poll_left(&cx).is_pending(), "until the turn has changed");
        assert!(ThreadTurns::is_next_due());
        assert_eq!(count.0.load(SeqCst), before, "not in this turn");
        end_turn();
        assert_eq!(count.0.load(SeqCst), before + 2);
        assert!(share.poll_left(&cx).is_ready());
        assert_eq!(share.bytes_left(), BYTES_MAX as usize);
    }
}

#[test]
fn without_turns_a_share_is_renewed_by_giving_way_once() {
    let (count, waker) = bench();
    let cx = Context::from_waker(&waker);
    let mut share = Share::of_calls(1);
    for round in 1..4 {
        assert!(share.poll_left(&cx).is_ready());
        share.spend(1);
        assert!(share.poll_left(&cx).is_pending());
        assert_eq!(count.0.load(SeqCst), round, "at once");
    }
}

#[test]
fn a_caller_that_wants_more_than_is_left_gives_way() {
    let (_, waker) = bench();
    let cx = Context::from_waker(&waker);
    let _turns = ThreadTurns::enter();
    let mut share = Share::default();
    share.spend(1);
    assert!(share.poll_room(&cx, BYTES_MAX as usize - 1).is_ready());
    assert!(share.poll_room(&cx, BYTES_MAX as usize).is_pending());
    end_turn();
    assert!(share.poll_room(&cx, BYTES_MAX as usize).is_ready());
}

#[test]
fn every_third_answer_gives_way() {
    let (count, waker) = bench();
    let cx = Context::from_waker(&waker);
    let mut answers = Answers::default();
    for round in 1..4 {
        assert!(answers.poll_one(&cx).is_ready());
        assert!(answers.poll_one(&cx).is_ready());
        assert!(answers.poll_one(&cx).is_pending());
        assert_eq!(count.0.load(SeqCst), round);
    }
    assert!(answers.poll_one(&cx).is_ready());
    answers.restart();
    assert!(answers.poll_one(&cx).is_ready());
    assert!(answers.poll_one(&cx).is_ready());
}

#[test]
fn what_is_to_be_woken_is_woken_when_the_turns_end() {
    let (count, waker) = bench();
    let turns = ThreadTurns::enter();
    wake_next_turn(&waker);
    drop(turns);
    assert_eq!(count.0.load(SeqCst), 1);
    assert_eq!(turn(), None);
}
