//! Limits on silence, as a connection applies them.

use std::sync::Arc;
use std::time::Duration;

use forebay_io::Error;
use forebay_io::seam::{Outbox, WakeList};

use super::core::Core;
use super::link::Leave;
use super::on_the_way::OnTheWay;
use super::timeouts::Limited;
use crate::net::options::Silence;

impl Core {
    /// Sets a limit on silence; `None` lifts it.
    pub(super) fn limit_silence(self: &Arc<Self>, silence: Silence, limit: Option<Duration>) {
        if self.link().is_released() {
            return;
        }
        self.make_timeouts().limit(silence, limit);
        // A wait in progress looks again, and its time counts from then on.
        let mut after = WakeList::new();
        self.link().wake(&mut after);
        after.run();
    }

    /// The limit on a silence, as it is now.
    pub(super) fn silence_limit(&self, silence: Silence) -> Option<Duration> {
        self.timeouts().and_then(|timeouts| timeouts.limit_of(silence))
    }
}

impl Limited for Core {
    fn is_released(&self) -> bool {
        self.link().is_released()
    }

    fn wake(&self, after: &mut WakeList) {
        self.link().wake(after);
    }

    fn outbox(&self) -> Option<Arc<Outbox>> {
        Core::outbox(self)
    }

    fn on_the_way(&self) -> OnTheWay {
        self.link().on_the_way()
    }

    /// Ends a connection on which no byte has moved for too long: in order if everything that was accepted
    /// is sent and complete, otherwise by a reset.
    fn expire(&self, cause: Error) {
        let cause = self.named(cause);
        let outbox = self.outbox();
        // One step of the outbox: bytes that are accepted at the same time are either sent or reported as
        // lost. The end mark is sent before the cause is set, because nothing is sent after a cause.
        let in_order = outbox.as_ref().is_none_or(|outbox| outbox.end_or_abort(&cause));
        let cause = self.record_cause(cause);
        if let Some(above) = self.cause_above() {
            above.record(cause.clone());
        }
        let mut after = WakeList::new();
        if in_order {
            self.link().release(Leave::InOrder, &mut after);
        }
        self.wake_waiters(&mut after);
        after.run();
        if let Some(outbox) = outbox {
            // Its calls report the cause from now on, even if it has ended in order.
            outbox.abort(&cause);
        }
        self.release();
    }
}
