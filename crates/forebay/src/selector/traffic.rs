//! Counts of the system calls for sockets.
//!
//! A counter that all threads change is a cache line that they take from each other, twice per call. So each
//! worker has counts of its own, and so has each other thread, such as one of a foreign runtime.

use std::cell::RefCell;
use std::ptr;
use std::sync::{Arc, Mutex, Weak};

use super::stats::Counter;
use crate::lock::lock;
use crate::worker::Traffic;

/// The counts of the threads that drive no worker of a selector.
#[derive(Debug, Default)]
pub(super) struct OtherThreads {
    /// Of each thread that counts for this selector alone.
    threads: Mutex<Vec<Arc<Traffic>>>,
    /// Of threads that have ended, and of those that count for another selector.
    others: Counts,
}

/// Counts that many threads change.
#[derive(Debug, Default)]
struct Counts {
    receives: Counter,
    received_bytes: Counter,
    sends: Counter,
    sent_bytes: Counter,
}

/// A number of system calls, and of the bytes that they have moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TrafficSum {
    pub(super) receives: u64,
    pub(super) received_bytes: u64,
    pub(super) sends: u64,
    pub(super) sent_bytes: u64,
}

impl TrafficSum {
    pub(super) fn add(&mut self, traffic: &Traffic) {
        self.receives += traffic.receives.get();
        self.received_bytes += traffic.received_bytes.get();
        self.sends += traffic.sends.get();
        self.sent_bytes += traffic.sent_bytes.get();
    }
}

thread_local! {
    static OWN: RefCell<Option<OwnCounts>> = const { RefCell::new(None) };
}

/// The counts that a thread has for itself, for the first selector for which it counts. They join the others when
/// the thread ends.
struct OwnCounts {
    /// It keeps the memory, so no other selector can have this address.
    of: Weak<OtherThreads>,
    traffic: Arc<Traffic>,
}

impl OtherThreads {
    /// Counts a call that has received.
    #[inline]
    pub(super) fn count_receive(self: &Arc<Self>, bytes: u64) {
        let counted = self.with_own(|traffic| {
            traffic.receives.add(1);
            traffic.received_bytes.add(bytes);
        });
        if !counted {
            self.others.receives.add(1);
            self.others.received_bytes.add(bytes);
        }
    }

    /// Counts a call that has sent.
    #[inline]
    pub(super) fn count_send(self: &Arc<Self>, bytes: u64) {
        let counted = self.with_own(|traffic| {
            traffic.sends.add(1);
            traffic.sent_bytes.add(bytes);
        });
        if !counted {
            self.others.sends.add(1);
            self.others.sent_bytes.add(bytes);
        }
    }

    pub(super) fn sum(&self) -> TrafficSum {
        // Under the lock, so that counts which join the others are there once.
        let threads = lock(&self.threads);
        let mut sum = TrafficSum {
            receives: self.others.receives.get(),
            received_bytes: self.others.received_bytes.get(),
            sends: self.others.sends.get(),
            sent_bytes: self.others.sent_bytes.get(),
        };
        threads.iter().for_each(|traffic| sum.add(traffic));
        sum
    }

    /// Counts in this thread's own counts. Returns `false` if they are another selector's.
    #[inline]
    fn with_own(self: &Arc<Self>, count: impl Fn(&Traffic)) -> bool {
        let counted = OWN.try_with(|own| match &*own.borrow() {
            Some(own) if ptr::eq(own.of.as_ptr(), Arc::as_ptr(self)) => {
                count(&own.traffic);
                true
            }
            _ => false,
        });
        match counted {
            Ok(true) => true,
            Ok(false) => self.begin_own(count),
            // While the thread ends.
            Err(_) => false,
        }
    }

    /// Begins this thread's own counts, unless it has some for another selector that is alive.
    #[cold]
    fn begin_own(self: &Arc<Self>, count: impl Fn(&Traffic)) -> bool {
        let begun = OWN.try_with(|own| {
            let mut own = own.borrow_mut();
            if own.as_ref().is_some_and(|own| own.of.strong_count() > 0) {
                return (false, None);
            }
            let traffic = Arc::default();
            count(&traffic);
            lock(&self.threads).push(Arc::clone(&traffic));
            (true, own.replace(OwnCounts { of: Arc::downgrade(self), traffic }))
        });
        begun.is_ok_and(|(begun, _before)| begun)
    }

    fn join(&self, traffic: &Arc<Traffic>) {
        let mut threads = lock(&self.threads);
        threads.retain(|other| !Arc::ptr_eq(other, traffic));
        self.others.receives.add(traffic.receives.get());
        self.others.received_bytes.add(traffic.received_bytes.get());
        self.others.sends.add(traffic.sends.get());
        self.others.sent_bytes.add(traffic.sent_bytes.get());
    }
}

impl Drop for OwnCounts {
    fn drop(&mut self) {
        if let Some(all) = self.of.upgrade() {
            all.join(&self.traffic);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A thread that counts for two selectors, and one that ends.
    #[test]
    fn no_count_is_lost() {
        let (one, other) = (Arc::<OtherThreads>::default(), Arc::<OtherThreads>::default());
        for _ in 0..3 {
            one.count_receive(10);
            other.count_receive(20);
            one.count_send(1);
        }
        let (all, theirs) = (Arc::clone(&one), Arc::clone(&other));
        let ends = thread::spawn(move || {
            theirs.count_send(7);
            all.count_send(5);
            all.count_receive(5);
        });
        ends.join().expect("no panic");
        let sum = TrafficSum { receives: 4, received_bytes: 35, sends: 4, sent_bytes: 8 };
        assert_eq!(one.sum(), sum);
        let sum = TrafficSum { receives: 3, received_bytes: 60, sends: 1, sent_bytes: 7 };
        assert_eq!(other.sum(), sum);
        assert_eq!(
            lock(&one.threads).len(),
            1,
            "a thread that has ended keeps no counts of its own"
        );
        assert_eq!(lock(&other.threads).len(), 0, "this thread counts for the first one");
    }

    #[test]
    fn a_thread_counts_for_the_next_selector_when_the_first_is_gone() {
        thread::spawn(|| {
            let first = Arc::<OtherThreads>::default();
            first.count_send(1);
            drop(first);
            let next = Arc::<OtherThreads>::default();
            next.count_send(2);
            assert_eq!(next.sum().sent_bytes, 2);
            assert_eq!(lock(&next.threads).len(), 1);
        })
        .join()
        .expect("no panic");
    }
}
