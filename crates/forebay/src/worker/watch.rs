//! Reports a task that blocks its worker, while it blocks: a thread that watches the polls of the driver.
//!
//! ```text
//!   driver   sleeps ──► awake: polls, polls, ... ──► sleeps
//!   watch    parked ──► unparked: a step, a step, ... ──► parked
//! ```
//!
//! A step is a quarter of the time. A poll that has not ended for four steps in a row is reported, once for a
//! task. Only a step that took about as long as it should counts, and one that took longer begins the
//! count anew: then the whole process was stopped, or the machine has no time for it.
//!
//! While the worker sleeps the watch is parked and wakes up never. It parks only after it has seen `asleep`
//! behind its own `parked`; the driver clears the one before it reads the other. All four are sequentially
//! consistent, so at least one of the two sees the other's step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use forebay_io::Error;

use crate::task::{Beat, Pulse, Reporter, Tasks};
use crate::time::system_now;

/// The number of steps in the time after which a poll is reported.
const STEPS_COUNT: u32 = 4;
/// A shorter step cannot be told from a late one.
const STEP_MIN: Duration = Duration::from_millis(5);

/// The watch over one worker's polls.
pub(super) struct PollWatch {
    step: Duration,
    pulse: Arc<Pulse>,
    /// Weak, because the reporter holds a user's handler, which is not to be dropped on the thread.
    tasks: Weak<Tasks>,
    reporter: Weak<Reporter>,
    /// The driver sleeps, or no thread drives.
    asleep: AtomicBool,
    /// The thread is parked until the driver wakes up.
    parked: AtomicBool,
    started: AtomicBool,
    ended: AtomicBool,
    thread: OnceLock<Thread>,
}

impl PollWatch {
    pub(super) fn new(
        after: Duration,
        worker: u16,
        tasks: &Arc<Tasks>,
        reporter: &Arc<Reporter>,
    ) -> Arc<Self> {
        Arc::new(Self {
            step: (after / STEPS_COUNT).max(STEP_MIN),
            pulse: Arc::clone(tasks.pulse(worker)),
            tasks: Arc::downgrade(tasks),
            reporter: Arc::downgrade(reporter),
            asleep: AtomicBool::new(true),
            parked: AtomicBool::new(false),
            started: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            thread: OnceLock::new(),
        })
    }

    /// Starts the thread, once. Without one, nothing is reported, and nothing else is different.
    #[inline]
    pub(super) fn start(self: &Arc<Self>) {
        // Relaxed: only the thread that drives starts it.
        if !self.started.load(Ordering::Relaxed) {
            self.start_thread();
        }
    }

    #[cold]
    fn start_thread(self: &Arc<Self>) {
        self.started.store(true, Ordering::Relaxed);
        if self.ended.load(Ordering::SeqCst) {
            return;
        }
        let watch = Arc::clone(self);
        let started =
            thread::Builder::new().name("forebay-watch".into()).spawn(move || watch.run());
        if let Ok(handle) = started {
            self.thread.get_or_init(|| handle.thread().clone());
            // An end in the meantime has found no thread to wake.
            if self.ended.load(Ordering::SeqCst) {
                handle.thread().unpark();
            }
        }
    }

    /// Records that the driver is about to sleep, or that none drives any more.
    pub(super) fn falls_asleep(&self) {
        // Relaxed: a watch that does not see it yet makes one more step.
        self.asleep.store(true, Ordering::Relaxed);
    }

    /// Records that the driver is awake, and wakes the thread if it is parked.
    pub(super) fn wakes_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            self.parked.store(false, Ordering::SeqCst);
            self.unpark();
        }
    }

    /// Ends the thread, without waiting for it.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn run(&self) {
        let mut count = Count::default();
        let mut began = system_now();
        while !self.ended.load(Ordering::SeqCst) {
            let left = self.step.saturating_sub(began.elapsed());
            if !left.is_zero() {
                thread::park_timeout(left);
                continue;
            }
            let is_late = began.elapsed() > self.step + (self.step / 2).max(STEP_MIN);
            let beat = self.pulse.beat();
            let steps = count.step(beat, is_late);
            if steps >= STEPS_COUNT
                && let Some(beat) = beat
            {
                self.blocks(beat.task, steps);
            }
            if beat.is_none() {
                self.park_while_asleep();
            }
            began = system_now();
        }
    }

    fn park_while_asleep(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while self.asleep.load(Ordering::SeqCst)
            && self.parked.load(Ordering::SeqCst)
            && !self.ended.load(Ordering::SeqCst)
        {
            thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }

    /// Reports a poll that has not ended for so many steps, at the first of these.
    fn blocks(&self, task: u64, steps: u32) {
        let Some(reporter) = self.reporter.upgrade() else { return };
        if steps == STEPS_COUNT {
            self.report(&reporter, task, self.step * STEPS_COUNT);
        }
        // The timer that does this may be the worker's that is blocked.
        reporter.print_due();
    }

    fn report(&self, reporter: &Reporter, task: u64, blocked: Duration) {
        let subject = if task == Pulse::MAIN {
            "the future of run or block_on".to_owned()
        } else {
            // It has ended in the meantime, or was reported before.
            let Some(place) = self.tasks.upgrade().and_then(|tasks| tasks.blocks(task)) else {
                return;
            };
            format!("the task spawned at {place}")
        };
        let error = Error::other(format!(
            "{subject} has not returned for {blocked:?}, and holds up everything else on its worker; move \
             calls that block to spawn_blocking, and let long computations call yield_now \
             (SelectorBuilder::blocked_after sets the time)"
        ));
        reporter.report("a task blocks its worker", &error);
    }
}

/// The steps in a row that have seen the same poll.
#[derive(Debug, Default)]
struct Count {
    seen: Option<Beat>,
    steps: u32,
}

impl Count {
    /// Counts a step, and returns the number of those in a row.
    fn step(&mut self, beat: Option<Beat>, is_late: bool) -> u32 {
        self.steps = match beat {
            Some(_) if beat == self.seen && !is_late => self.steps.saturating_add(1),
            _ => 0,
        };
        self.seen = beat;
        self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Pulse};

    #[test]
    fn progress_and_late_steps_begin_the_count_anew() {
        let (pulse, mut count) = (Pulse::default(), Count::default());
        assert_eq!(count.step(pulse.beat(), false), 0, "no poll");
        pulse.begin(1);
        let counts = [(); 3].map(|()| count.step(pulse.beat(), false));
        assert_eq!(counts, [0, 1, 2], "the first step only sees the poll");
        assert_eq!(count.step(pulse.beat(), true), 0, "a late one");
        assert_eq!(count.step(pulse.beat(), false), 1);
        pulse.begin(1);
        assert_eq!(count.step(pulse.beat(), false), 0, "another poll of the same task");
        assert_eq!(count.step(pulse.beat(), false), 1);
        pulse.end();
        assert_eq!(count.step(pulse.beat(), false), 0, "between polls");
    }
}
