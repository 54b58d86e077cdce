//! A pipe with its two ends on two threads, and room for one byte.
//!
//! ```text
//!   writer                            reader
//!   write "ab"                        read, read, read ──► the end
//!     └─► full: wait Room               └─► wake the writer's outbox ─► advance
//!   write "c"                         or: read, and drop the end
//!   finish, or drop, or abort
//! ```
//!
//! No wait is left on either side. The bytes that are read are the written ones, in order. They are
//! followed by the end if the writer finished, otherwise by the writer's cause; and a writer whose reader
//! is gone gets an error.

use std::sync::Arc;

use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, Result, pipe};
use forebay_models::atomic::{AtomicBool, Ordering};
use forebay_models::{block_on, explore, spawn};

#[test]
fn what_is_written_is_read_and_then_the_end() {
    explore("pipe: write and finish, read to the end", || {
        let (input, mut output) = pipe(1);
        let writer = spawn(move || {
            write(&mut output).expect("the reader reads");
            block_on(None, output.finish()).expect("the reader reads on");
        });
        let (read, end) = read_to_end(input);
        writer.join().expect("no panic");
        assert_eq!((read.as_slice(), end.is_end()), (&b"abc"[..], true));
    });
}

#[test]
fn what_a_dropped_writer_wrote_is_read_and_then_the_end() {
    explore("pipe: write and drop, read to the end", || {
        let (input, mut output) = pipe(1);
        let writer = spawn(move || write(&mut output).expect("the reader reads"));
        let (read, end) = read_to_end(input);
        writer.join().expect("no panic");
        assert_eq!((read.as_slice(), end.is_end()), (&b"abc"[..], true));
    });
}

#[test]
fn a_reader_sees_the_cause_of_a_writer_that_gave_up() {
    explore("pipe: write and abort, read to the end", || {
        let (input, mut output) = pipe(1);
        let writer = spawn(move || {
            write(&mut output).expect("the reader reads");
            output.abort_with(Error::other("given up"));
            // Only later: dropping it would wake the reader as well.
            output
        });
        let (read, end) = read_to_end(input);
        let _output = writer.join().expect("no panic");
        assert!(b"abc".starts_with(&read), "read {read:?}");
        assert_eq!(end.to_string(), "given up");
    });
}

#[test]
fn a_writer_is_told_that_its_reader_is_gone() {
    explore("pipe: write and finish, read one byte and drop", || {
        let (mut input, mut output) = pipe(1);
        let writer = spawn(move || {
            let wrote = write(&mut output);
            let finished = block_on(None, output.finish());
            (wrote, finished)
        });
        assert_eq!(block_on(None, input.read_u8()).expect("written"), b'a');
        drop(input);
        let (_, finished) = writer.join().expect("no panic");
        // Two more bytes than the pipe holds were never read.
        assert!(finished.expect_err("bytes were lost").is_reset());
    });
}

/// One item does not fit, and is sent in parts. The other one fits, and may go past the outbox's queue.
#[test]
fn items_of_two_writers_are_read_one_behind_the_other() {
    explore("pipe: two writers, read to the end", || {
        let (input, output) = pipe(1);
        let output = output.share();
        let other = output.clone();
        let writer = spawn(move || block_on(None, output.write_str("ab")).expect("it is read"));
        let beside = spawn(move || block_on(None, other.write_str("c")).expect("it is read"));
        let (read, end) = read_to_end(input);
        writer.join().expect("no panic");
        beside.join().expect("no panic");
        assert!(end.is_end(), "{end}");
        assert!(read == b"abc" || read == b"cab", "read {read:?}");
    });
}

#[test]
fn both_ends_give_up_for_one_cause() {
    explore("pipe: abort and drop with something unread", || {
        let (input, mut output) = pipe(1);
        block_on(None, output.write_str("a")).expect("there is room");
        let writer = spawn(move || {
            output.abort_with(Error::other("given up"));
            let first = block_on(None, output.finish()).expect_err("given up");
            let again = block_on(None, output.write_str("b")).expect_err("given up");
            assert_eq!(first.to_string(), again.to_string(), "the cause was replaced");
            first
        });
        drop(input);
        let cause = writer.join().expect("no panic");
        assert!(cause.is_reset() || cause.to_string() == "given up", "{cause}");
    });
}

#[test]
fn no_clean_end_is_signed_for_a_reader_that_left_something_unread() {
    explore("pipe: finish and drop with something unread", || {
        let (input, mut output) = pipe(1);
        block_on(None, output.write_str("a")).expect("there is room");
        let is_gone = Arc::new(AtomicBool::new(false));
        let writer = spawn({
            let is_gone = Arc::clone(&is_gone);
            move || {
                // Pairs with the Release below: a thread that knows that the byte is lost gets the error.
                let knows = is_gone.load(Ordering::Acquire);
                let finished = block_on(None, output.finish());
                assert!(!knows || finished.is_err(), "a clean end for lost bytes");
                assert!(finished.map_or_else(|cause| cause.is_reset(), |()| true));
            }
        });
        drop(input);
        is_gone.store(true, Ordering::Release);
        writer.join().expect("no panic");
    });
}

fn write(output: &mut ByteWriteChannel) -> Result<()> {
    block_on(None, output.write_str("ab"))?;
    block_on(None, output.write_str("c"))
}

/// The bytes that were read, and the reason why there are no more.
fn read_to_end(mut input: ByteReadChannel) -> (Vec<u8>, Error) {
    let mut read = Vec::new();
    loop {
        match block_on(None, input.read_u8()) {
            Ok(byte) => read.push(byte),
            Err(end) => return (read, end),
        }
    }
}
