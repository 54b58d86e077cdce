//! Allocations, counted: none in the steady state, a few for each KiB from a peer that drips, and
//! nothing kept by a channel that has nothing.

use allocation_counter::{AllocationInfo, measure};
use forebay_io::{ByteReadChannel, LineEnding, LineOptions, TooLong, pipe, write_line};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Recorder, Script, Step, ledgered},
    cut_after,
};

#[test]
fn a_line_written_and_read_allocates_nothing_in_the_steady_state() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(4 * KIB);
        let mut exchange = || {
            at_once(output.write_str("Hello, Ada!\n")).expect("room");
            assert_eq!(at_once(input.read_line_ref()).expect("a line"), Some("Hello, Ada!"));
            at_once(output.write_strs(&["Hello, ", "Grace", "!\n"])).expect("room");
            assert_eq!(at_once(input.read_line_ref()).expect("a line"), Some("Hello, Grace!"));
            at_once(write_line!(output, "{:>5}", 42)).expect("room");
            assert_eq!(at_once(input.read_line_ref()).expect("a line"), Some("   42"));
            at_once(output.write_u32(7)).expect("room");
            assert_eq!(at_once(input.read_u32()).expect("a number"), 7);
            at_once(output.flush()).expect("nothing to wait for");
        };
        // The pool's own list of blocks grows to two places first.
        (0..3).for_each(|_| exchange());
        let counted = measure(|| (0..1000).for_each(|_| exchange()));
        assert_eq!(counted.count_total, 0, "{counted:?}");
    });
}

/// Lines by every rule, items and looks at what is there already.
#[test]
fn whatever_has_arrived_is_read_without_allocating() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(4 * KIB);
        let mut out = Vec::with_capacity(KIB);
        let rules = [
            LineOptions::new().ending(LineEnding::Lenient).replace_invalid(true),
            LineOptions::new().ending(LineEnding::CrlfOnly).strict(true),
            LineOptions::new().ending(LineEnding::LfOnly).too_long(TooLong::Cut).limit(3),
            LineOptions::new().too_long(TooLong::Skip).limit(3),
        ];
        let mut exchange = || {
            for options in rules {
                input.set_line_options(options);
                at_once(output.write_str("abc\r\ndef\r\nlong one\r\nghi\r\nitem--GET "))
                    .expect("room");
                at_once(output.flush()).expect("nothing to wait for");
                assert!(at_once(input.read_line_ref()).expect("a line").is_some());
                assert!(at_once(input.read_line_bytes_ref()).expect("a line").is_some());
                let lines = at_once(input.read_lines_ref()).expect("a line").expect("no end");
                assert!(lines.count() > 0);
                assert!(at_once(input.read_until_into("--", &mut out, 99)).expect("an item"));
                out.clear();
                assert_eq!(at_once(input.peek(4)).expect("bytes"), Some(&b"GET "[..]));
                assert!(at_once(input.skip_if_found(b"GET ")).expect("bytes"));
            }
        };
        (0..3).for_each(|_| exchange());
        let counted = measure(|| (0..1000).for_each(|_| exchange()));
        assert_eq!(counted.count_total, 0, "{counted:?}");
    });
}

#[test]
fn a_reader_that_waits_for_each_line_allocates_nothing_for_it() {
    ledgered(|_| {
        let (mut input, mut output) = pipe(4 * KIB);
        let (waker, _) = forebay_testing::counted_waker();
        let mut exchange = || {
            {
                let mut line = std::pin::pin!(input.read_line_ref());
                assert!(forebay_testing::poll_with(line.as_mut(), &waker).is_pending());
            }
            at_once(output.write_str("Hello, Ada!\n")).expect("room");
            assert_eq!(at_once(input.read_line_ref()).expect("a line"), Some("Hello, Ada!"));
        };
        // The pool's own list of blocks grows to two places first.
        (0..3).for_each(|_| exchange());
        let counted = measure(|| (0..1000).for_each(|_| exchange()));
        assert_eq!(counted.count_total, 0, "{counted:?}");
    });
}

