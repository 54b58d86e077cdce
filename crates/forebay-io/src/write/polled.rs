//! The waits of calls that are polled: the traits of other crates.
//!
//! The wait that has no answer yet is kept in the channel ([`PolledWait`]). It is dropped when its answer has
//! come, when a wait for another event begins, and with the channel.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::ByteWriteChannel;
use super::wait::{AwaitedEvent, PolledWait};
use crate::Result;

impl ByteWriteChannel {
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
