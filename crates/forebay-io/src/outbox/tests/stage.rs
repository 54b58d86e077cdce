//! The order of what is staged, seen from the staging thread and from others.

use super::*;

/// The most that a stage can hold: one byte less than 8 KiB does not fill it, and an item of 1 KiB may follow.
const STAGE_BYTES: usize = 9 * 1024;

/// An outbox whose first two items are in the queue and whose next are on this thread's stage.
fn staging() -> (Bench, WorkerStage) {
    let stage = WorkerStage::enter();
    let bench = Bench::new(usize::MAX, TestSchedule::default());
    for item in [b"1", b"2", b"3"] {
        assert!(bench.write(item).expect("open"));
    }
    assert!(is_staged(&bench), "a burst is not staged");
    (bench, stage)
}

fn is_staged(bench: &Bench) -> bool {
    lock(&bench.outbox.state).staged
}

fn sent(bench: &Bench) -> String {
    String::from_utf8(lock(&bench.hand).sent.clone()).expect("text")
}

fn on_another_thread<T: Send>(call: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(call).join().expect("no panic"))
}

#[test]
fn a_stage_holds_small_items_up_to_its_size_and_the_queue_gets_the_others() {
    let queued = |bench: &Bench| lock(&bench.outbox.state).queue.len();
    let write = |bench: &Bench, bytes| bench.write(&vec![b'x'; bytes]).expect("open");
    let (bench, _stage) = staging();
    for _ in 0..7 {
        write(&bench, 1024);
    }
    write(&bench, 1023);
    assert_eq!(queued(&bench), 2, "with the third item, 8 KiB are on the stage");
    write(&bench, 1);
    assert_eq!(queued(&bench), 3 + 8 * 1024);
    write(&bench, 1025);
    assert_eq!(queued(&bench), 4 + 9 * 1024, "copied once");
}

#[test]
fn only_a_worker_stages() {
    let bench = Bench::new(usize::MAX, TestSchedule::default());
    for item in [b"1", b"2", b"3", b"4"] {
        bench.write(item).expect("open");
        assert!(!is_staged(&bench));
    }
}

#[test]
fn what_was_staged_joins_the_queue_at_the_end_of_the_poll() {
    let (bench, _stage) = staging();
    end_poll();
    assert!(!is_staged(&bench));
    assert_eq!(bench.outbox.queued(), 3);
    bench.outbox.advance();
    assert_eq!(sent(&bench), "123");
    assert_eq!(bench.turns.defers.load(SeqCst), 1, "one flush a turn");
}

#[test]
fn every_call_of_the_staging_thread_sees_what_it_staged() {
    let (bench, _stage) = staging();
    assert_eq!(bench.outbox.accepted(), 3);
    let (bench, _stage) = staging();
    assert_eq!(bench.outbox.queued(), 3);
    let (bench, _stage) = staging();
    bench.outbox.advance();
    assert_eq!(sent(&bench), "123");
    let (bench, _stage) = staging();
    bench.outbox.finish();
    assert_eq!(sent(&bench), "123");
    assert_eq!(lock(&bench.hand).ends, 1);
}

#[test]
fn a_large_item_and_another_outbox_keep_the_order() {
    let (bench, _stage) = staging();
    let large = vec![b'L'; 4096];
    bench.write(&large).expect("open");
    bench.write(b"4").expect("open");
    let other = Bench::new(usize::MAX, TestSchedule::default());
    for item in [b"a", b"b", b"c"] {
        other.write(item).expect("open");
    }
    bench.write(b"5").expect("open");
    bench.outbox.advance();
    other.outbox.advance();
    assert_eq!(sent(&bench), format!("123{}45", "L".repeat(4096)));
    assert_eq!(sent(&other), "abc");
}

#[test]
fn a_stage_that_is_full_is_settled_and_the_queue_fills_to_its_mark() {
    let stage = WorkerStage::enter();
    let bench = Bench::new(0, TestSchedule::default());
    let item = [b'x'; 100];
    let mut accepted = 0;
    while bench.write(&item).expect("open") {
        accepted += item.len();
        assert!(accepted < 2 * HIGH_WATER_BYTES, "a stage goes round the mark");
    }
    drop(stage);
    assert_eq!(bench.outbox.queued(), accepted);
}

#[test]
fn no_stage_begins_where_it_could_fill_the_queue_to_its_mark() {
    for (queued, begins) in [(STAGE_BYTES + 1, true), (STAGE_BYTES, false)] {
        let _stage = WorkerStage::enter();
        let bench = Bench::new(0, TestSchedule::default());
        bench.write(&vec![b'x'; HIGH_WATER_BYTES - queued - 1]).expect("open");
        bench.write(b"x").expect("open");
        assert_eq!(is_staged(&bench), begins, "{queued} bytes below the mark");
    }
}

