//! The behaviour that Ktor's tests of its channels require, for channels in memory and under the same names. Those of
//! `awaitContent`, `skipIfFound`, `readTo` and `readUntil` are in `tests/reading`.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use forebay_io::{ByteReadChannel, Error, pipe};
use forebay_testing::{KIB, MIB, at_once, counted_waker, finish, poll_once, poll_with, watched};
use futures_lite::future::block_on;

// ---- 3.4 -------------------------------------------------------------------------------------------

#[test]
fn byte_channel_test_write_after_close_should_fail() {
    let (_input, mut output) = pipe(KIB);
    at_once(output.finish()).expect("nothing to send");
    assert!(at_once(output.write_u8(1)).expect_err("closed").is_closed());
}

#[test]
fn byte_channel_test_read_from_empty() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.finish()).expect("nothing to send");
    assert!(at_once(input.read_u8()).expect_err("the end").is_end());
}

#[test]
fn byte_channel_test_write_read_byte() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_u8(42)).expect("room");
    at_once(output.finish()).expect("a clean end");
    assert_eq!(at_once(input.read_u8()).expect("a byte"), 42);
}

#[test]
fn byte_channel_test_write_in_closed_channel() {
    let (_input, mut output) = pipe(KIB);
    at_once(output.finish()).expect("nothing to send");
    assert!(output.is_closed_for_write());
    assert!(at_once(output.write_u8(42)).expect_err("closed").is_closed());
}

#[test]
fn byte_channel_test_create_from_array() {
    let mut input = ByteReadChannel::from(&[1, 2, 3, 4, 5][..]);
    assert_eq!(at_once(input.read_remaining(KIB)).expect("all").as_slice(), [1, 2, 3, 4, 5]);
}

#[test]
fn byte_channel_test_channel_from_string() {
    let mut input = ByteReadChannel::from("Hello, world!");
    let mut all = at_once(input.read_remaining(KIB)).expect("all");
    assert_eq!(all.read_string(13).expect("text"), "Hello, world!");
}

#[test]
fn byte_channel_test_close_after_await() {
    let (mut input, mut output) = pipe(KIB);
    let mut read = pin!(input.read_chunk());
    let (waker, woken) = counted_waker();
    assert!(poll_with(read.as_mut(), &waker).is_pending());
    at_once(output.finish()).expect("nothing to send");
    assert_eq!(woken.count(), 1);
    assert!(matches!(poll_once(read), Poll::Ready(Ok(None))));
}

/// Ours: the item is accepted whole, and the write behind it waits for the reader.
#[test]
fn byte_channel_test_channel_max_size() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_all(&vec![1; MIB])).expect("one item is accepted");
    {
        let mut next = pin!(output.write_u8(2));
        assert!(poll_once(next.as_mut()).is_pending());
        assert!(poll_once(next.as_mut()).is_pending());
        finish(input.discard(MIB as u64)).expect("they are there");
        finish(next).expect("room");
    }
    assert_eq!(at_once(input.read_u8()).expect("a byte"), 2);
}

#[test]
fn byte_channel_test_channel_max_size_with_exception() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_all(&vec![1; MIB])).expect("one item is accepted");
    let mut next = pin!(output.write_u8(2));
    let (waker, woken) = counted_waker();
    assert!(poll_with(next.as_mut(), &waker).is_pending());
    input.abort_with(Error::other("nobody wants this"));
    assert_eq!(woken.count(), 1);
    let Poll::Ready(Err(error)) = poll_once(next) else {
        panic!("the writer was not told");
    };
    assert_eq!(error.to_string(), "nobody wants this");
}

#[test]
fn byte_channel_test_write_and_flush_resume_reader() {
    let (mut input, mut output) = pipe(KIB);
    let mut read = pin!(input.read_u8());
    let (waker, woken) = counted_waker();
    assert!(poll_with(read.as_mut(), &waker).is_pending());
    at_once(output.write_u8(42)).expect("room");
    at_once(output.flush()).expect("room");
    assert_eq!(woken.count(), 1);
    assert!(matches!(poll_once(read), Poll::Ready(Ok(42))));
}

