//! Filling a caller's slice, with everything given back if the future is dropped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::bytes::STRAIGHT_BYTES;
use super::{ByteReadChannel, Lent, unexpected_end};
use crate::Result;
use crate::turn::Answers;
use crate::write::ITEM_BYTES_MAX;

impl ByteReadChannel {
    /// Fills the whole slice.
    ///
    /// A slice of 16 KiB or more is received into directly once nothing is buffered.
    ///
    /// # Errors
    ///
    /// - [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd) when the input ends first; what there is stays
    ///   readable.
    /// - [`Incomplete`](crate::ErrorKind::Incomplete) when an earlier call with a slice above 1 MiB was
    ///   dropped half-way.
    /// - What the connection met; what was taken before that stays readable.
    ///
    /// # Cancel safety
    ///
    /// Lossless for slices up to 1 MiB: a dropped future gives back what it took. A larger one that
    /// is dropped half-way poisons the channel: later reads say
    /// [`Incomplete`](crate::ErrorKind::Incomplete), and nothing is lost in silence.
    #[doc(alias = "readFully")]
    pub fn read_exact<'a>(&'a mut self, slice: &'a mut [u8]) -> ReadExact<'a> {
        ReadExact { channel: self, slice, filled: 0, done: false, answers: Answers::default() }
    }
}

/// The future of [`ByteReadChannel::read_exact`].
///
/// Invariant between polls: `channel.lent` tells how many bytes at the start of the slice the
/// channel no longer has.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` them"]
pub struct ReadExact<'a> {
    channel: &'a mut ByteReadChannel,
    slice: &'a mut [u8],
    filled: usize,
    done: bool,
    /// The channel's count before this took anything, for the case that it gives it back.
    answers: Answers,
}

impl Future for ReadExact<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        if this.filled == 0 {
            ready!(this.channel.poll_lent(cx, "read_exact"))?;
        }
        if this.filled == 0 {
            ready!(this.channel.line.answers.poll_more(cx));
            this.answers = this.channel.line.answers;
        }
        let outcome = ready!(this.poll_filled(cx));
        if outcome.is_err() {
            this.give_back();
        }
        if outcome.is_err() || this.slice.is_empty() {
            this.answers.count();
            this.channel.line.answers = this.answers;
        }
        this.channel.lent = Lent::default();
        this.done = true;
        Poll::Ready(outcome)
    }
}

impl ReadExact<'_> {
    fn poll_filled(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let needed = self.slice.len();
        while self.filled < needed {
            let left = &mut self.slice[self.filled..];
            let buffered = self.channel.buffer.len();
            let received =
                if buffered >= left.len() || (buffered > 0 && left.len() >= STRAIGHT_BYTES) {
                    self.channel.copy_buffered(left)
                } else if left.len() >= STRAIGHT_BYTES {
                    ready!(self.channel.poll_slice(cx, left))?
                } else if ready!(self.channel.poll_buffered(cx, left.len()))? >= left.len() {
                    // A short rest is gathered in the channel: there is nothing to give back then.
                    self.channel.copy_buffered(left)
                } else {
                    0
                };
            if received == 0 {
                let available = self.filled + self.channel.buffer.len();
                return Poll::Ready(Err(unexpected_end("read_exact", needed, available)));
            }
            self.filled += received;
            self.channel.lent = Lent { taken: self.filled, of: needed };
        }
        Poll::Ready(Ok(()))
    }

    fn give_back(&mut self) {
        self.channel.buffer.give_back(&self.slice[..self.filled]);
        self.channel.line.restart();
    }
}

impl Drop for ReadExact<'_> {
    fn drop(&mut self) {
        if self.done || self.filled == 0 {
            return;
        }
        if self.slice.len() > ITEM_BYTES_MAX {
            // `lent` stays set: the next call says `Incomplete`.
            return;
        }
        self.give_back();
        self.channel.lent = Lent::default();
    }
}