#[test]
fn another_thread_cannot_end_before_what_was_staged() {
    let (bench, _stage) = staging();
    on_another_thread(|| bench.outbox.finish());
    assert_eq!(lock(&bench.hand).ends, 0, "the end mark overtook accepted bytes");
    end_poll();
    assert_eq!(sent(&bench), "123");
    assert_eq!(lock(&bench.hand).ends, 1);
    assert!(bench.write(b"4").is_err(), "accepted after the end mark");
}

#[test]
fn a_stage_takes_nothing_more_once_another_thread_has_finished() {
    let (bench, _stage) = staging();
    on_another_thread(|| bench.outbox.finish());
    assert!(bench.write(b"4").is_err(), "accepted after the end was asked for");
    assert_eq!(sent(&bench), "123");
}

#[test]
fn another_threads_item_waits_until_it_is_settled() {
    let (bench, _stage) = staging();
    let early = on_another_thread(|| bench.write(b"4").expect("open"));
    assert!(!early, "it would have overtaken");
    let (mut room, wakes) = wait_for(&bench.outbox, Until::Room);
    end_poll();
    assert!(woken(&wakes));
    assert!(poll(&mut room, &wakes).is_ready());
    assert!(on_another_thread(|| bench.write(b"4").expect("open")));
    bench.outbox.advance();
    assert_eq!(sent(&bench), "1234");
}

#[test]
fn another_thread_knows_that_a_flush_must_wait() {
    let (bench, _stage) = staging();
    assert!(on_another_thread(|| bench.outbox.is_staged_elsewhere()));
    end_poll();
    assert!(!on_another_thread(|| bench.outbox.is_staged_elsewhere()));
}

#[test]
fn what_is_settled_behind_another_threads_flush_is_due_again() {
    let (bench, _stage) = staging();
    on_another_thread(|| bench.outbox.advance());
    assert_eq!((sent(&bench).as_str(), bench.turns.defers.load(SeqCst)), ("12", 1));
    end_poll();
    assert_eq!(bench.turns.defers.load(SeqCst), 2, "the third would wait for another write");
}

#[test]
fn what_was_staged_for_an_aborted_outbox_is_dropped() {
    let (bench, _stage) = staging();
    on_another_thread(|| bench.outbox.abort(&Error::other("why")));
    end_poll();
    assert_eq!(bench.outbox.queued(), 0);
    assert!(bench.write(b"4").is_err());
    assert_eq!(lock(&bench.hand).aborts.len(), 1);
}

#[test]
fn a_writer_that_moves_between_threads_keeps_its_order() {
    const ITEMS: usize = if cfg!(miri) { 200 } else { 20_000 };
    let bench = Bench::new(usize::MAX, TestSchedule::default());
    let next = Mutex::new(0_usize);
    let writer = || {
        let _stage = WorkerStage::enter();
        loop {
            // The lock stands for any way to hand a channel from task to task within a poll.
            let mut next = lock(&next);
            for _ in 0..7 {
                if *next == ITEMS {
                    return;
                }
                let item = format!("{next};");
                match bench.write(item.as_bytes()) {
                    Ok(true) => *next += 1,
                    Ok(false) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            drop(next);
            end_poll();
            bench.outbox.advance();
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        scope.spawn(writer);
        scope.spawn(writer);
    });
    bench.outbox.advance();
    let expected = (0..ITEMS).map(|item| item.to_string() + ";").collect::<String>();
    assert!(sent(&bench) == expected, "lost, doubled or out of order");
}

/// Writes a burst when it is woken.
struct Writes(Arc<Outbox>);

impl Wake for Writes {
    fn wake(self: Arc<Self>) {
        for item in [b"a", b"b", b"c"] {
            assert!(self.0.accept(true, &item[..]).expect("open"));
        }
    }
}

#[test]
fn what_a_waker_stages_while_a_stage_is_settled_is_kept() {
    let (bench, _stage) = staging();
    let other = Bench::new(usize::MAX, TestSchedule::default());
    let waker = Waker::from(Arc::new(Writes(Arc::clone(&other.outbox))));
    let mut room = pin!(bench.outbox.wait(Until::Room));
    assert!(room.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    end_poll();
    assert!(is_staged(&other), "it was not woken, or no burst");
    end_poll();
    other.outbox.advance();
    assert_eq!(sent(&other), "abc");
}
