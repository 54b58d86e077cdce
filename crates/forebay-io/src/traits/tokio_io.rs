//! The traits of `tokio::io`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::{ByteReadChannel, ByteWriteChannel};

/// By the feature `tokio-io`. An error is a `std::io::Error` with the channel's own inside.
///
/// Memory that the caller has initialised is filled as by [`read`](ByteReadChannel::read). Other memory gets
/// the bytes from the channel's own, because to initialise it first costs more than the copy.
///
/// Cancel safe: bytes leave the channel only in the poll that returns them.
impl AsyncRead for ByteReadChannel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let initialised = buf.initialized().len() - buf.filled().len();
        if initialised == buf.remaining() {
            let count = ready!(this.poll_available(cx, buf.initialize_unfilled()))?;
            buf.advance(count);
        } else {
            ready!(this.poll_content(cx))?;
            this.hand_content(buf.remaining(), |bytes| buf.put_slice(bytes));
        }
        Poll::Ready(Ok(()))
    }
}

/// By the feature `tokio-io`. The bytes are lent from the channel's own memory.
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

/// By the feature `tokio-io`. An error is a `std::io::Error` with the channel's own inside.
///
/// A write waits for room, and accepts its slice, or all of its slices, as one item; of more than 1 MiB it
/// accepts the first. `poll_flush` is [`flush`](ByteWriteChannel::flush), and `poll_shutdown`
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

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(ready!(self.get_mut().poll_flushed(cx))?))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(ready!(self.get_mut().poll_finished(cx))?))
    }
}
