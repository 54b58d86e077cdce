//! Blocks: a channel that sleeps holds none, or one that is at least a quarter full; whatever
//! happened, all of them come back.

use std::pin::pin;
use std::thread;

use forebay_io::{ByteReadChannel, LineOptions, pipe};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Duplex, Script, Step, duplex, ledgered},
    cut_after, finish, poll_once, scrambled,
};

#[test]
fn an_idle_channel_holds_no_block() {
    ledgered(|ledger| {
        let (script, mut input) = Script::new([Step::Idle]);
        assert!(cut_after(1, input.read_line()).is_none());
        assert_eq!(ledger.in_use(), 0, "before the first byte");
        script.bytes("a line\n");
        at_once(input.read_line_ref()).expect("it is there");
        script.then(Step::Idle);
        assert!(cut_after(1, input.read_line()).is_none());
        assert_eq!(ledger.in_use(), 0, "between two lines");
        script.bytes("half a li");
        script.then(Step::Idle);
        assert!(cut_after(2, input.read_line()).is_none());
        assert_eq!(ledger.in_use(), 0, "inside a line");
    });
}

#[test]
fn an_idle_channel_holds_no_block_whichever_call_it_sleeps_in() {
    ledgered(|ledger| {
        let (script, mut input) = Script::new([]);
        let mut slice = vec![0; 32 * KIB];
        for sleeper in 0..10 {
            script.bytes("x");
            at_once(input.read_u8()).expect("it is there");
            script.then(Step::Idle);
            let slept = match sleeper {
                0 => cut_after(1, input.read_u8()).is_none(),
                1 => cut_after(1, input.read(&mut slice[..10])).is_none(),
                2 => cut_after(1, input.read_chunk()).is_none(),
                3 => cut_after(1, input.read_packet(100 * KIB)).is_none(),
                4 => cut_after(1, input.read_remaining(9)).is_none(),
                5 => cut_after(1, input.skip_line()).is_none(),
                6 => cut_after(1, input.discard(9)).is_none(),
                7 => cut_after(1, input.read_exact(&mut slice[..10])).is_none(),
                8 => cut_after(1, input.read_exact(&mut slice)).is_none(),
                _ => cut_after(1, input.read(&mut slice)).is_none(),
            };
            assert!(slept);
            assert_eq!(ledger.in_use(), 0, "sleeper {sleeper}");
        }
    });
}

#[test]
fn a_sleeping_channel_holds_a_block_only_if_it_is_a_quarter_full() {
    for held in [1, 100, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 64 * KIB] {
        ledgered(|ledger| {
            let (_, mut input) = Script::new([Step::Bytes(vec![b'x'; held]), Step::Idle]);
            input.set_line_options(LineOptions::new().limit(MIB));
            assert!(cut_after(1, input.read_line()).is_none());
            assert_eq!(input.buffered(), held);
            assert!(ledger.in_use() * 64 * KIB <= 4 * held);
        });
    }
}

#[test]
fn a_channel_at_its_end_holds_no_block_for_what_was_read_from_it() {
    ledgered(|ledger| {
        let mut input = ByteReadChannel::from(vec![b'x'; 20 * KIB]);
        // The end is met while 20 KiB are still buffered in a block.
        at_once(input.read_line_ref()).expect("the last line");
        assert_eq!(at_once(input.read_line()).expect("the end"), None);
        assert_eq!(ledger.in_use(), 0);
    });
}

#[test]
fn a_chunk_carries_its_block_until_its_last_clone_drops() {
    ledgered(|ledger| {
        let mut input = ByteReadChannel::from(vec![7; 40 * KIB]);
        let chunk = at_once(input.read_chunk()).expect("it is there").expect("not the end");
        assert_eq!((chunk.len(), ledger.in_use()), (40 * KIB, 1));
        let part = chunk.slice(10..20);
        drop(chunk);
        assert_eq!(ledger.in_use(), 1);
        drop(part);
        assert_eq!(ledger.in_use(), 0);

        let mut input = ByteReadChannel::from(vec![7; 32 * KIB - 1]);
        let chunk = at_once(input.read_chunk()).expect("it is there").expect("not the end");
        drop(input);
        assert_eq!(ledger.in_use(), 0, "a small chunk is a copy");
        assert_eq!(chunk.len(), 32 * KIB - 1);
    });
}

