mod accepting;
mod below;
mod share;
mod stage;

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::Result;
use crate::queue::SendQueue;

// ---- a drain, turns and wakers that a test holds in its hand ---------------------------------------

#[derive(Debug, Default)]
struct Peer {
    sent: Vec<u8>,
    allowance: usize,
    error: Option<Error>,
    holds_end: bool,
    ends: usize,
    aborts: Vec<String>,
    waker: Option<Waker>,
}

type Hand = Arc<Mutex<Peer>>;

struct TestDrain(Hand);

impl Drain for TestDrain {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        let mut peer = lock(&self.0);
        if let Some(error) = peer.error.take() {
            return Poll::Ready(Err(error));
        }
        while !queue.is_empty() && peer.allowance > 0 {
            let count = queue.first().len().min(peer.allowance);
            peer.sent.extend_from_slice(&queue.first()[..count]);
            peer.allowance -= count;
            queue.sent(count, after);
        }
        if queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        peer.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, _: &mut WakeList) -> Poll<Result<()>> {
        let mut peer = lock(&self.0);
        if let Some(error) = peer.error.take() {
            return Poll::Ready(Err(error));
        }
        if peer.holds_end {
            peer.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        peer.ends += 1;
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, cause: &Error, _: &mut WakeList) {
        lock(&self.0).aborts.push(cause.to_string());
    }
}

/// Lets the peer take more, and wakes the outbox as a transport would.
fn allow(hand: &Hand, more: usize) {
    let mut peer = lock(hand);
    peer.allowance += more;
    let waker = peer.waker.take();
    drop(peer);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Turns without a worker: the test decides when a deferred outbox is advanced.
#[derive(Default)]
struct TestSchedule {
    defers: AtomicUsize,
    hurries: AtomicUsize,
    lingers: AtomicUsize,
    advances_at_once: bool,
    is_closing: AtomicBool,
}

impl FlushSchedule for TestSchedule {
    fn defer(&self, outbox: &Arc<Outbox>) {
        self.defers.fetch_add(1, SeqCst);
        if self.advances_at_once {
            outbox.advance();
        }
    }

    fn hurry(&self, _: &Arc<Outbox>) {
        self.hurries.fetch_add(1, SeqCst);
    }

    fn finish_in_background(self: Arc<Self>, _: Arc<Outbox>) {
        self.lingers.fetch_add(1, SeqCst);
    }

    fn refuses_waiting(&self) -> bool {
        self.is_closing.load(SeqCst)
    }
}

struct Bench {
    outbox: Arc<Outbox>,
    hand: Hand,
    turns: Arc<TestSchedule>,
}

impl Bench {
    fn new(allowance: usize, turns: TestSchedule) -> Self {
        let hand = Arc::new(Mutex::new(Peer { allowance, ..Peer::default() }));
        let turns = Arc::new(turns);
        let outbox = Outbox::new(
            Box::new(TestDrain(Arc::clone(&hand))),
            Cause::default(),
            Arc::clone(&turns) as Arc<dyn FlushSchedule>,
        );
        Self { outbox, hand, turns }
    }

    /// Makes an outbox that is woken at once whenever its peer can take more.
    fn prompt(allowance: usize) -> Self {
        let advances_at_once = true;
        Self::new(allowance, TestSchedule { advances_at_once, ..TestSchedule::default() })
    }

    fn write(&self, bytes: &[u8]) -> Result<bool> {
        self.outbox.accept(true, bytes)
    }

    fn phase(&self) -> OutboxPhase {
        lock(&self.outbox.state).phase
    }

    fn nobody_waits(&self) -> bool {
        lock(&self.outbox.state).waiters.is_empty()
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A waiter that was polled once, and the count of its wake-ups.
fn wait_for(
    outbox: &Outbox,
    until: Until,
) -> (Pin<Box<impl Future<Output = Result<()>>>>, Arc<Wakes>) {
    let wakes = Arc::new(Wakes::default());
    let mut wait = Box::pin(outbox.wait(until));
    assert!(poll(&mut wait, &wakes).is_pending(), "nothing to wait for");
    (wait, wakes)
}

fn poll<F: Future + Unpin>(future: &mut F, woken: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(woken));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

fn woken(wakes: &Wakes) -> bool {
    wakes.0.swap(0, SeqCst) > 0
}

fn result_of(future: impl Future<Output = Result<()>>) -> Result<()> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("still waiting"),
    }
}

/// Fails instead of hanging when the test deadlocks.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let watched = thread::spawn(move || {
        test();
        done.send(()).ok();
    });
    if let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(Duration::from_secs(20)) {
        panic!("deadlock");
    }
    watched.join().expect("the watched test failed");
}

