//! The copy in which the next lines are checked for UTF-8 together: when it is made, and that its memory is used again.

use std::thread;

use allocation_counter::measure;
use forebay_io::{ByteReadChannel, ByteWriteChannel, pipe};
use forebay_testing::channels::ledgered;
use forebay_testing::{KIB, at_once, cut_after};

/// Returns three lines of this many bytes together.
fn three_lines(bytes: usize) -> String {
    format!("one\ntwo\n{}\n", "x".repeat(bytes - 9))
}

fn read_lines(input: &mut ByteReadChannel, count: usize) {
    for _ in 0..count {
        assert!(at_once(input.read_line_ref()).expect("text").is_some());
    }
}

/// Writes three lines and reads them. A byte is left in the channel.
fn pass_lines(input: &mut ByteReadChannel, output: &mut ByteWriteChannel) {
    at_once(output.write_strs(&[&three_lines(200), "x"])).expect("room");
    read_lines(input, 3);
}

fn sleep(input: &mut ByteReadChannel) {
    assert!(cut_after(1, input.read_line_ref()).is_none());
}

/// Each number in a thread of its own, because a thread keeps the memory for its next channel.
#[test]
fn a_few_lines_are_not_copied() {
    for (bytes, is_copied) in [(10, false), (63, false), (64, true), (200, true)] {
        let test = move || {
            ledgered(|_| {
                let (mut input, mut output) = pipe(4 * KIB);
                // A line alone is never copied.
                at_once(output.write_str("one line\n")).expect("room");
                read_lines(&mut input, 1);
                at_once(output.write_str(&three_lines(bytes))).expect("room");
                let read = measure(|| read_lines(&mut input, 1));
                assert_eq!(read.bytes_max >= 2 * KIB as u64, is_copied, "{bytes} bytes: {read:?}");
            });
        };
        thread::spawn(test).join().expect("as it should be");
    }
}

/// Checks that a step takes less memory than a copy would, once it was done a few times.
#[track_caller]
fn assert_used_again(mut step: impl FnMut()) {
    // The pool's own list of blocks grows to two places first.
    (0..3).for_each(|_| step());
    let counted = measure(|| (0..50).for_each(|_| step()));
    assert!(counted.bytes_total < 50 * KIB as u64, "{counted:?}");
}

#[test]
fn the_memory_of_the_copy_is_used_for_the_next_lines() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(4 * KIB);
        assert_used_again(|| pass_lines(&mut input, &mut output));
    });
}

#[test]
fn the_memory_of_the_copy_is_there_after_a_sleep() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(4 * KIB);
        let (mut idle, _idle_output) = pipe(4 * KIB);
        assert_used_again(|| {
            pass_lines(&mut input, &mut output);
            sleep(&mut input);
            // It has none to give back.
            sleep(&mut idle);
        });
    });
}

#[test]
fn the_memory_of_a_dropped_channel_is_used_by_the_next_one() {
    ledgered(|_| {
        let mut channels: Vec<_> = (0..53).map(|_| pipe(4 * KIB)).collect();
        assert_used_again(|| {
            let (mut input, mut output) = channels.pop().expect("one for each step");
            at_once(output.write_str(&three_lines(200))).expect("room");
            read_lines(&mut input, 2);
        });
    });
}
