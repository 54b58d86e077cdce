//! A channel over bytes that are all there already.

use std::task::{Context, Poll};

use bytes::{Buf, Bytes};

use super::ByteReadChannel;
use crate::seam::{Filled, Inlet, Source};
use crate::{Error, Result};

struct Memory(Bytes);

impl Source for Memory {
    fn poll_fill(&mut self, _: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        if self.0.is_empty() {
            return Poll::Ready(Ok(Filled::End));
        }
        let space = inlet.space();
        let count = space.len().min(self.0.len());
        space[..count].copy_from_slice(&self.0[..count]);
        inlet.fill(count);
        self.0.advance(count);
        Poll::Ready(Ok(Filled::More))
    }

    fn abort(&mut self, _: &Error) {
        self.0 = Bytes::new();
    }
}

impl ByteReadChannel {
    /// A channel that is at its end.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let mut input = forebay_io::ByteReadChannel::empty();
    /// assert_eq!(input.read_line().await?, None);
    /// # forebay_io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }
}

impl From<Bytes> for ByteReadChannel {
    fn from(bytes: Bytes) -> Self {
        Self::from_source(Box::new(Memory(bytes)))
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