#[test]
fn a_chunk_that_dies_on_another_thread_leaves_the_ledger() {
    ledgered(|ledger| {
        let mut input = ByteReadChannel::from(vec![7; 40 * KIB]);
        let chunk = at_once(input.read_chunk()).expect("it is there");
        drop(input);
        thread::spawn(move || drop(chunk)).join().expect("no panic");
        assert_eq!((ledger.in_use(), ledger.idle()), (0, 0));
    });
}

#[test]
fn a_line_beyond_a_block_is_assembled_without_one() {
    ledgered(|ledger| {
        let (script, mut input) = Script::new([]);
        input.set_line_options(LineOptions::new().limit(MIB));
        for _ in 0..10 {
            script.bytes(vec![b'x'; 30 * KIB]);
            script.then(Step::Idle);
            assert!(cut_after(1, input.read_line()).is_none());
        }
        assert_eq!(ledger.in_use(), 0, "a grown buffer is not a block");
        script.bytes("\nnext\n");
        assert_eq!(at_once(input.read_line_ref()).expect("a line").map(str::len), Some(300 * KIB));
        assert_eq!(at_once(input.read_line_ref()).expect("a line"), Some("next"));
    });
}

#[test]
fn a_pipe_that_is_empty_holds_no_block() {
    ledgered(|ledger| {
        let (mut input, mut output) = pipe(256 * KIB);
        for size in [1, 100, 64 * KIB, 200 * KIB] {
            at_once(output.write_all(&scrambled(size, 0))).expect("room");
            assert!(ledger.in_use() <= 1 + size.div_ceil(64 * KIB));
            finish(input.discard(size as u64)).expect("it is there");
            assert!(cut_after(1, input.read_u8()).is_none());
            assert_eq!(ledger.in_use(), 0, "after {size} bytes");
        }
    });
}

#[test]
fn whatever_is_dropped_first_every_block_comes_back() {
    fn busy() -> (Duplex, Duplex) {
        let (mut left, mut right) = duplex(100 * KIB);
        for output in [&mut left.output, &mut right.output] {
            at_once(output.write_all(&scrambled(300 * KIB, 0))).expect("one item is accepted");
        }
        at_once(left.input.read_u8()).expect("it is there");
        at_once(right.input.read_u8()).expect("it is there");
        (left, right)
    }
    ledgered(|_| drop(busy()));
    ledgered(|_| {
        let (left, right) = busy();
        drop(right);
        drop(left);
    });
    ledgered(|_| {
        let (left, right) = busy();
        drop((left.input, right.input));
        drop((left.output, right.output));
    });
    ledgered(|_| {
        let (left, right) = busy();
        drop((left.output, right.output));
        drop((left.input, right.input));
    });
    ledgered(|_| {
        let (mut left, mut right) = busy();
        left.output.abort_with(forebay_io::Error::other("over"));
        right.input.abort_with(forebay_io::Error::other("over"));
        drop((left, right));
    });
}

#[test]
fn a_leaked_future_leaks_no_block_beyond_its_channel() {
    ledgered(|_| {
        let (script, mut input) = Script::new([Step::Bytes(vec![b'x'; 30 * KIB])]);
        {
            let mut line = Box::pin(input.read_line());
            assert!(poll_once(line.as_mut()).is_pending());
            std::mem::forget(line);
        }
        script.bytes("\n");
        let mut line = pin!(input.read_line_ref());
        let std::task::Poll::Ready(Ok(Some(line))) = poll_once(line.as_mut()) else {
            panic!("the bytes are the channel's");
        };
        assert_eq!(line.len(), 30 * KIB);
    });
}
