//! The pace of a listener: its share of a turn, and its pauses.

use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use forebay_io::seam::{Share, WaiterKey, wake_next_turn};

use crate::lock::lock;
use crate::selector::Shared;
use crate::time::Backoff;

/// Connections accepted in one turn before an accepting task gives way.
const ACCEPTS_MAX: u16 = 64;
/// The number of threads whose shares are kept: as many as a selector has workers by default, at most.
const SHARES_MAX: usize = 64;
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The pauses after the machine has run out of descriptors or memory.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(5), LONGEST_PAUSE);

/// The pace at which a listener accepts.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Of each thread that accepts: their turns are counted each for itself, so one share for all would be
    /// renewed whenever another thread accepts.
    shares: Vec<(ThreadId, Share)>,
    pause: Option<Pause>,
    /// The pauses to come; they begin anew when something is accepted.
    pauses: Backoff,
    watching: Option<WaiterKey>,
}

impl Default for State {
    fn default() -> Self {
        Self { shares: Vec::new(), pause: None, pauses: PAUSES, watching: None }
    }
}

impl State {
    /// Returns the share of this thread.
    fn share(&mut self) -> &mut Share {
        let here = thread::current().id();
        let index =
            self.shares.iter().position(|(thread, _)| *thread == here).unwrap_or_else(|| {
                // Threads come and go. A share that is forgotten is a new one.
                if self.shares.len() == SHARES_MAX {
                    self.shares.clear();
                }
                self.shares.push((here, Share::of_calls(ACCEPTS_MAX)));
                self.shares.len() - 1
            });
        &mut self.shares[index].1
    }
}

/// A pause after the machine has run out of a resource: no attempt is made before it is over.
#[derive(Debug)]
struct Pause {
    /// `None`: later than the clock can represent.
    until: Option<Instant>,
    /// The count of freed descriptors at the beginning. The pause is over, too, when the selector's count
    /// differs.
    freed: u64,
}

impl Pace {
    /// Gives way when this turn's share is used up.
    pub(super) fn poll_share(&self, cx: &mut Context<'_>) -> Poll<()> {
        if lock(&self.0).share().has_room(1) {
            return Poll::Ready(());
        }
        // Without the lock, because a foreign waker is cloned or woken.
        wake_next_turn(cx.waker());
        Poll::Pending
    }

    pub(super) fn accepted_one(&self) {
        let mut state = lock(&self.0);
        state.share().spend(0);
        (state.pause, state.pauses) = (None, PAUSES);
    }

    /// Counts a connection that was gone before it was accepted. It counts for the share, so that a flood
    /// of them leaves room for other tasks.
    pub(super) fn passed_one_over(&self) {
        lock(&self.0).share().spend(0);
    }

    /// Begins a pause, after the machine has run out of a resource, and returns its longest duration.
    /// `None` if an attempt must be made first, because a descriptor may have been freed unnoticed.
    ///
    /// `waker` is woken when a socket of this selector releases its descriptor.
    pub(super) fn pause(&self, selector: &Shared, waker: &Waker) -> Option<Duration> {
        let mut state = lock(&self.0);
        // Read before watching, so that a descriptor that is freed from here on ends the pause.
        let freed = selector.sockets().freed.count();
        if !selector.sockets().freed.watch(&mut state.watching, waker) {
            return None;
        }
        let pause = state.pauses.next_pause();
        let until = selector.timers().now().checked_add(pause);
        state.pause = Some(Pause { until, freed });
        Some(pause)
    }

    /// The time that is left of a pause, whichever call has begun it.
    pub(super) fn pause_left(&self, selector: &Shared) -> Option<Duration> {
        let mut state = lock(&self.0);
        let pause = state.pause.as_ref()?;
        let now = selector.timers().now();
        let left = pause.until.map_or(LONGEST_PAUSE, |until| until.saturating_duration_since(now));
        if left.is_zero() || pause.freed != selector.sockets().freed.count() {
            state.pause = None;
            return None;
        }
        Some(left)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use forebay_io::seam::ThreadTurns;

    use super::*;

    #[test]
    fn a_worker_gives_way_however_many_others_accept() {
        let (pace, step) = (Pace::default(), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                let _turns = ThreadTurns::enter();
                for _ in 0..ACCEPTS_MAX {
                    step.wait();
                    pace.accepted_one();
                    step.wait();
                }
            });
            let _turns = ThreadTurns::enter();
            // This thread is in another turn than the other one.
            assert!(ThreadTurns::end_turn().is_empty());
            let cx = &mut Context::from_waker(Waker::noop());
            for _ in 0..ACCEPTS_MAX {
                assert!(pace.poll_share(cx).is_ready());
                pace.accepted_one();
                step.wait();
                step.wait();
            }
            assert!(pace.poll_share(cx).is_pending());
            ThreadTurns::end_turn();
            assert!(pace.poll_share(cx).is_ready());
        });
    }
}
