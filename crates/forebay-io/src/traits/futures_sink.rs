//! The trait of `futures_sink`.

use std::pin::Pin;
use std::task::{Context, Poll};

use ::futures_sink::Sink;
use bytes::Bytes;

use crate::{ByteWriteChannel, Error, Result};

/// By the feature `futures-sink`: a value of any size is one item, as for
/// [`write_bytes`](ByteWriteChannel::write_bytes). It is sent at the end of the turn also without `poll_flush`,
/// which waits until it is, and `poll_close` is [`finish`](ByteWriteChannel::finish).
///
/// `start_send` without a `poll_ready` that found room returns
/// [`InvalidInput`](crate::ErrorKind::InvalidInput).
impl Sink<Bytes> for ByteWriteChannel {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_ready_for_item(cx)
    }

    fn start_send(self: Pin<&mut Self>, bytes: Bytes) -> Result<()> {
        self.get_mut().accept_after_ready(bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_flushed(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_finished(cx)
    }
}
