//! The traits of `futures_io`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use crate::{ByteReadChannel, ByteWriteChannel};

/// By the feature `futures-io`: a poll of [`read`](ByteReadChannel::read). An error is a `std::io::Error` with
/// the channel's own inside.
///
/// Cancel safe: bytes leave the channel only in the poll that returns them.
impl AsyncRead for ByteReadChannel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slice: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(ready!(self.get_mut().poll_available(cx, slice))?))
    }
}

/// By the feature `futures-io`. The bytes are lent from the channel's own memory.
impl AsyncBufRead for ByteReadChannel {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_content(cx))?;
        Poll::Ready(Ok(this.content()))
    }

    /// Consumes bytes of those that were lent, at most all of them.
    fn consume(self: Pin<&mut Self>, count: usize) {
        self.get_mut().hand_content(count, |_| ());
    }
}

/// By the feature `futures-io`. An error is a `std::io::Error` with the channel's own inside.
///
/// A write waits for room, and accepts its slice, or all of its slices, as one item; of more than 1 MiB it
/// accepts the first. `poll_flush` is [`flush`](ByteWriteChannel::flush), and `poll_close`
/// [`finish`](ByteWriteChannel::finish).
impl AsyncWrite for ByteWriteChannel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slice: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(ready!(self.get_mut().poll_accept(cx, slice))?))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(ready!(self.get_mut().poll_accept_slices(cx, slices))?))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(ready!(self.get_mut().poll_flushed(cx))?))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(ready!(self.get_mut().poll_finished(cx))?))
    }
}