// ---- phases ----------------------------------------------------------------------------------------

#[test]
fn a_finished_outbox_sends_its_queue_and_then_one_end_mark() {
    let bench = Bench::new(3, TestSchedule::default());
    bench.write(b"hello").expect("open");
    bench.outbox.finish();
    assert_eq!(bench.phase(), OutboxPhase::Finishing);
    assert_eq!(lock(&bench.hand).ends, 0, "the end mark overtook bytes");
    lock(&bench.hand).allowance = 100;
    bench.outbox.advance();
    assert_eq!(bench.phase(), OutboxPhase::Finished);
    bench.outbox.finish();
    bench.outbox.advance();
    let peer = lock(&bench.hand);
    assert_eq!((peer.sent.as_slice(), peer.ends), (&b"hello"[..], 1));
}

#[test]
fn an_end_mark_that_must_wait_is_tried_again() {
    let bench = Bench::prompt(100);
    lock(&bench.hand).holds_end = true;
    bench.outbox.finish();
    assert_eq!(bench.phase(), OutboxPhase::Finishing);
    let (mut wait, wakes) = wait_for(&bench.outbox, Until::Finished);
    lock(&bench.hand).holds_end = false;
    allow(&bench.hand, 0);
    assert!(woken(&wakes));
    assert!(matches!(poll(&mut wait, &wakes), Poll::Ready(Ok(()))));
    assert_eq!(lock(&bench.hand).ends, 1);
}

#[test]
fn phases_only_go_forward() {
    let bench = Bench::new(100, TestSchedule::default());
    bench.outbox.finish();
    assert_eq!(bench.phase(), OutboxPhase::Finished);
    bench.outbox.abort(&Error::other("too late"));
    assert_eq!(bench.phase(), OutboxPhase::Finished);
    assert!(lock(&bench.hand).aborts.is_empty(), "a finished transport was reset");
    assert!(bench.outbox.cause.get().is_none());

    let bench = Bench::new(0, TestSchedule::default());
    bench.write(b"never sent").expect("open");
    bench.outbox.finish();
    bench.outbox.abort(&Error::other("the first"));
    assert_eq!(bench.phase(), OutboxPhase::Aborted);
    bench.outbox.finish();
    bench.outbox.abort(&Error::other("the second"));
    bench.outbox.advance();
    assert_eq!(bench.phase(), OutboxPhase::Aborted);
    let peer = lock(&bench.hand);
    assert_eq!((peer.aborts.as_slice(), peer.ends), (&["the first".to_owned()][..], 0));
    assert!(peer.sent.is_empty());
    assert_eq!(bench.outbox.queued(), 0);
}

#[test]
fn nothing_is_accepted_once_the_end_is_decided() {
    let bench = Bench::new(0, TestSchedule::default());
    bench.write(b"x").expect("open");
    bench.outbox.finish();
    let refused = bench.write(b"y").expect_err("finishing");
    assert!(refused.is_closed(), "{refused}");
    let refused = bench.outbox.accept_bytes(true, &mut Bytes::from_static(b"y"));
    assert!(refused.is_err_and(|error| error.is_closed()));
    assert_eq!(bench.outbox.queued(), 1);

    bench.outbox.abort(&Error::other("why"));
    assert_eq!(bench.write(b"z").expect_err("aborted").to_string(), "why");
}

