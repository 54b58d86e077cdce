//! One vocabulary for the traits of both families, so that each test runs with both.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use forebay_io::{ByteReadChannel, ByteWriteChannel};
use tokio::io::ReadBuf;

/// The methods of a family's traits, on the channels.
pub(crate) trait Family {
    fn read(
        input: &mut ByteReadChannel,
        cx: &mut Context<'_>,
        slice: &mut [u8],
    ) -> Poll<Result<usize>>;
    fn fill_buf<'a>(input: &'a mut ByteReadChannel, cx: &mut Context<'_>)
    -> Poll<Result<&'a [u8]>>;
    fn consume(input: &mut ByteReadChannel, count: usize);
    fn write(
        output: &mut ByteWriteChannel,
        cx: &mut Context<'_>,
        slice: &[u8],
    ) -> Poll<Result<usize>>;
    fn write_vectored(
        output: &mut ByteWriteChannel,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>>;
    fn flush(output: &mut ByteWriteChannel, cx: &mut Context<'_>) -> Poll<Result<()>>;
    fn finish(output: &mut ByteWriteChannel, cx: &mut Context<'_>) -> Poll<Result<()>>;
}

pub(crate) struct Tokio;

impl Family for Tokio {
    fn read(
        input: &mut ByteReadChannel,
        cx: &mut Context<'_>,
        slice: &mut [u8],
    ) -> Poll<Result<usize>> {
        let mut buf = ReadBuf::new(slice);
        let polled = tokio::io::AsyncRead::poll_read(Pin::new(input), cx, &mut buf);
        polled.map_ok(|()| buf.filled().len())
    }

    fn fill_buf<'a>(
        input: &'a mut ByteReadChannel,
        cx: &mut Context<'_>,
    ) -> Poll<Result<&'a [u8]>> {
        tokio::io::AsyncBufRead::poll_fill_buf(Pin::new(input), cx)
    }

    fn consume(input: &mut ByteReadChannel, count: usize) {
        tokio::io::AsyncBufRead::consume(Pin::new(input), count);
    }

    fn write(
        output: &mut ByteWriteChannel,
        cx: &mut Context<'_>,
        slice: &[u8],
    ) -> Poll<Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(output), cx, slice)
    }

    fn write_vectored(
        output: &mut ByteWriteChannel,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        assert!(tokio::io::AsyncWrite::is_write_vectored(output));
        tokio::io::AsyncWrite::poll_write_vectored(Pin::new(output), cx, slices)
    }

    fn flush(output: &mut ByteWriteChannel, cx: &mut Context<'_>) -> Poll<Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(output), cx)
    }

    fn finish(output: &mut ByteWriteChannel, cx: &mut Context<'_>) -> Poll<Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(output), cx)
    }
}

pub(crate) struct Futures;

impl Family for Futures {
    fn read(
        input: &mut ByteReadChannel,
        cx: &mut Context<'_>,
        slice: &mut [u8],
    ) -> Poll<Result<usize>> {
        futures_io::AsyncRead::poll_read(Pin::new(input), cx, slice)
    }

    fn fill_buf<'a>(
        input: &'a mut ByteReadChannel,
        cx: &mut Context<'_>,
    ) -> Poll<Result<&'a [u8]>> {
        futures_io::AsyncBufRead::poll_fill_buf(Pin::new(input), cx)
    }

    fn consume(input: &mut ByteReadChannel, count: usize) {
        futures_io::AsyncBufRead::consume(Pin::new(input), count);
    }

    fn write(
        output: &mut ByteWriteChannel,
        cx: &mut Context<'_>,
        slice: &[u8],
    ) -> Poll<Result<usize>> {
        futures_io::AsyncWrite::poll_write(Pin::new(output), cx, slice)
    }

    fn write_vectored(
        output: &mut ByteWriteChannel,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        futures_io::AsyncWrite::poll_write_vectored(Pin::new(output), cx, slices)
    }

    fn flush(output: &mut ByteWriteChannel, cx: &mut Context<'_>) -> Poll<Result<()>> {
        futures_io::AsyncWrite::poll_flush(Pin::new(output), cx)
    }

    fn finish(output: &mut ByteWriteChannel, cx: &mut Context<'_>) -> Poll<Result<()>> {
        futures_io::AsyncWrite::poll_close(Pin::new(output), cx)
    }
}

/// A test for each family, which calls the function of this name with it.
macro_rules! with_each_family {
    ($($name:ident;)*) => {
        mod with_tokio {
            $(#[test] fn $name() { super::$name::<crate::family::Tokio>(); })*
        }

        mod with_futures {
            $(#[test] fn $name() { super::$name::<crate::family::Futures>(); })*
        }
    };
}
pub(crate) use with_each_family;

/// Runs a poll with a waker that does nothing.
pub(crate) fn poll<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll_as(Waker::noop(), poll)
}

/// Runs a poll with this waker.
pub(crate) fn poll_as<T>(waker: &Waker, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(waker))
}

/// Returns the answer of a poll that has nothing to wait for. It may give way once.
#[track_caller]
pub(crate) fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T>>) -> Result<T> {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        if let Poll::Ready(answer) = poll(&mut cx) {
            return answer;
        }
    }
    panic!("pending where nothing is to be waited for")
}
