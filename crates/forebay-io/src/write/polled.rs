//! Writing by calls that are polled: the traits of other crates.
//!
//! The wait that has no answer yet is kept in the channel ([`PolledWait`]). It is dropped when its answer has
//! come, when a wait for another event begins, and with the channel.

use std::io::IoSlice;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::wait::{AwaitedEvent, PolledWait};
use super::{ByteWriteChannel, ITEM_BYTES_MAX};
use crate::Result;
use crate::item::{Item, Sink};

/// The first `len` bytes of several slices, as one item.
#[derive(Clone, Copy)]
pub(crate) struct SlicesItem<'a> {
    slices: &'a [IoSlice<'a>],
    len: usize,
}

impl<'a> SlicesItem<'a> {
    /// Makes an item of as much as fits one.
    fn new(slices: &'a [IoSlice<'a>]) -> Self {
        let all = slices.iter().fold(0, |sum: usize, slice| sum.saturating_add(slice.len()));
        Self { slices, len: all.min(ITEM_BYTES_MAX) }
    }
}

impl Item for SlicesItem<'_> {
    fn len(self) -> usize {
        self.len
    }

    fn put(self, sink: &mut impl Sink) {
        let mut left = self.len;
        for slice in self.slices {
            let count = left.min(slice.len());
            sink.push_slice(&slice[..count]);
            left -= count;
        }
    }
}

impl ByteWriteChannel {
    /// Accepts a slice as one item, or its first 1 MiB. Returns the number of bytes accepted.
    pub(crate) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        slice: &[u8],
    ) -> Poll<Result<usize>> {
        self.poll_accept_item(cx, &slice[..slice.len().min(ITEM_BYTES_MAX)])
    }

    /// Accepts several slices as one item, or their first 1 MiB. Returns the number of bytes accepted.
    pub(crate) fn poll_accept_slices(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.poll_accept_item(cx, SlicesItem::new(slices))
    }

    fn poll_accept_item(&mut self, cx: &mut Context<'_>, item: impl Item) -> Poll<Result<usize>> {
        if item.len() == 0 {
            return self.poll_answer(cx).map_ok(|()| 0);
        }
        // An error is left to the wait, which finds it again, returns it, and gives way if it is ignored.
        while !self.outbox.accept(self.auto_flush, item).unwrap_or(false) {
            ready!(self.poll_room(cx))?;
        }
        self.wait = None;
        Poll::Ready(Ok(item.len()))
    }

    /// Accepts nothing. Gives way if such a call has returned at once a few times in a row.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.outbox.has_room() {
            return self.poll_room(cx);
        }
        self.pace.answers.poll_one(cx).map(Ok)
    }

    /// Waits for room after an item was refused, as `wait_for_room` does.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.pace.count(self.outbox.accepted());
        self.outbox.advance();
        let answer = ready!(self.poll_wait(cx, AwaitedEvent::Room));
        ready!(self.pace.poll(cx, answer.is_ok()));
        Poll::Ready(answer)
    }

    /// Polls [`flush`](Self::flush).
    pub(crate) fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let awaited = AwaitedEvent::Flush(self.outbox.accepted());
        if !self.waits_for(awaited) {
            self.outbox.check_whole("flush")?;
            self.pace.share.spend(0);
            ready!(self.pace.share.poll_room(cx, 0));
        }
        self.poll_wait(cx, awaited)
    }

    /// Polls [`finish`](Self::finish).
    pub(crate) fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.waits_for(AwaitedEvent::Finish) {
            self.outbox.check_whole("finish")?;
            ready!(self.pace.answers.poll_one(cx));
            self.outbox.finish_by_writer();
        }
        self.poll_wait(cx, AwaitedEvent::Finish)
    }

    fn waits_for(&self, awaited: AwaitedEvent) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.awaited() == awaited)
    }

    /// Polls the wait that is kept for this event, or a new one, which is kept if it has no answer yet. Its
    /// place among the waiters keeps the waker of the last poll.
    fn poll_wait(&mut self, cx: &mut Context<'_>, awaited: AwaitedEvent) -> Poll<Result<()>> {
        if !self.waits_for(awaited) {
            self.wait = None;
            // Usually the answer is there at once, and then nothing is allocated.
            let first = pin!(awaited.in_outbox(Arc::clone(&self.outbox))).poll(cx);
            if first.is_ready() {
                return first;
            }
        }
        let outbox = &self.outbox;
        let wait = self.wait.get_or_insert_with(|| PolledWait::new(awaited, Arc::clone(outbox)));
        let answer = ready!(wait.poll(cx));
        self.wait = None;
        Poll::Ready(answer)
    }
}
