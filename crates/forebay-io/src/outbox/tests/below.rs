//! One outbox over another.

use super::*;
use crate::outbox::below::{Below, Parcel};

/// Puts a colon in front of everything it passes on, and a full stop at the end.
struct Marking(Below, bool);

impl Drain for Marking {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        loop {
            std::task::ready!(self.0.poll_empty(cx, after))?;
            if queue.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let first = queue.first().to_vec();
            push(&self.0, &[b":", &first[..]].concat());
            queue.sent(first.len(), after);
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>> {
        if !std::mem::replace(&mut self.1, true) {
            push(&self.0, b".");
        }
        self.0.poll_end(cx, after)
    }

    fn abort(&mut self, cause: &Error, after: &mut WakeList) {
        self.0.abort(cause, after);
    }
}

fn push(below: &Below, bytes: &[u8]) {
    let mut parcel = Parcel::new(bytes.len());
    parcel.space()[..bytes.len()].copy_from_slice(bytes);
    parcel.fill(bytes.len());
    below.push(parcel);
}

pub(super) fn over(below: &Arc<Outbox>) -> Arc<Outbox> {
    let drain = Box::new(Marking(Below::new(Arc::clone(below)), false));
    Outbox::over(drain, Cause::default(), Arc::clone(below))
}

#[test]
fn what_is_flushed_above_is_made_into_pieces_then_and_sent_below() {
    let bench = Bench::new(100, TestSchedule::default());
    let upper = over(&bench.outbox);
    for item in ["a", "b", "c"] {
        assert!(upper.accept(true, item.as_bytes()).expect("open"));
    }
    assert_eq!(bench.turns.defers.load(SeqCst), 1, "the upper one has the lower one's turns");
    assert!(lock(&bench.hand).sent.is_empty());
    upper.advance();
    assert_eq!(lock(&bench.hand).sent, b":abc");
}

#[test]
fn a_flush_above_waits_for_the_transport_below() {
    let bench = Bench::prompt(2);
    let upper = over(&bench.outbox);
    assert!(upper.accept(true, &b"abc"[..]).expect("open"));
    let wakes = Arc::new(Wakes::default());
    let mut flush = Box::pin(upper.flush());
    assert!(poll(&mut flush, &wakes).is_pending(), "only two of four bytes are sent");
    assert_eq!(upper.queued(), 2, "what waits below is queued as well");
    allow(&bench.hand, 100);
    assert!(woken(&wakes), "a wake-up is lost between the two");
    assert!(matches!(poll(&mut flush, &wakes), Poll::Ready(Ok(()))));
}

#[test]
fn nothing_more_is_made_while_something_waits_below() {
    let bench = Bench::prompt(1);
    let upper = over(&bench.outbox);
    assert!(upper.accept(true, &b"ab"[..]).expect("open"));
    assert!(upper.accept(true, &b"cd"[..]).expect("open"));
    upper.advance();
    assert_eq!(lock(&upper.state).queue.len(), 2, "it can still be thrown away");
    allow(&bench.hand, 100);
    assert_eq!(lock(&bench.hand).sent, b":ab:cd");
}

#[test]
fn the_end_mark_above_comes_before_the_one_below() {
    let bench = Bench::prompt(100);
    lock(&bench.hand).holds_end = true;
    let upper = over(&bench.outbox);
    assert!(upper.accept(true, &b"a"[..]).expect("open"));
    upper.finish();
    let (mut wait, wakes) = wait_for(&upper, Until::Finished);
    assert_eq!(lock(&bench.hand).sent, b":a.");
    lock(&bench.hand).holds_end = false;
    allow(&bench.hand, 0);
    assert!(woken(&wakes));
    assert!(matches!(poll(&mut wait, &wakes), Poll::Ready(Ok(()))));
    assert_eq!(lock(&bench.hand).ends, 1);
}

#[test]
fn an_error_below_is_the_cause_above() {
    let bench = Bench::prompt(0);
    let upper = over(&bench.outbox);
    assert!(upper.accept(true, &b"a"[..]).expect("open"));
    let (mut wait, wakes) = wait_for(&upper, Until::Finished);
    lock(&bench.hand).error = Some(Error::new(ErrorKind::Reset, "write"));
    allow(&bench.hand, 1);
    assert!(woken(&wakes));
    let told = poll(&mut wait, &wakes);
    assert!(matches!(told, Poll::Ready(Err(error)) if error.is_reset()));
    assert!(upper.accept(true, &b"b"[..]).is_err_and(|error| error.is_reset()));
}

#[test]
fn an_abort_above_is_one_below() {
    let bench = Bench::prompt(0);
    let upper = over(&bench.outbox);
    assert!(upper.accept(true, &b"a"[..]).expect("open"));
    upper.abort(&Error::other("enough"));
    assert!(bench.outbox.is_settled());
    assert_eq!(lock(&bench.hand).aborts, ["enough"]);
    assert_eq!(upper.queued(), 0);
}

#[test]
fn two_outboxes_that_are_closing_do_not_wake_each_other_for_ever() {
    let bench = Bench::new(0, TestSchedule::default());
    let upper = over(&bench.outbox);
    assert!(upper.accept(true, &b"a"[..]).expect("open"));
    upper.advance();
    // One waits below, and one above.
    assert!(upper.accept(true, &b"b"[..]).expect("open"));
    upper.advance();
    bench.turns.is_closing.store(true, SeqCst);
    bench.turns.defers.store(0, SeqCst);
    bench.outbox.advance();
    let mut deferred = bench.turns.defers.swap(0, SeqCst);
    assert!(deferred > 0, "the upper one is to be told that it closes");
    // Another call looks as well and, as at the end of a turn, what was deferred meanwhile is flushed.
    upper.advance();
    let mut flushed = 0;
    while deferred > 0 && flushed < 100 {
        upper.advance();
        flushed += 1;
        deferred = bench.turns.defers.swap(0, SeqCst);
    }
    assert!(flushed < 5, "they ask each other again and again");
}

#[test]
fn a_parcel_is_as_long_as_it_was_filled_and_an_empty_one_is_not_queued() {
    let bench = Bench::new(0, TestSchedule::default());
    let below = Below::new(Arc::clone(&bench.outbox));
    let mut parcel = Parcel::new(3);
    assert_eq!((parcel.len(), parcel.is_empty()), (0, true));
    parcel.space()[..3].copy_from_slice(b"abc");
    parcel.fill(2);
    parcel.fill(1);
    assert_eq!((parcel.len(), parcel.is_empty()), (3, false));
    below.push(Parcel::new(3));
    assert!(lock(&bench.outbox.state).queue.is_empty());
    below.push(parcel);
    assert_eq!(bench.outbox.queued(), 3);
}

#[test]
fn a_drain_is_not_asked_again_once_its_outbox_has_given_up() {
    let bench = Bench::new(0, TestSchedule::default());
    let hand = Hand::default();
    let drain = Box::new(TestDrain(Arc::clone(&hand)));
    let upper = Outbox::over(drain, Cause::default(), Arc::clone(&bench.outbox));
    bench.outbox.abort(&Error::other("below"));
    lock(&hand).error = Some(Error::new(ErrorKind::Reset, "write"));
    upper.advance();
    lock(&hand).error = Some(Error::other("asked again"));
    upper.advance();
    let hand = lock(&hand);
    assert!(hand.error.is_some());
    assert_eq!(hand.aborts.len(), 1);
}

#[test]
fn a_layer_defers_finishes_and_sees_the_end_of_what_is_below() {
    let bench = Bench::new(0, TestSchedule::default());
    let below = Below::new(Arc::clone(&bench.outbox));
    below.send_later();
    assert_eq!(bench.turns.defers.load(SeqCst), 1);
    push(&below, b"x");
    assert!(!below.finish(&mut WakeList::new()), "a byte and the end mark wait");
    assert!(!below.is_aborted());
    lock(&bench.hand).allowance = 1;
    assert!(below.finish(&mut WakeList::new()));
    assert!(!below.is_aborted(), "it ended in order");

    let bench = Bench::new(0, TestSchedule::default());
    let below = Below::new(Arc::clone(&bench.outbox));
    bench.outbox.abort(&Error::other("over"));
    assert!(below.is_aborted());
}

#[test]
fn a_promise_to_finish_moves_to_the_outbox_on_top() {
    let bench = Bench::new(9, TestSchedule::default());
    bench.outbox.require_finish();
    let upper = over(&bench.outbox);
    bench.outbox.hand_over_to(&upper);
    upper.finish();
    assert!(upper.was_cut(), "it was not its writer that finished it");
    assert!(!bench.outbox.was_cut());

    let bench = Bench::new(9, TestSchedule::default());
    bench.outbox.require_finish();
    let upper = over(&bench.outbox);
    bench.outbox.hand_over_to(&upper);
    upper.finish_by_writer();
    assert!(!upper.was_cut());
    assert_eq!((lock(&bench.hand).ends, bench.phase()), (1, OutboxPhase::Finished));
}
