//! The list of live tasks.

use super::live::{Live, ROOM_MIN, SPARSE};

#[test]
fn the_memory_of_a_peak_is_given_back() {
    let mut live = Live::default();
    let mut numbers: Vec<_> = (0..100_000).map(|entry| live.insert(entry)).collect();
    assert!(live.entries.capacity() >= 100_000);
    // Not in the order of insertion.
    numbers.sort_by_key(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    for (left, number) in (0..numbers.len()).rev().zip(&numbers) {
        assert!(live.remove(*number).is_some());
        assert!(live.room <= ROOM_MIN.max(SPARSE * (left + 1)), "room for {} of {left}", live.room);
    }
    assert_eq!(live.len(), 0);
    assert!(live.entries.capacity() <= 2 * ROOM_MIN);
}

#[test]
fn coming_and_going_at_any_size_moves_few_entries() {
    for size in [0, 1, 100, 999, 1000, 1001, 1002, 4000] {
        let mut live = Live::default();
        let peak: Vec<_> = (0..8_000).map(|entry| live.insert(entry)).collect();
        for number in &peak[size..] {
            live.remove(*number);
        }
        // Memory is freed when entries are moved.
        let (mut moves, mut before) = (0, live.room);
        for entry in 0..1000 {
            let [one, two] = [live.insert(entry), live.insert(entry)];
            live.remove(one);
            live.remove(two);
            moves += usize::from(live.room < before);
            before = live.room;
        }
        assert!(moves <= 1, "{moves} times, at {size} entries");
        assert_eq!(live.len(), size);
    }
}

#[test]
fn a_number_names_one_entry_for_good() {
    let mut live = Live::default();
    let first = live.insert("first");
    assert_eq!(live.remove(first), Some("first"));
    let second = live.insert("second");
    assert_ne!(first, second);
    assert_eq!((live.remove(first), live.get_mut(second)), (None, Some(&mut "second")));
    assert_eq!(live.values().collect::<Vec<_>>(), [&"second"]);
}