#[test]
fn an_error_of_the_drain_aborts_with_that_error() {
    let bench = Bench::new(0, TestSchedule::default());
    bench.write(b"x").expect("open");
    lock(&bench.hand).error = Some(Error::new(ErrorKind::Reset, "send"));
    bench.outbox.advance();
    assert_eq!(bench.phase(), OutboxPhase::Aborted);
    assert!(bench.write(b"y").expect_err("aborted").is_reset());
    assert_eq!(lock(&bench.hand).aborts.len(), 1);
}

#[test]
fn an_error_of_the_end_mark_aborts_with_that_error() {
    let bench = Bench::new(9, TestSchedule::default());
    lock(&bench.hand).error = Some(Error::new(ErrorKind::Reset, "shutdown"));
    bench.outbox.finish();
    assert_eq!(bench.phase(), OutboxPhase::Aborted);
    let finished = result_of(bench.outbox.wait(Until::Finished));
    assert!(finished.is_err_and(|error| error.is_reset()));
}

#[test]
fn the_first_cause_wins() {
    let bench = Bench::new(0, TestSchedule::default());
    bench.outbox.cause.record(Error::other("the reader met this first"));
    bench.outbox.abort(&Error::other("the writer's own"));
    let refused = bench.write(b"x").expect_err("aborted");
    assert_eq!(refused.to_string(), "the reader met this first");
    assert_eq!(lock(&bench.hand).aborts, ["the reader met this first"]);
}

// ---- waiters ---------------------------------------------------------------------------------------

#[test]
fn a_flush_waits_for_its_own_bytes_only() {
    let bench = Bench::prompt(0);
    bench.write(b"first").expect("open");
    let (mut first, first_wakes) = wait_for(&bench.outbox, Until::Sent(bench.outbox.accepted()));
    bench.write(b"second").expect("open");
    let (mut second, second_wakes) = wait_for(&bench.outbox, Until::Sent(bench.outbox.accepted()));

    allow(&bench.hand, 4);
    assert!(!woken(&first_wakes), "a byte of it is still queued");
    allow(&bench.hand, 1);
    assert!(woken(&first_wakes));
    assert!(matches!(poll(&mut first, &first_wakes), Poll::Ready(Ok(()))));
    assert!(!woken(&second_wakes), "the later flush was woken for the earlier one");
    assert!(poll(&mut second, &second_wakes).is_pending());
    allow(&bench.hand, 6);
    assert!(woken(&second_wakes));
    assert!(matches!(poll(&mut second, &second_wakes), Poll::Ready(Ok(()))));
    assert!(bench.nobody_waits());
}

#[test]
fn room_comes_when_the_queue_is_below_its_mark() {
    let bench = Bench::prompt(0);
    assert!(bench.write(&vec![1; HIGH_WATER_BYTES]).expect("open"));
    assert!(!bench.write(b"x").expect("open"), "accepted above the mark");
    let (mut wait, wakes) = wait_for(&bench.outbox, Until::Room);
    allow(&bench.hand, 1);
    assert!(woken(&wakes));
    assert!(matches!(poll(&mut wait, &wakes), Poll::Ready(Ok(()))));
    assert!(bench.write(b"x").expect("open"));
    assert!(!bench.write(b"x").expect("open"));
}

#[test]
fn room_in_an_outbox_that_finishes_is_refused() {
    let bench = Bench::prompt(0);
    bench.write(&vec![1; HIGH_WATER_BYTES]).expect("open");
    let (mut wait, wakes) = wait_for(&bench.outbox, Until::Room);
    bench.outbox.finish();
    assert!(woken(&wakes), "a writer slept on although nothing will be accepted");
    let Poll::Ready(Err(error)) = poll(&mut wait, &wakes) else {
        panic!("not refused");
    };
    assert!(error.is_closed());
}

