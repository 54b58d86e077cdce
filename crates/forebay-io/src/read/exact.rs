//! Filling a caller's slice. A dropped future gives back what it took.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::bytes::STRAIGHT_BYTES;
use super::front::Standing;
use super::{ByteReadChannel, LentBytes};
use crate::Result;
use crate::turn::Answers;

impl ByteReadChannel {
    /// Fills the whole slice.
    ///
    /// A slice of 16 KiB or more is received into directly once nothing is buffered.
    ///
    /// # Errors
    ///
    /// - [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd) if the input ends first; the bytes before the
    ///   end stay readable.
    /// - [`Incomplete`](crate::ErrorKind::Incomplete) if an earlier call with a slice above 1 MiB (the
    ///   `give_back_limit` of the selector) was dropped before it was complete.
    /// - The connection's error; what was taken before it stays readable.
    ///
    /// # Cancel safety
    ///
    /// Lossless for slices up to 1 MiB: a dropped future gives back what it took. Dropping a larger one
    /// before it is complete poisons the channel: later reads return
    /// [`Incomplete`](crate::ErrorKind::Incomplete), so nothing is lost silently.
    #[doc(alias = "readFully")]
    pub fn read_exact<'a>(&'a mut self, slice: &'a mut [u8]) -> ReadExact<'a> {
        let (standing, answers) = (None, Answers::default());
        ReadExact { channel: self, slice, filled: 0, done: false, standing, answers }
    }
}

/// The future of [`ByteReadChannel::read_exact`].
///
/// Invariant between polls: `channel.lent` holds how many bytes at the start of the slice have left the
/// channel.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` them"]
pub struct ReadExact<'a> {
    channel: &'a mut ByteReadChannel,
    slice: &'a mut [u8],
    filled: usize,
    done: bool,
    /// The state of the channel's front before this call took anything; restored if the call gives everything back.
    standing: Option<Standing>,
    /// The channel's count before this call took anything; restored if the call gives everything back.
    answers: Answers,
}

impl Future for ReadExact<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        // Later polls find `lent` set by this very call.
        if this.filled == 0 {
            ready!(this.channel.poll_lent(cx, "read_exact"))?;
        }
        if this.filled == 0 {
            ready!(this.channel.buffer.front.answers.poll_more(cx));
            this.answers = this.channel.buffer.front.answers;
            this.standing = this.channel.buffer.front.standing();
        }
        let Poll::Ready(outcome) = this.poll_filled(cx) else {
            this.note_lent();
            return Poll::Pending;
        };
        if outcome.is_err() {
            this.give_back();
        }
        if outcome.is_err() || this.slice.is_empty() {
            this.answers.count();
            this.channel.buffer.front.answers = this.answers;
        }
        this.channel.set_lent(LentBytes::default());
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
                    // A short rest is collected in the channel, so that it need not be given back.
                    self.channel.copy_buffered(left)
                } else {
                    0
                };
            if received == 0 {
                let available = self.filled + self.channel.buffer.len();
                let end = self.channel.unexpected_end("read_exact", needed, available);
                return Poll::Ready(Err(end));
            }
            self.filled += received;
        }
        Poll::Ready(Ok(()))
    }

    /// Makes the channel know what is missing in it, should this be the last poll.
    fn note_lent(&mut self) {
        self.channel.set_lent(LentBytes { taken: self.filled, of: self.slice.len() });
    }

    fn give_back(&mut self) {
        self.channel.buffer.give_back(&self.slice[..self.filled]);
        self.channel.buffer.front.set_standing(self.standing);
    }
}

impl Drop for ReadExact<'_> {
    fn drop(&mut self) {
        if self.done || self.filled == 0 {
            return;
        }
        if self.slice.len() > self.channel.limits().give_back {
            // The next call returns `Incomplete`.
            return self.note_lent();
        }
        self.give_back();
        self.channel.set_lent(LentBytes::default());
    }
}
