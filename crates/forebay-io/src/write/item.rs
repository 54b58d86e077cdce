//! The futures of writes, which usually need not wait.
//!
//! They are written by hand: a write that finds room is accepted by a few instructions, in the poll of the task that
//! calls it, and the future that waits for room is made only when there is none.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::Result;

/// The bytes of a write to a channel, of which `C` is a reference.
pub(super) trait Written<'a, C>: Unpin + Send + 'a {
    /// Accepts the bytes if they are an ordinary item and there is room. Returns `false` if the write must go the
    /// whole way, and then nothing is accepted.
    fn accept(&mut self, channel: &mut C) -> bool;

    /// Writes them, however long it takes, or returns the reason why they cannot be written.
    fn write_whole(self, channel: C) -> WholeWrite<'a>;
}

pub(super) type WholeWrite<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// A write. Dropped before it is complete, it has written nothing, unless it is a slice above the item limit.
pub(super) struct Write<'a, C, W>(ItemWrite<'a, C, W>);

enum ItemWrite<'a, C, W> {
    Begins(C, W),
    Waits(WholeWrite<'a>),
    Done,
}

impl<'a, C, W: Written<'a, C>> Write<'a, C, W> {
    #[inline]
    pub(super) fn new(channel: C, written: W) -> Self {
        Self(ItemWrite::Begins(channel, written))
    }

    #[cold]
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let ItemWrite::Begins(..) = self.0
            && let ItemWrite::Begins(channel, written) = mem::replace(&mut self.0, ItemWrite::Done)
        {
            self.0 = ItemWrite::Waits(written.write_whole(channel));
        }
        match &mut self.0 {
            ItemWrite::Waits(whole) => whole.as_mut().poll(cx),
            ItemWrite::Begins(..) | ItemWrite::Done => {
                panic!("a write was polled after it was complete")
            }
        }
    }
}

impl<'a, C: Unpin + Send, W: Written<'a, C>> Future for Write<'a, C, W> {
    type Output = Result<()>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        if let ItemWrite::Begins(channel, written) = &mut this.0
            && written.accept(channel)
        {
            this.0 = ItemWrite::Done;
            return Poll::Ready(Ok(()));
        }
        this.poll_whole(cx)
    }
}
