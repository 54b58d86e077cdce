//! Flushing what tasks have written.

use std::sync::Arc;

use forebay_io::seam::Outbox;

use crate::task::caught;

/// The number of outboxes that wait for the end of a turn. With more of them, what was written first would be
/// out of the processor's caches when it is sent (`docs/decisions/062-flush-in-batches.md`).
pub(super) const BATCH_COUNT: usize = 32;

/// The locks that a thread may hold when it defers an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locks {
    /// Other outboxes can be flushed.
    None,
    /// An outbox's lock may be held: flushing another one could wait for a thread that waits for this one.
    MayBeHeld,
}

/// Flushes the outboxes and empties the list.
///
/// A panic of a user's code in there keeps no other outbox from being flushed.
pub(super) fn flush_all(batch: &mut Vec<Arc<Outbox>>) {
    batch.drain(..).for_each(flush_one);
}

/// Flushes an outbox.
///
/// Sending may run a user's code: the owner of a value that was sent is dropped, and wakers of other runtimes
/// are woken. So may dropping the outbox, of which this may be the last handle. A panic in there has been printed by
/// the process's panic hook.
pub(super) fn flush_one(outbox: Arc<Outbox>) {
    drop(caught(move || outbox.advance()));
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use forebay_io::seam::{Cause, Drain, FlushSchedule, SendQueue, WakeList};
    use forebay_io::{ByteWriteChannel, Error, Result};
    use forebay_testing::at_once;
    use forebay_testing::channels::{Recorder, TestSchedule};

    use super::*;

    struct Blocked;

    impl Drain for Blocked {
        fn poll_send(
            &mut self,
            _: &mut Context<'_>,
            _: &mut SendQueue,
            _: &mut WakeList,
        ) -> Poll<Result<()>> {
            Poll::Pending
        }

        fn poll_end(&mut self, _: &mut Context<'_>, _: &mut WakeList) -> Poll<Result<()>> {
            Poll::Pending
        }

        fn abort(&mut self, _: &Error, _: &mut WakeList) {}
    }

    /// Keeps nothing.
    struct Forgetful;

    impl FlushSchedule for Forgetful {
        fn defer(&self, _: &Arc<Outbox>) {}
        fn finish_in_background(self: Arc<Self>, _: Arc<Outbox>) {}
    }

    struct Panicking(Vec<u8>);

    impl AsRef<[u8]> for Panicking {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Panicking {
        fn drop(&mut self) {
            panic!("a user's drop");
        }
    }

    /// The list may hold the last handle of an outbox whose runtime has ended.
    #[test]
    fn what_an_outbox_drops_keeps_no_other_from_being_flushed() {
        let blocked = Outbox::new(Box::new(Blocked), Cause::default(), Arc::new(Forgetful));
        let mut writer = ByteWriteChannel::new(Arc::clone(&blocked), None);
        let value = Bytes::from_owner(Panicking(vec![7; 40 * 1024]));
        at_once(writer.write_bytes(value)).unwrap();
        drop(writer);
        let recorder = Recorder::new();
        let other = recorder.outbox(&Arc::new(TestSchedule::default()));
        let mut writer = ByteWriteChannel::new(Arc::clone(&other), None);
        at_once(writer.write_str("flushed")).unwrap();
        flush_all(&mut vec![blocked, other]);
        assert_eq!(recorder.sent(), b"flushed");
    }
}
