use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use forebay_testing::{KIB, MIB, property, scrambled, sizes};

fn all(queue: &SendQueue) -> Vec<u8> {
    let segments = queue.front.iter().chain(&queue.rest);
    segments.map(Segment::as_slice).collect::<Vec<_>>().concat()
}

/// The memory that the queue owns; the caller's values do not count.
fn pinned(queue: &SendQueue) -> usize {
    let segments = queue.front.iter().chain(&queue.rest);
    segments
        .map(|segment| match segment {
            Segment::Block { block, .. } => block.as_slice().len(),
            Segment::Kept { bytes, .. } => bytes.capacity(),
            Segment::Shared(_) | Segment::Lent(_) | Segment::Kernel(_) => 0,
        })
        .sum()
}

fn pieces(queue: &SendQueue) -> usize {
    queue.front.iter().chain(&queue.rest).count()
}

fn check(queue: &SendQueue, oracle: &mut VecDeque<u8>) {
    let oracle = oracle.make_contiguous();
    assert_eq!(queue.len(), oracle.len());
    assert_eq!(queue.is_empty(), oracle.is_empty());
    assert!(all(queue) == oracle, "bytes lost, doubled or out of order");
    let mut segments = queue.front.iter().chain(&queue.rest);
    assert!(segments.all(|segment| !segment.as_slice().is_empty()), "an empty piece");
    assert!(queue.front.is_some() || queue.rest.is_empty());
    assert_eq!(queue.is_one_piece(), pieces(queue) < 2);

    let (slices, count) = queue.slices();
    let offered: Vec<u8> =
        slices[..count].iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
    assert!(oracle.starts_with(&offered), "slices out of order");
    assert_eq!(count, pieces(queue).min(SLICES_COUNT));
    assert_eq!(queue.first(), slices[..count].first().map_or(&[][..], |slice| slice));
}

#[derive(Debug, Clone)]
enum Op {
    Slice(usize),
    /// A value, and whether it may be lent.
    Bytes(usize, bool),
    Sent(usize),
    Move(usize),
    MovedOn(usize),
    Settle,
    Clear,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => sizes().prop_map(|len| Op::Slice(len - 1)),
        2 => (sizes(), any::<bool>()).prop_map(|(len, lends)| Op::Bytes(len - 1, lends)),
        3 => sizes().prop_map(Op::Sent),
        2 => sizes().prop_map(Op::Move),
        1 => sizes().prop_map(Op::MovedOn),
        3 => Just(Op::Settle),
        1 => Just(Op::Clear),
    ];
    vec(op, 0..60)
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn a_queue_gives_what_it_was_given() {
    property("queue model", 300, &ops(), |ops| {
        let (mut queue, mut oracle) = (SendQueue::default(), VecDeque::new());
        let (mut other, mut other_oracle) = (SendQueue::default(), VecDeque::new());
        for (seed, op) in ops.into_iter().enumerate() {
            let mut after = WakeList::new();
            match op {
                Op::Slice(len) => {
                    queue.push_slice(&scrambled(len, seed));
                    oracle.extend(scrambled(len, seed));
                }
                Op::Bytes(len, lends) => {
                    queue.push_bytes(&mut scrambled(len, seed).into(), lends);
                    oracle.extend(scrambled(len, seed));
                }
                Op::Sent(count) => {
                    let count = count.min(queue.len());
                    queue.sent(count, &mut after);
                    oracle.drain(..count);
                }
                Op::Move(most) => {
                    queue.move_to(&mut other, most, &mut after);
                    let count = most.min(oracle.len());
                    other_oracle.extend(oracle.drain(..count));
                }
                Op::MovedOn(count) => {
                    let count = count.min(other.len());
                    other.sent(count, &mut after);
                    other_oracle.drain(..count);
                }
                Op::Settle => {
                    queue.trim(&mut after);
                    assert!(!queue.segments().any(|segment| matches!(segment, Segment::Lent(_))));
                    // One partly sent block may stand before what was settled.
                    assert!(pinned(&queue) <= 4 * queue.len() + BLOCK_BYTES);
                }
                Op::Clear => {
                    queue.clear(&mut after);
                    oracle.clear();
                    assert_eq!(pinned(&queue), 0);
                }
            }
            after.run();
            check(&queue, &mut oracle);
            check(&other, &mut other_oracle);
        }
    });
}

