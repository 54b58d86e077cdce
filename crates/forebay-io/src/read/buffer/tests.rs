use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use forebay_testing::{property, sizes};

/// Below this size, the memory of a buffer does not matter.
const SMALL_BYTES: usize = 64;

/// The memory that a buffer keeps.
fn pinned(buffer: &Buffer) -> usize {
    let storage = match &buffer.storage {
        Storage::Empty => 0,
        Storage::Block(_) => BLOCK_BYTES,
        Storage::Kept(bytes) => bytes.capacity(),
        Storage::Grown(bytes) => bytes.capacity(),
    };
    let arriving = buffer.arriving.as_ref().map_or(0, |_| BLOCK_BYTES);
    storage + arriving + buffer.front.checked.memory()
}

fn check_asleep(buffer: &Buffer) {
    let (pinned, held) = (pinned(buffer), buffer.len());
    assert!(
        pinned <= 4 * held || pinned <= SMALL_BYTES && held > 0,
        "{pinned} bytes pinned by {held}"
    );
}

/// The address of the first readable byte. As long as it stays the same, nothing was moved.
fn place(buffer: &Buffer) -> usize {
    buffer.readable().as_ptr().addr() - buffer.head
}

/// The size of the memory that the readable bytes lie in. Should it change, they may be moved, even
/// where an allocator happens to extend them in place.
fn extent(buffer: &Buffer) -> usize {
    match &buffer.storage {
        Storage::Empty => 0,
        Storage::Block(_) => BLOCK_BYTES,
        Storage::Kept(bytes) => bytes.capacity(),
        Storage::Grown(bytes) => bytes.capacity(),
    }
}

/// Runs a step and returns how many bytes it can have moved: all of them, if they lie elsewhere now.
fn moved_by(buffer: &mut Buffer, step: impl FnOnce(&mut Buffer)) -> usize {
    let before = (place(buffer), buffer.head, extent(buffer));
    let len_before = buffer.len();
    step(buffer);
    if (place(buffer), buffer.head, extent(buffer)) == before {
        return 0;
    }
    len_before
}

/// Lets `count` bytes arrive, as from a socket that returns `EAGAIN` behind them.
fn arrive(buffer: &mut Buffer, bytes: &[u8], most: usize) -> usize {
    let space = buffer.space(most);
    assert!(!space.is_empty(), "no room was made");
    let count = bytes.len().min(space.len());
    space[..count].copy_from_slice(&bytes[..count]);
    buffer.fill(count);
    count
}

