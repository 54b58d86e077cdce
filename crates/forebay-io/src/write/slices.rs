//! Accepting slices by calls that are polled.

use std::io::IoSlice;
use std::task::{Context, Poll, ready};

use super::ByteWriteChannel;
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
    fn new(slices: &'a [IoSlice<'a>], item_max: usize) -> Self {
        let all = slices.iter().fold(0, |sum: usize, slice| sum.saturating_add(slice.len()));
        Self { slices, len: all.min(item_max) }
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
        self.poll_accept_item(cx, &slice[..slice.len().min(self.item_max)])
    }

    /// Accepts several slices as one item, or their first 1 MiB. Returns the number of bytes accepted.
    pub(crate) fn poll_accept_slices(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.poll_accept_item(cx, SlicesItem::new(slices, self.item_max))
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
}
