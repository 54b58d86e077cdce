//! Readers with the trait of `tokio::io`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::{AnyReader, ForeignSource};
use crate::ByteReadChannel;

pub(super) struct TokioReader<R>(pub(super) R);

impl<R: AsyncRead + Unpin + Send + 'static> AnyReader for TokioReader<R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, slice: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(slice);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut space))?;
        Poll::Ready(Ok(space.filled().len()))
    }
}

impl ByteReadChannel {
    /// Makes a channel that is filled by `reader`, so that it has lines, numbers, packets and the promises about dropped
    /// calls. By the feature `tokio-io`. [`into_parts`](Self::into_parts) gives the reader back.
    ///
    /// It is read when the channel is empty and a call waits, up to 64 KiB at a time; a reader that never waits gives
    /// way to other tasks. Its first error is returned by this and every later call, but for
    /// [`Interrupted`](io::ErrorKind::Interrupted), after which the read is repeated. A reader that needs a runtime of
    /// tokio, as its sockets do, needs it here too.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # use forebay_io as forebay;
    /// let mut input = forebay::ByteReadChannel::from_tokio_read(&b"one\ntwo\n"[..]);
    /// assert_eq!(input.read_line().await?.as_deref(), Some("one"));
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "from_async_read")]
    #[doc(alias = "toByteReadChannel")]
    pub fn from_tokio_read(reader: impl AsyncRead + Unpin + Send + 'static) -> Self {
        Self::from_source(Box::new(ForeignSource::new(TokioReader(reader))))
    }
}
