//! Allocations of frames and of shared channels, counted.

use allocation_counter::{AllocationInfo, measure};
use forebay_io::{DelimiterFraming, LengthFraming, pipe, write_line};
use forebay_testing::{
    KIB, at_once,
    channels::{Recorder, Script, ledgered},
    cut_after, finish, scrambled,
};

#[test]
fn a_large_frame_that_drips_in_is_moved_as_often_as_its_memory_doubles() {
    ledgered(|_| {
        let length = 200 * KIB;
        let framing = DelimiterFraming::new("--");
        let (script, mut input) = Script::new([]);
        let mut counted = AllocationInfo::default();
        for _ in 0..length {
            script.bytes("x");
            let this = measure(|| assert!(cut_after(1, input.read_frame(&framing)).is_none()));
            counted.count_total += this.count_total;
            counted.bytes_total += this.bytes_total;
        }
        script.bytes("--");
        let frame = finish(input.read_frame(&framing)).expect("it is whole").expect("a frame");
        assert_eq!(frame.len(), length);
        assert!(counted.count_total <= 200, "{counted:?}");
        assert!(counted.bytes_total <= 8 * length as u64, "{counted:?}");
    });
}

#[test]
fn an_announced_frame_costs_what_has_arrived_of_it() {
    let (script, mut input) = Script::new([]);
    let framing = LengthFraming::u32().limit(1 << 30);
    script.bytes((1_u32 << 30).to_be_bytes());
    for arrived in [10, 100 * KIB, 500 * KIB] {
        script.bytes(vec![0; arrived]);
        let counted = measure(|| assert!(cut_after(40, input.read_frame(&framing)).is_none()));
        let held = counted.bytes_max;
        assert!(held <= 4 * (arrived + 64 * KIB) as u64, "{held} bytes for {arrived}");
    }
}

#[test]
fn small_frames_are_written_without_an_allocation_and_large_ones_with_one() {
    let framing = LengthFraming::u32();
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    let small = scrambled(100, 0);
    let large = scrambled(100 * KIB, 0);
    for _ in 0..3 {
        at_once(output.write_frame(&framing, &[&small])).expect("room");
        let counted = measure(|| {
            for _ in 0..15 {
                at_once(output.write_frame(&framing, &[&small[..50], &small[50..]])).expect("room");
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
        turns.end();
        let counted = measure(|| {
            at_once(output.write_frame(&framing, &[&large])).expect("room");
        });
        assert!(counted.bytes_total < 101 * KIB as u64, "copied again: {counted:?}");
        turns.end();
    }
}

#[test]
fn a_frame_is_read_with_one_allocation() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(4 * KIB);
        let framing = LengthFraming::u16();
        let mut exchange = || {
            at_once(output.write_frame(&framing, &[b"Hello, ", b"Ada!"])).expect("room");
            let frame = at_once(input.read_frame(&framing)).expect("open").expect("a frame");
            assert_eq!(frame.as_slice(), b"Hello, Ada!");
        };
        // The pool's own list of blocks grows to two places first.
        (0..3).for_each(|_| exchange());
        let counted = measure(|| (0..1000).for_each(|_| exchange()));
        assert!(counted.count_total <= 2000, "{counted:?}");
    });
}

#[test]
fn writes_of_a_shared_channel_and_writes_that_do_not_wait_allocate_nothing() {
    ledgered(|_| {
        let (mut input, output) = pipe(4 * KIB);
        let output = output.share();
        let other = output.clone();
        let framing = LengthFraming::u8();
        let mut exchange = || {
            at_once(output.write_str("Hello, Ada!\n")).expect("room");
            at_once(write_line!(other, "{:>5}", 42)).expect("room");
            assert!(output.try_write_str("tried\n").expect("open"));
            at_once(other.write_strs(&["one, ", "two"])).expect("room");
            at_once(output.write_all(b"\n")).expect("room");
            at_once(other.write_with(|out| out.put_str("composed\n"))).expect("room");
            at_once(output.write_frame(&framing, &[b"framed\n"])).expect("room");
            for line in ["Hello, Ada!", "   42", "tried", "one, two", "composed", "\u{7}framed"] {
                assert_eq!(at_once(input.read_line_ref()).expect("a line"), Some(line));
            }
        };
        // The pool's own list of blocks grows to two places first.
        (0..3).for_each(|_| exchange());
        let counted = measure(|| (0..1000).for_each(|_| exchange()));
        assert_eq!(counted.count_total, 0, "{counted:?}");
    });
}
