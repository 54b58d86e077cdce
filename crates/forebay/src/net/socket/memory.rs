//! A connection in memory: two lanes, and two ends that each read one of them and write the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Cause, Inlet, Lane, SendQueue, WakeList};
use forebay_io::{Error, ErrorKind};

use super::note::Note;
use super::on_the_way::OnTheWay;
use crate::host::Hangup;
use crate::net::descriptor::released;
use crate::net::system::InStore;
use crate::selector::{Shared, Waits};
use crate::time::WakeUp;

/// One end of a pair in memory.
pub(in crate::net) struct MemoryEnd {
    inbound: Arc<Lane>,
    outbound: Arc<Lane>,
    released: AtomicBool,
    selector: Arc<Shared>,
}

impl MemoryEnd {
    /// Makes two ends, with this capacity in each direction.
    ///
    /// # Panics
    ///
    /// If the capacity is zero.
    pub(in crate::net) fn pair(selector: &Arc<Shared>, capacity: usize) -> (Arc<Self>, Arc<Self>) {
        let [forth, back] = [(); 2].map(|()| Arc::new(Lane::new(capacity, Cause::default())));
        let left = Self::new(selector, Arc::clone(&back), Arc::clone(&forth));
        (left, Self::new(selector, forth, back))
    }

    fn new(selector: &Arc<Shared>, inbound: Arc<Lane>, outbound: Arc<Lane>) -> Arc<Self> {
        let released = AtomicBool::new(false);
        let end = Arc::new(Self { inbound, outbound, released, selector: Arc::clone(selector) });
        // No poll watches this end, so a closing selector wakes it itself.
        let waits = Arc::clone(&end) as Arc<dyn WakeUp>;
        selector.closing().on_change(Arc::downgrade(&waits));
        end
    }

    pub(super) fn selector(&self) -> &Arc<Shared> {
        &self.selector
    }

    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        waits: Waits,
        inlet: &mut Inlet<'_>,
        note: impl Note,
    ) -> Poll<io::Result<usize>> {
        if let Err(refusal) = self.check(waits) {
            return Poll::Ready(Err(refusal));
        }
        let received = self.inbound.poll_receive_if(cx, inlet, &|| note.check());
        if received.is_pending()
            && let Err(refusal) = self.check(waits)
        {
            // A close since the first check has found no waker to wake.
            return Poll::Ready(Err(refusal));
        }
        received.map_err(Into::into)
    }

    pub(super) fn on_the_way(&self) -> OnTheWay {
        OnTheWay { unread: self.inbound.queued() as u64, unsent: self.outbound.queued() as u64 }
    }

    pub(super) fn receive_now(&self, inlet: &mut Inlet<'_>, note: impl Note) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_receive(&mut cx, Waits::WayOut, inlet, note) {
            Poll::Ready(received) => received,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<io::Result<()>> {
        if let Err(refusal) = self.check(Waits::WayOut) {
            return Poll::Ready(Err(refusal));
        }
        self.outbound.poll_send(cx, queue, after).map_err(Into::into)
    }

    pub(super) fn end(&self, after: &mut WakeList) -> io::Result<()> {
        self.check(Waits::WayOut)?;
        Ok(self.outbound.end(after)?)
    }

    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.inbound.cause().cloned().map(Into::into)
    }

    pub(super) fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup> {
        self.inbound.watch(cx.waker());
        let now =
            Hangup { read_closed: self.inbound.has_ended(), error: self.inbound.cause().is_some() };
        if now == known { Poll::Pending } else { Poll::Ready(now) }
    }

    pub(super) fn in_store(&self) -> InStore {
        if self.inbound.has_ended() || self.inbound.cause().is_some() {
            InStore::End
        } else if self.inbound.queued() > 0 {
            InStore::Bytes
        } else {
            InStore::Nothing
        }
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// Releases this end, with a reset or with the end mark. True the first time.
    pub(super) fn release(&self, reset: bool, after: &mut WakeList) -> bool {
        // Only the first release ends the lanes.
        if self.released.swap(true, Ordering::AcqRel) {
            return false;
        }
        let reader = if reset {
            let cause = Error::new(ErrorKind::Reset, "connection in memory")
                .with_detail("the other end was aborted");
            self.outbound.abort(&cause, after);
            self.inbound.reader_gone(Some(&cause), after)
        } else {
            // A lane that has failed has already reported that to the other end.
            self.outbound.end(after).ok();
            self.inbound.reader_gone(None, after)
        };
        if let Some(reader) = reader {
            after.wake(reader);
        }
        self.wake(after);
        true
    }

    pub(super) fn wake(&self, after: &mut WakeList) {
        self.inbound.wake(after);
        self.outbound.wake(after);
    }

    fn check(&self, waits: Waits) -> io::Result<()> {
        if self.is_released() {
            return Err(released());
        }
        Ok(self.selector.closing().check_wait(waits)?)
    }
}

impl WakeUp for MemoryEnd {
    fn wake_up(&self) {
        let mut after = WakeList::new();
        self.wake(&mut after);
        after.run();
    }
}

impl Drop for MemoryEnd {
    fn drop(&mut self) {
        let mut after = WakeList::new();
        self.release(false, &mut after);
        after.run();
    }
}