#[test]
fn an_abort_wakes_everybody_with_the_cause() {
    let bench = Bench::prompt(0);
    bench.write(&vec![1; HIGH_WATER_BYTES]).expect("open");
    let mark = bench.outbox.accepted();
    let mut waits = [Until::Room, Until::Sent(mark), Until::Finished]
        .map(|until| wait_for(&bench.outbox, until));
    bench.outbox.abort(&Error::other("pulled the plug"));
    for (wait, wakes) in &mut waits {
        assert!(woken(wakes));
        let Poll::Ready(Err(error)) = poll(wait, wakes) else {
            panic!("no error");
        };
        assert_eq!(error.to_string(), "pulled the plug");
    }
    assert!(bench.nobody_waits());
}

#[test]
fn a_flush_after_an_abort_reports_that_bytes_were_lost() {
    let bench = Bench::new(2, TestSchedule::default());
    bench.write(b"hello").expect("open");
    bench.outbox.advance();
    bench.outbox.abort(&Error::other("gone"));
    // The queue is empty now, but not because it was sent.
    let mark = bench.outbox.accepted();
    let flushed = result_of(bench.outbox.wait(Until::Sent(mark)));
    assert_eq!(flushed.expect_err("three bytes are lost").to_string(), "gone");
}

#[test]
fn a_dropped_waiter_removes_itself() {
    let bench = Bench::prompt(0);
    bench.write(b"x").expect("open");
    let (wait, wakes) = wait_for(&bench.outbox, Until::Sent(1));
    let (_other, other_wakes) = wait_for(&bench.outbox, Until::Sent(1));
    drop(wait);
    assert_eq!(Arc::strong_count(&wakes), 1, "its waker is still kept");
    allow(&bench.hand, 1);
    assert!(!woken(&wakes));
    assert!(woken(&other_wakes), "the wrong one was removed");
    assert!(bench.nobody_waits());
}

#[test]
fn a_waiter_polled_again_is_woken_by_its_newest_waker() {
    let bench = Bench::prompt(0);
    bench.write(b"x").expect("open");
    let (mut wait, old) = wait_for(&bench.outbox, Until::Sent(1));
    let new = Arc::new(Wakes::default());
    assert!(poll(&mut wait, &new).is_pending());
    assert_eq!(Arc::strong_count(&old), 1);
    allow(&bench.hand, 1);
    assert!(!woken(&old) && woken(&new));
}

#[test]
fn a_waiter_that_finds_it_true_leaves_nothing_behind() {
    let bench = Bench::new(100, TestSchedule::default());
    bench.write(b"x").expect("open");
    let (mut wait, wakes) = wait_for(&bench.outbox, Until::Sent(1));
    bench.outbox.advance();
    assert!(matches!(poll(&mut wait, &wakes), Poll::Ready(Ok(()))));
    drop(wait);
    assert!(bench.nobody_waits());
    assert_eq!(Arc::strong_count(&wakes), 1);
}

// ---- turns -----------------------------------------------------------------------------------------

#[test]
fn a_turn_is_asked_once_however_many_items_it_brings() {
    let bench = Bench::new(usize::MAX / 2, TestSchedule::default());
    for _ in 0..16 {
        bench.write(b"line\n").expect("open");
    }
    assert_eq!(bench.turns.defers.load(SeqCst), 1);
    assert!(lock(&bench.hand).sent.is_empty(), "sent before the turn ended");
    bench.outbox.advance();
    assert_eq!(lock(&bench.hand).sent, b"line\n".repeat(16));
    bench.write(b"next turn").expect("open");
    assert_eq!(bench.turns.defers.load(SeqCst), 2);
}

#[test]
fn an_item_that_is_not_to_be_flushed_asks_for_nothing() {
    let bench = Bench::new(100, TestSchedule::default());
    let accepted = bench.outbox.accept(false, &b"later"[..]);
    assert!(accepted.expect("open"));
    assert_eq!(bench.turns.defers.load(SeqCst), 0);
    assert!(bench.outbox.accept(true, &b""[..]).expect("open"));
    assert_eq!(bench.turns.defers.load(SeqCst), 1, "a flush is due for what waits");
}

