//! Accepting at its borders: the mark, the small block, the pieces of a slice.

use super::*;
use crate::block::SMALL_BLOCK_BYTES;

fn hurries(bench: &Bench) -> usize {
    bench.turns.hurries.load(SeqCst)
}

#[test]
fn a_full_queue_is_seen_without_the_lock() {
    let bench = Bench::new(0, TestSchedule::default());
    bench.write(&vec![1; HIGH_WATER_BYTES - 1]).expect("open");
    assert!(bench.outbox.has_room());
    bench.write(b"x").expect("open");
    assert!(!bench.outbox.has_room(), "an item would be composed in vain");
}

#[test]
fn what_a_small_block_does_not_hold_is_hurried_once() {
    let bench = Bench::new(usize::MAX, TestSchedule::default());
    bench.write(&[1; SMALL_BLOCK_BYTES]).expect("open");
    assert_eq!(hurries(&bench), 0, "it fits");
    bench.write(b"x").expect("open");
    assert_eq!(hurries(&bench), 1);
    bench.write(&[1; SMALL_BLOCK_BYTES]).expect("open");
    assert_eq!(hurries(&bench), 1, "it is due at the end of the poll already");
    bench.outbox.advance();
    bench.write(&[1; 2 * SMALL_BLOCK_BYTES]).expect("open");
    assert_eq!(hurries(&bench), 2, "due anew");
}

#[test]
fn what_is_not_to_be_flushed_is_not_hurried() {
    let bench = Bench::new(0, TestSchedule::default());
    let large = [1; 2 * SMALL_BLOCK_BYTES];
    assert!(bench.outbox.accept(false, &large[..]).expect("open"));
    assert_eq!(hurries(&bench), 0);
}

#[test]
fn a_piece_without_the_one_before_it_is_refused() {
    let bench = Bench::new(0, TestSchedule::default());
    let piece = |before| Piece { bytes: b"abc", before, of: 9 };
    assert!(bench.outbox.accept_piece(true, piece(3)).is_err(), "the first is missing");
    assert!(bench.outbox.accept_piece(true, piece(0)).expect("the first"));
    assert!(bench.outbox.accept_piece(true, piece(6)).is_err(), "a gap");
    assert!(bench.outbox.accept_piece(true, piece(0)).is_err(), "another slice");
    assert!(bench.outbox.accept_piece(true, piece(3)).expect("the second"));
    bench.outbox.abort(&Error::other("over"));
    assert!(bench.outbox.accept_piece(true, piece(6)).is_err(), "nothing is accepted any more");
    assert_eq!(bench.outbox.queued(), 0);
}

#[test]
fn dropped_bytes_are_known_here_and_above() {
    let bench = Bench::new(0, TestSchedule::default());
    bench.outbox.abort(&Error::other("nothing was queued"));
    assert!(!bench.outbox.has_dropped());

    let bench = Bench::new(0, TestSchedule::default());
    bench.write(b"x").expect("open");
    assert!(!bench.outbox.has_dropped());
    let upper = below::over(&bench.outbox);
    assert!(!upper.has_dropped());
    bench.outbox.abort(&Error::other("over"));
    assert!(bench.outbox.has_dropped());
    assert!(upper.has_dropped(), "dropped below it");

    let bench = Bench::new(0, TestSchedule::default());
    let upper = below::over(&bench.outbox);
    assert!(upper.accept(true, &b"x"[..]).expect("open"));
    upper.abort(&Error::other("over"));
    assert!(upper.has_dropped());
    assert!(!bench.outbox.has_dropped(), "nothing was queued below");
}

#[test]
fn nothing_is_sent_while_an_abort_waits_for_the_lock() {
    let bench = Bench::new(9, TestSchedule::default());
    bench.write(b"x").expect("open");
    bench.outbox.aborting.store(true, Relaxed);
    bench.outbox.advance();
    assert!(lock(&bench.hand).sent.is_empty());
}

#[test]
fn an_end_at_once_is_in_order_only_if_nothing_waits() {
    let cause = Error::other("no time");
    let bench = Bench::new(9, TestSchedule::default());
    bench.write(b"sent").expect("open");
    bench.outbox.advance();
    assert!(bench.outbox.end_or_abort(&cause));
    assert_eq!((lock(&bench.hand).ends, bench.phase()), (1, OutboxPhase::Finished));
    assert!(bench.outbox.end_or_abort(&cause), "it has ended already");

    // Something waits, although the peer would take it.
    let bench = Bench::new(9, TestSchedule::default());
    bench.write(b"waits").expect("open");
    assert!(!bench.outbox.end_or_abort(&cause));
    assert!(lock(&bench.hand).sent.is_empty());
    assert_eq!(lock(&bench.hand).ends, 0);
    assert_eq!(lock(&bench.hand).aborts, ["no time"]);

    // The end mark itself would have to wait.
    let bench = Bench::new(9, TestSchedule::default());
    lock(&bench.hand).holds_end = true;
    assert!(!bench.outbox.end_or_abort(&cause));
    assert_eq!(bench.phase(), OutboxPhase::Aborted);
}

#[test]
fn what_was_sent_is_counted_with_what_was_sent_below() {
    let bench = Bench::new(4, TestSchedule::default());
    let upper = below::over(&bench.outbox);
    assert!(upper.accept(true, &b"abc"[..]).expect("open"));
    assert_eq!(upper.sent(), 0);
    upper.advance();
    bench.outbox.advance();
    assert_eq!((bench.outbox.sent(), upper.sent()), (4, 7), "a colon is put in front");
}

#[test]
fn an_empty_item_is_tried_as_one_byte_would_be() {
    let bench = Bench::new(0, TestSchedule::default());
    let try_both = || {
        let [item, value] = [
            bench.outbox.try_accept(true, &b""[..]),
            bench.outbox.try_accept_bytes(true, Bytes::new()),
        ];
        assert_eq!(item.is_ok(), value.is_ok());
        item.inspect(|item| assert!(value.is_ok_and(|value| value == *item)))
    };
    assert!(try_both().expect("open"), "there is room");
    bench.write(&vec![1; HIGH_WATER_BYTES]).expect("open");
    assert!(!try_both().expect("open"), "there is none");
    bench.outbox.finish();
    assert!(try_both().is_err());
}
