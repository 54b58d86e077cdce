//! A channel over bytes that are all in memory already.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use super::ByteReadChannel;
use crate::seam::{Filled, Inlet, Source};
use crate::turn::Share;
use crate::{Error, Result};

struct Memory {
    bytes: Bytes,
    share: Share,
}

impl Source for Memory {
    fn poll_fill(&mut self, cx: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        if self.bytes.is_empty() {
            return Poll::Ready(Ok(Filled::End));
        }
        ready!(self.share.poll_left(cx));
        let space = inlet.space();
        let count = space.len().min(self.bytes.len());
        space[..count].copy_from_slice(&self.bytes[..count]);
        inlet.fill(count);
        self.bytes.advance(count);
        self.share.spend(count);
        Poll::Ready(Ok(Filled::More))
    }

    fn abort(&mut self, _: &Error) {
        self.bytes = Bytes::new();
    }
}

impl ByteReadChannel {
    /// Makes a channel that is at its end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay::ByteReadChannel::empty();
    /// assert_eq!(input.read_line().await?, None);
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }
}

impl From<Bytes> for ByteReadChannel {
    fn from(bytes: Bytes) -> Self {
        Self::from_source(Box::new(Memory { bytes, share: Share::default() }))
    }
}

impl From<Vec<u8>> for ByteReadChannel {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<String> for ByteReadChannel {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static str> for ByteReadChannel {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static [u8]> for ByteReadChannel {
    fn from(bytes: &'static [u8]) -> Self {
        Self::from(Bytes::from(bytes))
    }
}