#[test]
fn coroutines_test_reader() {
    watched(|| {
        let (mut input, mut output) = pipe(KIB);
        let reader = thread::spawn(move || block_on(input.read_u8()));
        block_on(output.write_u8(42)).expect("room");
        block_on(output.finish()).expect("a clean end");
        assert_eq!(reader.join().expect("no panic").expect("a byte"), 42);
    });
}

#[test]
fn read_and_write_concurrent_with_copy_to() {
    watched(|| {
        for _ in 0..if cfg!(miri) { 20 } else { 2_000 } {
            let (mut input, mut output) = pipe(KIB);
            let (mut result, mut copied) = pipe(KIB);
            let reader = thread::spawn(move || {
                block_on(async {
                    input.copy_to(&mut copied).await?;
                    copied.finish().await
                })
            });
            block_on(async {
                output.write_u8(1).await?;
                output.write_u8(2).await?;
                output.finish().await
            })
            .expect("the reader reads");
            let both = block_on(result.read_packet(2)).expect("two bytes");
            assert_eq!(both.as_slice(), [1, 2]);
            reader.join().expect("no panic").expect("copied");
        }
    });
}

// ---- 3.5 -------------------------------------------------------------------------------------------

#[test]
fn read_packet_big() {
    let (mut input, mut output) = pipe(64 * KIB);
    for _ in 0..2 {
        at_once(output.write_all(&[0; 8192])).expect("room");
    }
    at_once(output.flush()).expect("room");
    assert_eq!(at_once(input.read_packet(16384)).expect("both").as_slice(), [0; 16384]);
}

#[test]
fn read_fully() {
    let bytes: Vec<u8> = (0..10).collect();
    let mut array = [0xff; 10];
    at_once(ByteReadChannel::from(bytes).read_exact(&mut array)).expect("ten bytes");
    assert_eq!(array, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let mut array = [0; 10];
    let mut input = ByteReadChannel::from(vec![0, 1, 2, 3, 4]);
    at_once(input.read_exact(&mut array[3..8])).expect("five bytes");
    assert_eq!(array, [0, 0, 0, 0, 1, 2, 3, 4, 0, 0]);
}

#[test]
fn read_available_block_after_read() {
    let (mut input, mut output) = pipe(KIB);
    assert!(poll_once(pin!(input.read_chunk())).is_pending());
    at_once(output.write_all(&[1, 2, 3])).expect("room");
    assert_eq!(at_once(input.read(&mut [0; 9])).expect("three bytes"), 3);
    assert!(poll_once(pin!(input.read_chunk())).is_pending());
    at_once(output.finish()).expect("a clean end");
    assert_eq!(at_once(input.read(&mut [0; 9])).expect("the end"), 0);
    assert!(input.is_closed_for_read());
}

#[test]
fn read_short_int_long_is_cooperative() {
    fn drip(bytes: &[u8]) -> ByteReadChannel {
        forebay_testing::channels::Script::pieces(bytes.chunks(1))
    }
    assert_eq!(finish(drip(&[0, 42]).read_u16()).expect("a number"), 42);
    assert_eq!(finish(drip(&[0, 0, 0, 42]).read_u32()).expect("a number"), 42);
    assert_eq!(finish(drip(&[0, 0, 0, 0, 0, 0, 0, 42]).read_u64()).expect("a number"), 42);
}

#[test]
fn read_fully_from_empty_throws_and_from_smaller() {
    let mut input = ByteReadChannel::empty();
    assert!(at_once(input.read_exact(&mut [0; 1])).expect_err("empty").is_end());
    let mut input = ByteReadChannel::from(vec![1]);
    assert!(at_once(input.read_exact(&mut [0; 2])).expect_err("smaller").is_end());
    assert_eq!(at_once(input.read_u8()).expect("it stays readable"), 1);
}

#[test]
fn read_to_from_cancelled() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_all(&[1, 2, 3])).expect("room");
    input.abort_with(Error::other("cancelled"));
    let error = at_once(input.read_chunk()).expect_err("cancelled");
    assert_eq!(error.to_string(), "cancelled");
    assert!(input.is_closed_for_read());
}

// ---- 3.8 -------------------------------------------------------------------------------------------