#[test]
fn sixteen_writes_of_a_turn_allocate_nothing() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    // The recorder and the test's turns allocate; the writes between them must not.
    for _ in 0..3 {
        at_once(output.write_str("first of the turn")).expect("room");
        let counted = measure(|| {
            for _ in 0..15 {
                at_once(output.write_str("Hello, Ada!\n")).expect("room");
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
        turns.end();
    }
}

/// A line that arrives in pieces, each of which the channel had to sleep for.
fn drip(length: usize, piece: usize) -> AllocationInfo {
    let (script, mut input) = Script::new([]);
    // The script's own memory is not what is measured.
    let mut counted = AllocationInfo::default();
    for at in (0..length).step_by(piece) {
        script.bytes(vec![b'x'; piece.min(length - at)]);
        let this = measure(|| assert!(cut_after(1, input.read_line()).is_none()));
        counted.count_total += this.count_total;
        counted.bytes_total += this.bytes_total;
    }
    script.bytes("\n");
    assert_eq!(at_once(input.read_line_ref()).expect("a line").map(str::len), Some(length));
    counted
}

#[test]
fn a_line_that_drips_in_costs_a_few_allocations_for_each_kibibyte() {
    ledgered(|_| {
        drip(100, 1);
        for piece in [1, 2, 3, 10, 100, 1000] {
            let counted = drip(60 * KIB, piece);
            assert!(counted.count_total <= 60, "pieces of {piece}: {counted:?}");
            assert!(counted.bytes_total <= 6 * 64 * KIB as u64, "pieces of {piece}: {counted:?}");
        }
    });
}

#[test]
fn a_channel_with_nothing_in_it_keeps_no_memory() {
    ledgered(|_| {
        let (script, mut input) = Script::new([]);
        input.set_line_options(LineOptions::new().limit(MIB));
        let mut line = String::with_capacity(MIB);
        let mut slice = vec![0; MIB];
        let mut use_it_and_sleep = || {
            script.bytes(vec![b'x'; 300 * KIB]);
            script.bytes("\n");
            let kept = measure(|| {
                at_once(input.read_line_into(&mut line)).expect("a line");
                line.clear();
                assert!(cut_after(1, input.read_line()).is_none());
            });
            assert!(kept.bytes_current <= 0, "{kept:?} after a long line");

            script.bytes(vec![b'x'; 300 * KIB]);
            let kept = measure(|| {
                assert!(cut_after(1, input.read_exact(&mut slice)).is_none());
                at_once(input.read_exact(&mut slice[..300 * KIB])).expect("it was given back");
                assert!(cut_after(1, input.read_line()).is_none());
            });
            assert!(kept.bytes_current <= 0, "{kept:?} after a dropped read_exact");
        };
        use_it_and_sleep();
        use_it_and_sleep();
    });
}

/// Bytes that a sleeping channel keeps allocated, beside blocks of the pool.
fn kept_by(input: &mut ByteReadChannel, prepare: impl FnOnce(&mut ByteReadChannel)) -> usize {
    let kept = measure(|| {
        prepare(input);
        assert!(cut_after(1, input.read_line()).is_none());
    });
    usize::try_from(kept.bytes_current).unwrap_or(0)
}

#[test]
fn a_sleeping_channel_pins_four_times_what_it_holds_at_the_most() {
    ledgered(|ledger| {
        for rest in [100, 5000, 15 * KIB, 17 * KIB, 40 * KIB, 70 * KIB, 200 * KIB] {
            // A megabyte that was given back, read down to a rest, and then a few bytes more.
            let (script, mut input) = Script::new([]);
            input.set_line_options(LineOptions::new().limit(2 * MIB));
            let mut slice = vec![0; MIB];
            script.bytes(vec![b'x'; MIB - 1]);
            assert!(cut_after(1, input.read_exact(&mut slice)).is_none());
            script.bytes(vec![b'x'; 50]);
            let before = ledger.in_use();
            let kept = kept_by(&mut input, |input| {
                at_once(input.read_exact(&mut slice[..MIB - 1 - rest])).expect("it was given back");
            });
            let blocks = (ledger.in_use() - before) * 64 * KIB;
            assert_eq!(input.buffered(), rest + 50);
            assert!(kept + blocks <= 4 * (rest + 50), "{rest}: {kept} + {blocks}");
        }
    });
}

#[test]
fn a_too_long_line_is_told_again_without_an_allocation_for_its_length() {
    let (_, mut input) = Script::new([Step::Bytes(vec![b'x'; 65 * KIB])]);
    at_once(input.read_line()).expect_err("too long");
    let counted = measure(|| {
        at_once(input.read_line()).expect_err("too long");
    });
    assert!(counted.bytes_total < 500, "{counted:?}");
}
