//! The trait of `futures_sink` on a connection: that of its writing channel.

use std::pin::Pin;
use std::task::{Context, Poll};

use ::futures_sink::Sink;
use bytes::Bytes;
use forebay_io::{Error, Result};

use super::Connection;

/// By the feature `futures-sink`: writes to [`output`](Connection::output). `poll_close` sends the end mark;
/// reading goes on.
impl Sink<Bytes> for Connection {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Sink::poll_ready(Pin::new(&mut self.get_mut().output), cx)
    }

    fn start_send(self: Pin<&mut Self>, bytes: Bytes) -> Result<()> {
        Sink::start_send(Pin::new(&mut self.get_mut().output), bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Sink::poll_flush(Pin::new(&mut self.get_mut().output), cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Sink::poll_close(Pin::new(&mut self.get_mut().output), cx)
    }
}