#[test]
fn sink_write_after_cancel() {
    let (_input, mut output) = pipe(KIB);
    output.abort_with(Error::other("Test"));
    assert_eq!(at_once(output.write_u8(42)).expect_err("cancelled").to_string(), "Test");
    at_once(output.flush()).expect_err("cancelled");
    at_once(output.finish()).expect_err("cancelled");
}

#[test]
fn source_read_byte() {
    assert_eq!(at_once(ByteReadChannel::from(vec![42]).read_u8()).expect("a byte"), 42);
}

#[test]
fn source_resumes_after_write() {
    watched(|| {
        let (mut input, mut output) = pipe(KIB);
        let reader = thread::spawn(move || block_on(input.read_u8()));
        block_on(output.write_u8(42)).expect("room");
        assert_eq!(reader.join().expect("no panic").expect("a byte"), 42);
    });
}

#[test]
fn source_cancel_is_propagating() {
    watched(|| {
        let (mut input, mut output) = pipe(KIB);
        let writer = thread::spawn(move || {
            block_on(async {
                loop {
                    if let Err(error) = output.write_u8(42).await {
                        return error;
                    }
                }
            })
        });
        block_on(input.read_u8()).expect("a byte");
        drop(input);
        assert!(writer.join().expect("no panic").is_reset());
    });
}

#[test]
fn output_stream_test_writes_arrive_as_written() {
    let (mut input, mut output) = pipe(KIB);
    let large = forebay_testing::scrambled(10_000, 0);
    at_once(output.write_u8(1)).expect("room");
    at_once(output.write_all(&[2, 3, 4])).expect("room");
    at_once(output.write_all(&[1, 2, 3, 4, 5][1..4])).expect("room");
    at_once(output.write_u8(5)).expect("room");
    at_once(output.write_all(&large)).expect("room");
    drop(output);
    let all = finish(input.read_remaining(MIB)).expect("a clean end");
    assert_eq!(all.as_slice(), [&[1, 2, 3, 4, 2, 3, 4, 5], &large[..]].concat());
}

#[test]
fn output_stream_test_channel_close_exception_propagation() {
    let (mut input, mut output) = pipe(KIB);
    output.abort_with(Error::other("Test exception"));
    let written = at_once(output.write_u8(42)).expect_err("closed");
    assert!(written.to_string().contains("Test exception"), "{written}");
    let read = at_once(input.read_u8()).expect_err("closed");
    assert!(read.to_string().contains("Test exception"), "{read}");
}

#[test]
fn output_stream_test_multiple_close_is_idempotent() {
    let (mut input, mut output) = pipe(KIB);
    at_once(output.write_u8(42)).expect("room");
    at_once(output.finish()).expect("a clean end");
    at_once(output.finish()).expect("idempotent");
    drop(output);
    assert_eq!(at_once(input.read_u8()).expect("a byte"), 42);
    assert!(at_once(input.read_u8()).expect_err("the end").is_end());
}

#[test]
fn output_stream_test_writes_are_streamed_without_explicit_flush() {
    watched(|| {
        let (mut input, mut output) = pipe(64 * KIB);
        let bytes = Arc::new(forebay_testing::scrambled(2 * MIB, 0));
        let expected = Arc::clone(&bytes);
        let writer = thread::spawn(move || {
            block_on(output.write_all(&bytes)).expect("the reader reads");
            output
        });
        let mut all = vec![0; 2 * MIB];
        block_on(input.read_exact(&mut all)).expect("while the writer is not closed");
        assert!(all == *expected);
        drop(writer.join().expect("no panic"));
    });
}

#[test]
fn byte_write_large_transfers_do_not_grow() {
    watched(|| {
        let (mut input, mut output) = pipe(64 * KIB);
        let total = 64 * MIB as u64;
        let writer = thread::spawn(move || {
            let bytes = vec![7; MIB];
            block_on(async {
                for _ in 0..total / MIB as u64 {
                    output.write_all(&bytes).await?;
                }
                output.finish().await
            })
        });
        let mut left = total;
        while left > 0 {
            assert!(input.buffered() <= 64 * KIB);
            left -= block_on(input.discard(left.min(KIB as u64))).expect("more comes");
        }
        assert!(block_on(input.read_u8()).expect_err("the end").is_end());
        writer.join().expect("no panic").expect("a clean end");
    });
}