#[derive(Debug, Clone)]
enum Op {
    Arrive(usize, usize),
    Idle,
    Settle,
    Take(usize),
    CheckLines(usize),
    Freeze(usize),
    GiveBack(usize),
    Clear,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (sizes(), sizes()).prop_map(|(count, most)| Op::Arrive(count - 1, most)),
        1 => Just(Op::Idle),
        2 => Just(Op::Settle),
        4 => sizes().prop_map(Op::Take),
        2 => sizes().prop_map(Op::CheckLines),
        2 => sizes().prop_map(Op::Freeze),
        1 => sizes().prop_map(Op::GiveBack),
        1 => Just(Op::Clear),
    ];
    vec(op, 0..60)
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn the_window_shows_what_arrived_and_was_not_taken() {
    property("buffer model", 400, &ops(), |ops| {
        let mut buffer = Buffer::default();
        let mut oracle = VecDeque::new();
        // With many lines among them.
        let mut next = (0..=250_u8).map(|byte| if byte % 16 == 5 { b'\n' } else { byte }).cycle();
        let mut handed_out = Vec::new();
        for op in ops {
            match op {
                Op::Arrive(count, most) => {
                    let bytes: Vec<u8> = next.by_ref().take(count).collect();
                    let taken = arrive(&mut buffer, &bytes, most);
                    oracle.extend(&bytes[..taken]);
                }
                Op::Idle => {
                    assert!(!buffer.space(1).is_empty());
                    buffer.trim();
                    check_asleep(&buffer);
                }
                Op::Settle => {
                    buffer.trim();
                    check_asleep(&buffer);
                }
                Op::Take(count) => {
                    let count = count.min(buffer.len());
                    let taken = buffer.take(count).to_vec();
                    assert_eq!(taken, oracle.drain(..count).collect::<Vec<u8>>());
                }
                Op::CheckLines(limit) => {
                    let first = oracle.iter().position(|&byte| byte == b'\n');
                    if let Some(lf) = first {
                        buffer.check_lines(lf + 1, limit);
                    }
                }
                Op::Freeze(count) => {
                    let count = count.min(buffer.len());
                    let frozen = buffer.freeze(count);
                    handed_out.push((frozen, oracle.drain(..count).collect::<Vec<u8>>()));
                }
                Op::GiveBack(count) => {
                    let bytes: Vec<u8> = next.by_ref().take(count).collect();
                    buffer.give_back(&bytes);
                    for byte in bytes.into_iter().rev() {
                        oracle.push_front(byte);
                    }
                }
                Op::Clear => {
                    buffer.clear();
                    oracle.clear();
                    assert_eq!(pinned(&buffer), 0);
                }
            }
            assert!(buffer.readable() == oracle.make_contiguous());
            if let Some((content, consumed)) = buffer.find_checked() {
                let lf = oracle.iter().position(|&byte| byte == b'\n').expect("a whole line");
                assert_eq!(consumed, lf + 1);
                assert!(content == lf || content + 1 == lf && oracle[content] == b'\r');
            }
            assert!(buffer.head <= buffer.tail);
            assert!(buffer.tail <= buffer.storage.as_slice().len());
        }
        // Nothing that happened later wrote into memory that was handed out.
        for (frozen, expected) in handed_out {
            assert_eq!(frozen, expected);
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn a_byte_that_arrives_moves_a_few_bytes_at_most() {
    property("moved bytes", 200, &vec(sizes(), 1..200), |pieces| {
        let (mut buffer, mut arrived, mut moved) = (Buffer::default(), 0, 0);
        for piece in pieces {
            let mut left = vec![7; piece.min(1024 * 1024 - arrived)];
            while !left.is_empty() {
                let mut taken = 0;
                moved += moved_by(&mut buffer, |buffer| {
                    taken = arrive(buffer, &left, usize::MAX);
                });
                left.drain(..taken);
                arrived += taken;
            }
            moved += moved_by(&mut buffer, Buffer::trim);
        }
        assert!(moved <= 6 * arrived, "{moved} bytes moved for {arrived}");
    });
}

#[test]
fn a_drip_of_single_bytes_moves_a_few_bytes_for_each() {
    let (mut buffer, mut moved) = (Buffer::default(), 0);
    let arrivals = if cfg!(miri) { 1024 } else { 200 * 1024 };
    for at in 0..arrivals {
        let byte = [u8::try_from(at % 251).expect("a byte")];
        moved += moved_by(&mut buffer, |buffer| {
            arrive(buffer, &byte, usize::MAX);
        });
        moved += moved_by(&mut buffer, Buffer::trim);
        check_asleep(&buffer);
    }
    assert_eq!(buffer.len(), arrivals);
    assert!(moved <= 6 * arrivals, "{moved} bytes moved for {arrivals}");
}

#[test]
fn what_is_left_is_moved_to_the_front_only_where_that_is_cheap_or_needed() {
    // Much is left, and there is still room behind it.
    let mut buffer = Buffer::default();
    arrive(&mut buffer, &vec![1; 60_000], 1);
    buffer.consume(1);
    assert_eq!(moved_by(&mut buffer, |buffer| assert!(!buffer.space(1).is_empty())), 0);
    // Little is left, and little room behind it.
    buffer.consume(59_000);
    assert_eq!(buffer.space(1).len(), BLOCK_BYTES - 999);
    // There is no room at all.
    let mut buffer = Buffer::default();
    arrive(&mut buffer, &vec![1; BLOCK_BYTES], 1);
    buffer.consume(10);
    assert_eq!(buffer.space(1).len(), 10);
}

#[test]
fn a_grown_buffer_is_capped_by_what_was_asked_for() {
    let mut buffer = Buffer::default();
    let most = 100_000;
    while buffer.len() < most {
        arrive(&mut buffer, &[1; 3000], most);
        assert!(pinned(&buffer) <= most.max(BLOCK_BYTES));
    }
    assert_eq!(buffer.len(), most, "the room ended where the limit is");
}

#[test]
fn a_sleeping_buffer_does_not_pin_what_it_once_needed() {
    let mut buffer = Buffer::default();
    while buffer.len() < 1024 * 1024 {
        arrive(&mut buffer, &vec![1; 60_000], 1024 * 1024);
    }
    buffer.consume(buffer.len() - 20_000);
    buffer.trim();
    check_asleep(&buffer);
}

#[test]
fn a_given_back_megabyte_is_not_pinned_by_the_bytes_that_arrive_behind_its_rest() {
    let mut buffer = Buffer::default();
    buffer.give_back(&vec![1; 1024 * 1024]);
    buffer.consume(1024 * 1024 - 10_000);
    arrive(&mut buffer, &[2; 100], 20_000);
    buffer.trim();
    check_asleep(&buffer);
    assert_eq!(buffer.len(), 10_100);
}

#[test]
fn room_is_taken_only_when_it_is_asked_for_and_given_back_unused() {
    let mut buffer = Buffer::default();
    assert_eq!(pinned(&buffer), 0);
    buffer.space(1);
    assert_eq!(pinned(&buffer), BLOCK_BYTES);
    buffer.trim();
    assert_eq!(pinned(&buffer), 0);
}

#[test]
#[should_panic(expected = "more than it was offered")]
fn a_source_that_fills_more_than_the_room_is_stopped() {
    let mut buffer = Buffer::default();
    let offered = buffer.space(1).len();
    buffer.fill(offered + 1);
}

#[test]
#[should_panic(expected = "more than it was offered")]
fn a_source_that_fills_more_than_the_room_behind_a_remainder_is_stopped() {
    let mut buffer = Buffer::default();
    arrive(&mut buffer, b"left", 1);
    buffer.trim();
    let offered = buffer.space(1).len();
    buffer.fill(offered + 1);
}

#[test]
fn little_that_a_call_leaves_in_a_block_is_moved_once_and_much_is_not() {
    let mut buffer = Buffer::default();
    arrive(&mut buffer, &vec![1; KEEP_BLOCK_BYTES + 1], 1);
    for end in [Buffer::end_call, Buffer::trim, Buffer::trim_block] {
        assert_eq!(moved_by(&mut buffer, end), 0, "more than a quarter of a block");
    }
    buffer.consume(1);
    for end in [Buffer::end_call, Buffer::trim, Buffer::trim_block] {
        assert_eq!(moved_by(&mut buffer, end), 0, "a quarter of a block");
    }
    buffer.consume(1);
    assert_ne!(moved_by(&mut buffer, Buffer::end_call), 0, "less than that");
    for _ in 0..2 {
        buffer.consume(1);
        assert_eq!(moved_by(&mut buffer, Buffer::end_call), 0, "moved already");
    }
}

#[test]
fn an_empty_buffer_returns_its_block_when_a_call_ends() {
    let mut buffer = Buffer::default();
    arrive(&mut buffer, b"x", 1);
    buffer.consume(1);
    assert_eq!(pinned(&buffer), BLOCK_BYTES);
    buffer.end_call();
    assert_eq!(pinned(&buffer), 0);
}

#[test]
fn a_block_is_added_only_behind_a_small_remainder() {
    for (left, expected) in [
        (KEEP_BLOCK_BYTES - 1, BLOCK_BYTES + KEEP_BLOCK_BYTES - 1),
        (KEEP_BLOCK_BYTES, BLOCK_BYTES),
    ] {
        let mut buffer = Buffer::default();
        buffer.give_back(&vec![1; left]);
        buffer.space(1);
        assert_eq!(pinned(&buffer), expected, "{left} bytes were left");
    }
}

#[test]
fn a_grown_buffer_is_exchanged_for_a_block_when_bytes_arrive_behind_little() {
    for (left, is_exchanged) in [(KEEP_BLOCK_BYTES, false), (KEEP_BLOCK_BYTES - 1, true)] {
        let mut buffer = Buffer::default();
        while buffer.len() < 2 * BLOCK_BYTES {
            arrive(&mut buffer, &[1; 1024], 2 * BLOCK_BYTES);
        }
        buffer.consume(buffer.len() - left);
        arrive(&mut buffer, b"x", 1);
        assert_eq!(pinned(&buffer) == BLOCK_BYTES, is_exchanged, "{left} bytes were left");
    }
}

#[test]
fn what_is_changed_in_place_is_read() {
    let mut buffer = Buffer::default();
    arrive(&mut buffer, b"-abc", 1);
    buffer.consume(1);
    buffer.readable_mut().make_ascii_uppercase();
    assert_eq!(buffer.readable(), b"ABC");
}

#[test]
fn four_times_the_memory_is_kept_and_nothing_is_moved_for_it() {
    let mut kept = Buffer::default();
    kept.give_back(&[1; 400]);
    kept.consume(300);
    let mut grown = Buffer::default();
    while grown.len() < 2 * BLOCK_BYTES {
        arrive(&mut grown, &[1; 1024], 2 * BLOCK_BYTES);
    }
    grown.consume(2 * BLOCK_BYTES - BLOCK_BYTES / 2);
    for mut buffer in [kept, grown] {
        assert_eq!(pinned(&buffer), 4 * buffer.len());
        assert_eq!(moved_by(&mut buffer, Buffer::trim), 0);
        buffer.consume(1);
        assert_ne!(moved_by(&mut buffer, Buffer::trim), 0);
        check_asleep(&buffer);
    }
}

/// Returns `true` if the first `count` of `held` bytes are taken with their memory, and not as a copy.
fn is_taken_with_its_memory(held: usize, count: usize) -> bool {
    let mut buffer = Buffer::default();
    while buffer.len() < held {
        arrive(&mut buffer, &vec![1; held.min(1024)], held);
    }
    let before = buffer.readable().as_ptr();
    buffer.freeze(count).as_ptr() == before
}

#[test]
fn what_fills_half_of_its_memory_is_taken_with_it_if_that_is_half_a_block() {
    assert!(is_taken_with_its_memory(BLOCK_BYTES, BLOCK_BYTES / 2));
    assert!(!is_taken_with_its_memory(BLOCK_BYTES, BLOCK_BYTES / 2 - 1));
    assert!(is_taken_with_its_memory(4 * BLOCK_BYTES, 2 * BLOCK_BYTES));
    assert!(!is_taken_with_its_memory(4 * BLOCK_BYTES, 2 * BLOCK_BYTES - 1));
    let mut small = Buffer::default();
    small.give_back(&[1; 100]);
    let before = small.readable().as_ptr();
    assert_ne!(small.freeze(100).as_ptr(), before, "cheaper to copy");
}

#[test]
fn an_empty_buffer_starts_again_at_the_front_of_one_block() {
    let mut buffer = Buffer::default();
    arrive(&mut buffer, &[1; 100], 1);
    buffer.consume(100);
    assert_eq!(buffer.space(1).len(), BLOCK_BYTES);
    let mut grown = Buffer::default();
    while grown.len() < 2 * BLOCK_BYTES {
        arrive(&mut grown, &[1; 1024], 2 * BLOCK_BYTES);
    }
    grown.consume(2 * BLOCK_BYTES);
    assert_eq!(grown.space(1).len(), BLOCK_BYTES);
}

#[test]
fn nothing_is_moved_while_a_quarter_of_the_block_is_free() {
    let mut buffer = Buffer::default();
    arrive(&mut buffer, &vec![1; BLOCK_BYTES - ENOUGH_SPACE_BYTES], 1);
    buffer.consume(buffer.len() - 10);
    assert_eq!(buffer.space(1).len(), ENOUGH_SPACE_BYTES);
    arrive(&mut buffer, b"x", 1);
    assert_eq!(buffer.space(1).len(), BLOCK_BYTES - 11);
}

#[test]
fn a_block_is_offered_with_so_many_bytes_and_stays_if_it_is_refused() {
    let mut buffer = Buffer::default();
    arrive(&mut buffer, b"-0123456789", 1);
    buffer.consume(1);
    assert!(buffer.offer_block(11, |_| ()).is_none(), "there are ten");
    let refused = buffer.offer_block(10, |part| part.as_ref().map(|part| (part.start, part.end)));
    assert_eq!(refused, Some(Some((1, 11))));
    assert_eq!(buffer.readable(), b"0123456789");
    assert!(buffer.offer_block(9, |part| part.take().is_some()).is_some_and(|taken| taken));
    assert_eq!((buffer.len(), pinned(&buffer)), (0, 0));
    buffer.give_back(b"no block");
    assert!(buffer.offer_block(1, |_| ()).is_none());
    assert_eq!(buffer.readable(), b"no block");
}
