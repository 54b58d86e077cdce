//! Writes that do not wait: a slow reader is noticed instead of waited for.

use bytes::Bytes;

use super::ByteWriteChannel;
use crate::Result;

impl ByteWriteChannel {
    /// Writes text, unless the call would have to wait. Returns `false` if it would: nothing is written then.
    ///
    /// A write has to wait while the queue is at its mark (64 KiB), which means that the peer reads more slowly
    /// than this side writes. So one slow reader among many does not hold up the others. `false` also means
    /// that more than the channel's share of a turn (256 KiB) was written in this turn; and, rarely, that another
    /// thread is just finishing a task that has written to this channel.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str), and [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if the
    /// text is larger than 1 MiB.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// use forebay::{ByteWriteChannel, Error};
    ///
    /// /// Says a line to all members, and shows those the door that do not keep up.
    /// fn say(members: &mut Vec<ByteWriteChannel>, line: &str) {
    ///     members.retain_mut(|member| match member.try_write_str(line) {
    ///         Ok(true) => true,
    ///         Ok(false) => {
    ///             member.abort_with(Error::other("it reads too slowly"));
    ///             false
    ///         }
    ///         Err(_gone) => false,
    ///     });
    /// }
    /// # let (_slow, one) = forebay::pipe(4);
    /// # let (_fast, other) = forebay::pipe(4096);
    /// # let mut members = vec![one, other];
    /// # say(&mut members, "first\n");
    /// # say(&mut members, "second\n");
    /// # assert_eq!(members.len(), 1);
    /// ```
    pub fn try_write_str(&mut self, text: &str) -> Result<bool> {
        self.try_write_all(text.as_bytes())
    }

    /// Writes a slice, unless the call would have to wait, as [`try_write_str`](Self::try_write_str) does.
    ///
    /// # Errors
    ///
    /// Those of [`try_write_str`](Self::try_write_str).
    pub fn try_write_all(&mut self, bytes: &[u8]) -> Result<bool> {
        self.check_item(bytes.len())?;
        self.outbox.try_accept(self.auto_flush, bytes)
    }

    /// Writes a value of any size, unless the call would have to wait, as
    /// [`try_write_str`](Self::try_write_str) does. From 32 KiB on it is queued without a copy; from 4 KiB on it is
    /// copied only if the peer does not take it at once.
    ///
    /// The value is dropped if it is not written. A clone of it, which copies nothing, can be kept. So one message can
    /// be written to many channels: what a task writes to each of them leaves in one call, when the turn ends.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// use bytes::Bytes;
    /// use forebay::ByteWriteChannel;
    ///
    /// /// Says something to all members, and returns how many of them miss it.
    /// fn say(members: &mut [ByteWriteChannel], message: &Bytes) -> usize {
    ///     let misses = |member: &mut ByteWriteChannel| {
    ///         // A task of its own notices that a member has gone.
    ///         matches!(member.try_write_bytes(message.clone()), Ok(false))
    ///     };
    ///     members.iter_mut().map(misses).filter(|missed| *missed).count()
    /// }
    /// # let (_slow, one) = forebay::pipe(4);
    /// # let (_fast, other) = forebay::pipe(4096);
    /// # let mut members = [one, other];
    /// # assert_eq!(say(&mut members, &Bytes::from("first\n")), 0);
    /// # assert_eq!(say(&mut members, &Bytes::from("second\n")), 1);
    /// ```
    pub fn try_write_bytes(&mut self, bytes: Bytes) -> Result<bool> {
        self.outbox.try_accept_bytes(self.auto_flush, bytes)
    }
}
