//! Bytes that have arrived and were not taken yet, for a transport that processes them in place.

use std::fmt;
use std::task::{Context, Poll};

use super::{Buffer, ByteReadChannel, PACKET_BYTES_MAX};
use crate::seam::{Filled, Inlet, Source};
use crate::{Error, ErrorKind, Result};

/// A source and the contiguous memory that it fills.
///
/// A reading channel hands its bytes to a reader. An inbox hands them to a layer (TLS), which may change
/// them in place and says itself how many it has taken. Before it waits, it returns its block, as a channel
/// does.
pub struct Inbox {
    source: Box<dyn Source>,
    buffer: Buffer,
    ended: bool,
}

impl Inbox {
    /// Makes an empty inbox that is filled from this source.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self { source, buffer: Buffer::default(), ended: false }
    }

    /// Returns everything that has arrived and was not consumed.
    pub fn arrived(&mut self) -> &mut [u8] {
        self.buffer.readable_mut()
    }

    /// Returns the number of those bytes.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Returns `true` if there are none.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Consumes the first `count` bytes.
    ///
    /// # Panics
    ///
    /// Panics if fewer have arrived, which is a defect of the layer.
    pub fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
    }

    /// Waits for more bytes behind those that have arrived, up to `most` bytes in total.
    ///
    /// # Errors
    ///
    /// The source's error.
    pub fn poll_more(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Filled>> {
        self.poll_with(most, |source, inlet| source.poll_fill(cx, inlet))
    }

    /// Waits like [`poll_more`](Self::poll_more), ahead of the reader ([`Source::poll_ahead`]).
    ///
    /// # Errors
    ///
    /// The source's error.
    pub fn poll_ahead(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Filled>> {
        self.poll_with(most, |source, inlet| source.poll_ahead(cx, inlet))
    }

    fn poll_with(
        &mut self,
        most: usize,
        mut poll: impl FnMut(&mut dyn Source, &mut Inlet<'_>) -> Poll<Result<Filled>>,
    ) -> Poll<Result<Filled>> {
        if self.ended {
            return Poll::Ready(Ok(Filled::End));
        }
        let mut inlet = Inlet::buffer(&mut self.buffer, most);
        let filled = poll(self.source.as_mut(), &mut inlet);
        if !matches!(filled, Poll::Ready(Ok(Filled::More))) {
            self.buffer.trim();
        }
        self.ended = matches!(filled, Poll::Ready(Ok(Filled::End)));
        if self.buffer.front.behind_cr
            && matches!(filled, Poll::Ready(Ok(Filled::More)))
            && self.buffer.end_terminator()
        {
            return self.poll_with(most, poll);
        }
        filled
    }

    /// Appends bytes that were received elsewhere.
    pub fn append(&mut self, mut arrived: &[u8]) {
        while !arrived.is_empty() {
            let mut inlet = Inlet::buffer(&mut self.buffer, usize::MAX);
            let space = inlet.space();
            let count = space.len().min(arrived.len());
            space[..count].copy_from_slice(&arrived[..count]);
            inlet.fill(count);
            arrived = &arrived[count..];
        }
    }

    /// Returns memory that is not needed, because the layer may not come back for a long time.
    pub fn trim(&mut self) {
        self.buffer.trim();
    }

    /// Returns the reason why nothing more will come, if it is known.
    pub fn cause(&self) -> Option<Error> {
        self.source.cause()
    }
}

impl ByteReadChannel {
    /// Moves this channel's bytes to an inbox that is filled from `source`, and leaves the channel empty.
    #[doc(hidden)]
    pub fn move_to_inbox(&mut self, source: Box<dyn Source>) -> Inbox {
        let mut buffer = std::mem::take(&mut self.buffer);
        // A layer reads no lines, and may change the bytes.
        buffer.front.checked.release();
        Inbox { source, buffer, ended: false }
    }

    /// Waits for bytes behind those that are buffered, and returns `false` at the end. Nothing is read.
    ///
    /// # Errors
    ///
    /// The source's error; `LimitExceeded` if as much is buffered as a packet may have.
    #[doc(hidden)]
    pub fn poll_behind(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        if self.buffered() >= PACKET_BYTES_MAX {
            let limit = PACKET_BYTES_MAX as u64;
            let error = Error::new(ErrorKind::LimitExceeded { limit }, "read");
            return Poll::Ready(Err(error.with_detail("read the bytes that have arrived before")));
        }
        self.poll_more(cx, PACKET_BYTES_MAX)
    }

    /// Makes another source fill this channel from now on. Its options stay.
    #[doc(hidden)]
    pub fn replace_source(&mut self, source: Box<dyn Source>) {
        let (options, limits) = (self.line_options(), self.limits());
        *self = Self::from_source(source).with_limits(limits);
        self.set_line_options(options);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("arrived", &self.len()).finish_non_exhaustive()
    }
}