/// Bytes whose number of owners can be asked for.
fn owned(len: usize) -> (Bytes, Arc<Vec<u8>>) {
    struct Owner(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let bytes = Arc::new(scrambled(len, 0));
    (Bytes::from_owner(Owner(Arc::clone(&bytes))), bytes)
}

/// The queue drops no value itself: one that was copied is the caller's, and any other one is put into the list.
#[test]
fn a_value_of_the_callers_is_dropped_by_afterwards_alone() {
    for len in [0, 1, LEND_BYTES - 1, LEND_BYTES, SHARE_BYTES - 1, SHARE_BYTES, SHARE_BYTES + 1] {
        for (lends, trims) in [(false, false), (true, false), (true, true)] {
            let (mut queue, mut after) = (SendQueue::default(), WakeList::new());
            let (mut bytes, owner) = owned(len);
            queue.push_bytes(&mut bytes, lends);
            // Such a value never tells whether it is the only one.
            assert_eq!(bytes.is_empty(), lends || len >= SHARE_BYTES || len == 0);
            if trims {
                queue.trim(&mut after);
            }
            queue.sent(len, &mut after);
            assert_eq!(Arc::strong_count(&owner), 2, "dropped under the lock: {len}");
            after.run();
            drop(bytes);
            assert_eq!(Arc::strong_count(&owner), 1, "kept: {len}");
        }
    }
}

/// A value that others hold too is lent, as long as one call takes all; any other small one is copied into one piece.
#[test]
fn small_values_are_lent_if_others_hold_them_too() {
    let mut after = WakeList::new();
    for is_shared in [true, false] {
        let mut queue = SendQueue::default();
        let values: Vec<Bytes> = (0..100).map(|seed| scrambled(50, seed).into()).collect();
        let held = if is_shared { values.clone() } else { Vec::new() };
        for mut value in values {
            queue.push_bytes(&mut value, true);
        }
        assert_eq!(pieces(&queue), if is_shared { LENT_COUNT_MAX + 1 } else { 1 });
        let (slices, _) = queue.slices();
        let lent =
            held.iter().zip(&slices).filter(|(value, slice)| value.as_ptr() == slice.as_ptr());
        assert_eq!(lent.count(), if is_shared { LENT_COUNT_MAX } else { 0 });
        queue.push_slice(&scrambled(40 * KIB, 0));
        let (slices, count) = queue.slices();
        let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        assert_eq!(offered, queue.len(), "more than one call");
        queue.trim(&mut after);
        assert!(pieces(&queue) <= 3, "pieces pile up");
    }
    after.run();
}

/// A peer that reads nothing pins no more of a value than what waits: a small part of a large allocation is copied.
#[test]
fn a_lent_value_is_given_back_when_the_queue_has_to_wait() {
    let (mut queue, mut after) = (SendQueue::default(), WakeList::new());
    let (whole, owner) = owned(MIB);
    let mut part = whole.slice(..LEND_BYTES);
    let place = part.as_ptr();
    drop(whole);
    queue.push_bytes(&mut part, true);
    assert_eq!(queue.first().as_ptr(), place, "copied although it may be sent at once");
    queue.sent(1, &mut after);
    queue.trim(&mut after);
    after.run();
    assert_eq!(Arc::strong_count(&owner), 1, "a mebibyte is pinned");
    assert!(queue.first() == &owner[1..LEND_BYTES]);
}

#[test]
fn a_cleared_queue_leaves_values_to_be_dropped_afterwards() {
    let (mut queue, mut after) = (SendQueue::default(), WakeList::new());
    let (mut bytes, owner) = owned(SHARE_BYTES);
    queue.push_slice(b"before");
    queue.push_bytes(&mut bytes, false);
    queue.push_slice(b"behind");
    queue.clear(&mut after);
    assert!(queue.is_empty());
    assert_eq!(Arc::strong_count(&owner), 2);
    after.run();
    assert_eq!(Arc::strong_count(&owner), 1);
}

#[test]
fn large_values_are_queued_and_moved_without_a_copy() {
    let (mut queue, mut other) = (SendQueue::default(), SendQueue::default());
    let mut after = WakeList::new();
    let (mut bytes, _owner) = owned(SHARE_BYTES);
    let place = bytes.as_ptr();
    queue.push_bytes(&mut bytes, false);
    assert_eq!(queue.first().as_ptr(), place);
    queue.move_to(&mut other, SHARE_BYTES, &mut after);
    assert_eq!(other.first().as_ptr(), place);
    after.run();
}

#[test]
fn small_items_lie_in_one_piece() {
    let mut queue = SendQueue::default();
    for item in 0..160 {
        queue.push_slice(&scrambled(50, item));
    }
    assert!(queue.is_one_piece(), "a small block holds 8 KiB");
    for item in 0..1000 {
        queue.push_slice(&scrambled(50, item));
    }
    assert_eq!(pieces(&queue), 2, "and a large one the next 64 KiB");
}

#[test]
fn a_peer_that_takes_a_little_at_a_time_does_not_make_the_queue_grow() {
    let mut queue = SendQueue::default();
    queue.push_slice(&scrambled(5000, 0));
    queue.trim(&mut WakeList::new());
    for turn in 0..if cfg!(miri) { 50 } else { 2000 } {
        queue.push_slice(&scrambled(1000, turn));
        let mut after = WakeList::new();
        queue.sent(1000, &mut after);
        queue.trim(&mut after);
        after.run();
        assert_eq!(queue.len(), 5000);
        assert!(pinned(&queue) <= 4 * queue.len(), "{} bytes pinned", pinned(&queue));
        assert!(pieces(&queue) <= 2, "pieces pile up");
    }
}

#[test]
fn a_peer_that_takes_nothing_does_not_collect_pieces() {
    let mut queue = SendQueue::default();
    let turns = if cfg!(miri) { 100 } else { 10 * KIB };
    for turn in 0..turns {
        queue.push_slice(&scrambled(1, turn));
        queue.trim(&mut WakeList::new());
        assert!(pieces(&queue) <= 2);
    }
    assert_eq!(queue.len(), turns);
}

/// A drain does not see what is withheld; afterwards it is there again.
#[test]
fn a_drain_sees_what_is_offered() {
    let bytes = scrambled(200 * KIB, 0);
    for most in [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 150 * KIB, 200 * KIB, MIB] {
        let (mut queue, mut other) = (SendQueue::default(), SendQueue::default());
        let mut after = WakeList::new();
        queue.push_slice(&bytes[..80 * KIB]);
        queue.push_bytes(&mut Bytes::copy_from_slice(&bytes[80 * KIB..]), false);
        queue.offer(most);
        let offered = most.min(bytes.len());
        assert_eq!((queue.len(), queue.is_empty()), (offered, offered == 0));
        let (slices, count) = queue.slices();
        let seen = slices[..count].iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
        assert!(seen == bytes[..offered]);
        assert_eq!(queue.is_one_piece(), count < 2);
        queue.move_to(&mut other, usize::MAX, &mut after);
        assert!(queue.is_empty() && all(&other) == bytes[..offered]);
        queue.offer_all();
        assert!(all(&queue) == bytes[offered..]);
        after.run();
    }
}
