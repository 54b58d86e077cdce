//! Channels that are filled by readers of other crates.

#[cfg(feature = "futures-io")]
mod of_futures;
#[cfg(feature = "tokio-io")]
mod of_tokio;

use std::any::Any;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::ByteReadChannel;
use crate::lock::unpoisoned;
use crate::seam::{Filled, Inlet, Source};
use crate::sync::Mutex;
use crate::turn::{Share, wake_next_turn};
use crate::{Error, Result};

/// A reader, whichever trait it has.
trait AnyReader: Send + 'static {
    fn poll_read(&mut self, cx: &mut Context<'_>, slice: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// The reading end of a foreign reader. Its first error is its last: some readers return an end behind an error, which
/// must not pass for one.
struct ForeignSource<R> {
    /// `None` once the channel has given up. The mutex is never locked: it lets a channel be `Sync` whose reader is not.
    reader: Option<Mutex<R>>,
    cause: Option<Error>,
    share: Share,
}

impl<R> ForeignSource<R> {
    fn new(reader: R) -> Self {
        Self { reader: Some(Mutex::new(reader)), cause: None, share: Share::default() }
    }

    fn take_reader(&mut self) -> Option<R> {
        self.reader.take().map(|reader| unpoisoned(reader.into_inner()))
    }
}

impl<R: AnyReader> Source for ForeignSource<R> {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        ready!(self.share.poll_left(cx));
        self.poll_ahead(cx, inlet)
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        if let Some(cause) = &self.cause {
            return Poll::Ready(Err(cause.clone()));
        }
        let Some(reader) = &mut self.reader else { return Poll::Ready(Ok(Filled::End)) };
        let space = inlet.space();
        let room = space.len();
        let error = match ready!(unpoisoned(reader.get_mut()).poll_read(cx, space)) {
            Ok(0) => return Poll::Ready(Ok(Filled::End)),
            Ok(count) if count <= room => {
                inlet.fill(count);
                self.share.spend(count);
                return Poll::Ready(Ok(Filled::More));
            }
            Ok(count) => {
                let text = format!("a reader claims {count} bytes where there was room for {room}");
                Error::other(text)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                wake_next_turn(cx.waker());
                return Poll::Pending;
            }
            Err(error) => Error::from(error),
        };
        self.cause = Some(error.clone());
        Poll::Ready(Err(error))
    }

    fn abort(&mut self, _: &Error) {
        self.reader = None;
    }

    fn cause(&self) -> Option<Error> {
        self.cause.clone()
    }
}

impl ByteReadChannel {
    /// Takes apart a channel that was made from a reader of type `R`: the reader, and the bytes that were received from
    /// it and not read yet, so that they are not lost.
    ///
    /// # Errors
    ///
    /// The channel itself, unchanged, if it was made of anything else, if it was given up
    /// ([`abort_with`](Self::abort_with)), or if bytes went to a [`read_exact`](Self::read_exact) that was dropped
    /// before it was complete.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// # use forebay_io as forebay;
    /// # #[cfg(feature = "futures-io")] {
    /// use futures_lite::io::Cursor;
    /// use forebay::ByteReadChannel;
    ///
    /// let mut input = ByteReadChannel::from_futures_read(Cursor::new("a line\nand more"));
    /// assert_eq!(input.read_line().await?.as_deref(), Some("a line"));
    /// let (_reader, left) = input.into_parts::<Cursor<&str>>().unwrap();
    /// assert_eq!(left, "and more");
    /// # }
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[allow(clippy::result_large_err, reason = "the channel is given back as it was given")]
    pub fn into_parts<R: 'static>(mut self) -> std::result::Result<(R, Bytes), Self> {
        if self.lent_bytes().taken > 0 {
            return Err(self);
        }
        match self.take_reader() {
            Some(reader) => Ok((reader, self.take_chunk())),
            None => Err(self),
        }
    }

    fn take_reader<R: 'static>(&mut self) -> Option<R> {
        let source: &mut dyn Any = &mut *self.source;
        #[cfg(feature = "futures-io")]
        if let Some(source) = source.downcast_mut::<ForeignSource<of_futures::FuturesReader<R>>>() {
            return source.take_reader().map(|reader| reader.0);
        }
        #[cfg(feature = "tokio-io")]
        if let Some(source) = source.downcast_mut::<ForeignSource<of_tokio::TokioReader<R>>>() {
            return source.take_reader().map(|reader| reader.0);
        }
        None
    }
}
