//! What has arrived and was not taken yet, for a transport that works on it in place.

use std::fmt;
use std::task::{Context, Poll};

use super::{Buffer, ByteReadChannel, State};
use crate::seam::{Filled, Inlet, Source};
use crate::{Error, Result};

/// A source together with one contiguous piece of memory that it fills.
///
/// A reading channel gives its bytes to a reader; this gives them to a layer (TLS), which may change
/// them where they lie and says itself how many it has taken. Before it waits, it gives its block
/// back, as a channel does.
pub struct Inbox {
    source: Box<dyn Source>,
    buffer: Buffer,
    ended: bool,
}

impl Inbox {
    /// Filled from this source, and empty.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self { source, buffer: Buffer::default(), ended: false }
    }

    /// All that has arrived and was not consumed.
    pub fn arrived(&mut self) -> &mut [u8] {
        self.buffer.readable_mut()
    }

    /// How much that is.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// True when that is nothing.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The first `count` bytes are done with.
    ///
    /// # Panics
    ///
    /// If fewer have arrived: a defect of the layer.
    pub fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
    }

    /// Waits for more behind what has arrived, of which there may be up to `most` bytes in all.
    ///
    /// # Errors
    ///
    /// What the source met.
    pub fn poll_more(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Filled>> {
        self.poll_with(most, |source, inlet| source.poll_fill(cx, inlet))
    }

    /// The same, ahead of the reader ([`Source::poll_ahead`]).
    ///
    /// # Errors
    ///
    /// What the source met.
    pub fn poll_ahead(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Filled>> {
        self.poll_with(most, |source, inlet| source.poll_ahead(cx, inlet))
    }

    fn poll_with(
        &mut self,
        most: usize,
        poll: impl FnOnce(&mut dyn Source, &mut Inlet<'_>) -> Poll<Result<Filled>>,
    ) -> Poll<Result<Filled>> {
        if self.ended {
            return Poll::Ready(Ok(Filled::End));
        }
        let mut inlet = Inlet::buffer(&mut self.buffer, most);
        let filled = poll(self.source.as_mut(), &mut inlet);
        if !matches!(filled, Poll::Ready(Ok(Filled::More))) {
            self.buffer.settle();
        }
        self.ended = matches!(filled, Poll::Ready(Ok(Filled::End)));
        filled
    }

    /// Appends what somebody else has received.
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

    /// Nobody may come back for long: memory that is not needed is given back.
    pub fn settle(&mut self) {
        self.buffer.settle();
    }

    /// Why nothing more will come, where that is known.
    pub fn cause(&self) -> Option<Error> {
        self.source.cause()
    }
}

impl ByteReadChannel {
    /// What this channel has, and where it has it from; its options are lost.
    #[doc(hidden)]
    pub fn into_inbox(self) -> Inbox {
        let ended = matches!(self.state, State::Ended);
        Inbox { source: self.source, buffer: self.buffer, ended }
    }

    /// What this channel has, filled further from another source; the channel is empty then.
    #[doc(hidden)]
    pub fn move_to_inbox(&mut self, source: Box<dyn Source>) -> Inbox {
        self.line.restart();
        Inbox { source, buffer: std::mem::take(&mut self.buffer), ended: false }
    }

    /// From now on this channel is filled from another source; its options stay.
    #[doc(hidden)]
    pub fn replace_source(&mut self, source: Box<dyn Source>) {
        let options = self.line_options();
        *self = Self::from_source(source);
        self.set_line_options(options);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("arrived", &self.len()).finish_non_exhaustive()
    }
}