#[test]
fn an_empty_item_asks_for_nothing() {
    let bench = Bench::new(100, TestSchedule::default());
    assert!(bench.write(b"").expect("open"));
    assert_eq!(bench.turns.defers.load(SeqCst), 0);
}

#[test]
fn an_outbox_without_an_owner_lingers_only_while_it_has_something_to_send() {
    let bench = Bench::new(100, TestSchedule::default());
    bench.write(b"all of it").expect("open");
    bench.outbox.finish_in_background();
    assert_eq!(bench.turns.lingers.load(SeqCst), 0);
    assert_eq!(lock(&bench.hand).ends, 1);

    let bench = Bench::new(3, TestSchedule::default());
    bench.write(b"not all of it").expect("open");
    bench.outbox.finish_in_background();
    assert_eq!(bench.turns.lingers.load(SeqCst), 1);
}

// ---- its own waker ---------------------------------------------------------------------------------

#[test]
fn a_drain_that_keeps_the_waker_does_not_keep_the_outbox() {
    let Bench { outbox, hand, turns } = Bench::new(0, TestSchedule::default());
    assert!(outbox.accept(true, &b"x"[..]).expect("open"));
    outbox.advance();
    let weak = Arc::downgrade(&outbox);
    let kept = lock(&hand).waker.clone().expect("the drain waits");
    drop(outbox);
    assert!(weak.upgrade().is_none(), "the waker keeps it alive");
    assert_eq!(Arc::strong_count(&hand), 1, "the drain outlived its outbox");
    let defers = turns.defers.load(SeqCst);
    kept.wake();
    assert_eq!(turns.defers.load(SeqCst), defers, "a dead outbox was deferred");
}

#[test]
fn the_wake_of_a_drain_defers_to_the_turn() {
    let bench = Bench::new(0, TestSchedule::default());
    bench.write(b"x").expect("open");
    bench.outbox.advance();
    allow(&bench.hand, 1);
    assert_eq!(bench.turns.defers.load(SeqCst), 2);
    assert!(lock(&bench.hand).sent.is_empty(), "sent inside a wake");
    bench.outbox.advance();
    assert_eq!(lock(&bench.hand).sent, b"x");
}

// ---- nothing foreign under the lock ----------------------------------------------------------------

/// Large enough to be queued as it is.
static LARGE: [u8; 40 * 1024] = [7; 40 * 1024];

/// Locks the outbox, and so deadlocks if this thread holds its lock.
#[derive(Debug)]
struct Touches(Weak<Outbox>, Arc<AtomicUsize>);

impl Touches {
    fn touch(&self) {
        if let Some(outbox) = self.0.upgrade() {
            outbox.queued();
            outbox.advance();
            self.1.fetch_add(1, SeqCst);
        }
    }
}

/// Locks the outbox when it is woken as a waker, and when it is dropped.
impl Wake for Touches {
    fn wake(self: Arc<Self>) {
        self.touch();
    }
}

impl Drop for Touches {
    fn drop(&mut self) {
        self.touch();
    }
}

impl fmt::Display for Touches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.touch();
        f.write_str("a cause that touches its outbox")
    }
}

impl std::error::Error for Touches {}

impl AsRef<[u8]> for Touches {
    fn as_ref(&self) -> &[u8] {
        &LARGE
    }
}

fn touching(bench: &Bench) -> (Touches, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    (Touches(Arc::downgrade(&bench.outbox), Arc::clone(&count)), count)
}

/// Polls with a waker that locks the outbox, and returns how often it did.
fn poll_touching(
    bench: &Bench,
    wait: &mut (impl Future<Output = Result<()>> + Unpin),
) -> (bool, Arc<AtomicUsize>) {
    let (touches, count) = touching(bench);
    let waker = Waker::from(Arc::new(touches));
    let polled = Pin::new(wait).poll(&mut Context::from_waker(&waker));
    (polled.is_pending(), count)
}

