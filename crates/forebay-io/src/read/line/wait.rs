//! The futures of reads of one line, which usually need not wait.
//!
//! They are written by hand: a line that has arrived is found and lent by a few instructions, in the poll of the task
//! that reads it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::ending::Found;
use crate::Result;

/// The form in which a line is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// Any bytes will do.
    Bytes,
}

/// A channel from which a line is read.
pub(super) trait LineSource {
    /// Finds a line that has arrived and is checked: the usual case.
    fn find_checked(&self) -> Option<Found>;

    /// Waits for a line, or for the end.
    fn poll_line(&mut self, cx: &mut Context<'_>, form: Form) -> Poll<Result<Option<Found>>>;
}

/// The result of a read, made of the line that was found.
pub(super) trait Lent<'a, C>: Sized {
    const FORM: Form;

    /// Consumes the line, which is checked, and lends or copies it.
    fn of_checked(channel: &'a mut C, found: Found) -> Self;

    /// Consumes the line, and lends or copies it.
    fn of(channel: &'a mut C, found: Found) -> Result<Option<Self>>;
}

/// A read of one line. Dropped before it is complete, it has taken nothing.
pub(super) struct ReadLine<'a, C, L> {
    /// `None` once the line was lent.
    channel: Option<&'a mut C>,
    lent: std::marker::PhantomData<fn() -> L>,
}

impl<'a, C: LineSource, L: Lent<'a, C>> ReadLine<'a, C, L> {
    #[inline]
    pub(super) fn new(channel: &'a mut C) -> Self {
        Self { channel: Some(channel), lent: std::marker::PhantomData }
    }

    #[inline(never)]
    fn poll_unchecked(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<L>>> {
        let found = match &mut self.channel {
            Some(channel) => ready!(channel.poll_line(cx, L::FORM))?,
            None => panic!("a read was polled after it was complete"),
        };
        Poll::Ready(match (found, self.channel.take()) {
            (Some(found), Some(channel)) => L::of(channel, found),
            _ => Ok(None),
        })
    }
}

impl<'a, C: LineSource, L: Lent<'a, C>> Future for ReadLine<'a, C, L> {
    type Output = Result<Option<L>>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be a tenth of a line")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(channel) = &this.channel
            && let Some(found) = channel.find_checked()
            && let Some(channel) = this.channel.take()
        {
            return Poll::Ready(Ok(Some(L::of_checked(channel, found))));
        }
        this.poll_unchecked(cx)
    }
}