#[test]
fn wakers_are_woken_replaced_and_dropped_without_the_lock() {
    watched(|| {
        let bench = Bench::prompt(0);
        bench.write(b"xy").expect("open");
        let (mut wait, _) = wait_for(&bench.outbox, Until::Sent(1));
        let (_, first) = poll_touching(&bench, &mut wait);
        assert_eq!(first.load(SeqCst), 0);
        let (_, second) = poll_touching(&bench, &mut wait);
        assert_eq!(first.load(SeqCst), 1, "dropped when it was replaced");
        allow(&bench.hand, 1);
        assert_eq!(second.load(SeqCst), 2, "woken, then dropped");
        let (pending, third) = poll_touching(&bench, &mut wait);
        assert!(!pending);
        assert_eq!(third.load(SeqCst), 1, "not needed");

        let (mut wait, _) = wait_for(&bench.outbox, Until::Sent(2));
        let (_, fourth) = poll_touching(&bench, &mut wait);
        drop(wait);
        assert_eq!(fourth.load(SeqCst), 1, "dropped with its waiter");

        let (mut wait, _) = wait_for(&bench.outbox, Until::Sent(2));
        let (_, fifth) = poll_touching(&bench, &mut wait);
        bench.outbox.abort(&Error::other("over"));
        assert_eq!(fifth.load(SeqCst), 2, "woken by the abort, then dropped");
    });
}

#[test]
fn values_are_dropped_without_the_lock() {
    watched(|| {
        // Sent.
        let bench = Bench::prompt(1024 * 1024);
        let (touches, count) = touching(&bench);
        bench.outbox.accept_bytes(true, &mut Bytes::from_owner(touches)).expect("open");
        assert_eq!(count.load(SeqCst), 1);
        // Copied, because it is small.
        let (touches, count) = touching(&bench);
        let mut small = Bytes::from_owner(touches).slice(..10);
        bench.outbox.accept_bytes(true, &mut small).expect("open");
        assert_eq!(count.load(SeqCst), 1);
        // Refused.
        bench.outbox.finish();
        let (touches, count) = touching(&bench);
        bench.outbox.accept_bytes(true, &mut Bytes::from_owner(touches)).expect_err("finished");
        assert_eq!(count.load(SeqCst), 1);
        // Given up.
        let bench = Bench::prompt(0);
        let (touches, count) = touching(&bench);
        bench.outbox.accept_bytes(true, &mut Bytes::from_owner(touches)).expect("open");
        bench.outbox.abort(&Error::other("over"));
        assert_eq!(count.load(SeqCst), 1);
    });
}

#[test]
fn a_cause_that_came_second_is_dropped_without_the_lock() {
    watched(|| {
        let bench = Bench::prompt(0);
        bench.outbox.cause.record(Error::other("the reader's"));
        let (touches, count) = touching(&bench);
        bench.outbox.abort(&Error::other(touches));
        assert_eq!(count.load(SeqCst), 1, "nobody needs it any more");

        let bench = Bench::prompt(0);
        bench.outbox.cause.record(Error::other("the reader's"));
        bench.write(b"x").expect("open");
        let (touches, count) = touching(&bench);
        lock(&bench.hand).error = Some(Error::other(touches));
        bench.outbox.advance();
        lock(&bench.hand).error = None;
        assert_eq!(count.load(SeqCst), 1);
    });
}

#[test]
fn a_value_whose_drop_panics_loses_nobodys_wake_up() {
    struct Panics;
    impl AsRef<[u8]> for Panics {
        fn as_ref(&self) -> &[u8] {
            &LARGE
        }
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("an owner's drop");
        }
    }
    let bench = Bench::new(0, TestSchedule::default());
    bench.outbox.accept_bytes(false, &mut Bytes::from_owner(Panics)).expect("open");
    let (mut wait, wakes) = wait_for(&bench.outbox, Until::Sent(40 * 1024));
    lock(&bench.hand).allowance = 1024 * 1024;
    let advanced =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.outbox.advance()));
    assert!(advanced.is_err(), "the panic goes to whoever advanced");
    assert!(woken(&wakes), "its flush would sleep for ever");
    assert!(matches!(poll(&mut wait, &wakes), Poll::Ready(Ok(()))));
}
