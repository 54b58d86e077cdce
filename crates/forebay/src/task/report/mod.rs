//! Errors that are not awaited: counted, and reported.

mod lines;
mod rule;

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Wake, Waker};
use std::time::Instant;

use forebay_io::Error;

use self::lines::{Offer, ReportLine, ReportLines};
use self::rule::is_shown;
use super::contain::caught;
use crate::lock::lock;
use crate::trace;

pub(crate) type Handler = Arc<dyn Fn(&Error) + Send + Sync>;

/// Sets a timer that wakes the waker from the selector's worker. Dropping what it returns removes the
/// timer.
type SetTimer = Box<dyn Fn(Instant, Waker) -> SetAlarm + Send + Sync>;

/// A timer that is removed when this is dropped. Of any type: tasks do not know timers.
type SetAlarm = Box<dyn Any + Send + Sync>;

/// Receives the errors of detached tasks, and other problems that no call returns.
pub(crate) struct Reporter {
    handler: Option<Handler>,
    reported: AtomicU64,
    lines: Mutex<ReportLines>,
    /// Returns the time of the selector's clock.
    now: Box<dyn Fn() -> Instant + Send + Sync>,
    /// Wakes this reporter when the next line may be printed.
    timer: OnceLock<(SetTimer, Waker)>,
    alarm: Mutex<LatestAlarm>,
}

impl Reporter {
    /// The text for a task's error.
    const OF_A_TASK: &str = "a task ended in an error";

    /// The text for the error of a connection without an owner.
    pub(crate) const OF_A_CLOSE: &str = "a connection was closed before its peer had everything";

    pub(crate) fn new(
        handler: Option<Handler>,
        now: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self {
            handler,
            reported: AtomicU64::new(0),
            lines: Mutex::default(),
            now: Box::new(now),
            timer: OnceLock::new(),
            alarm: Mutex::default(),
        }
    }

    /// Sets the function that sets a timer. Called once. Without it, lines that are held back are printed
    /// with the next one, and at the close.
    pub(crate) fn set_timer<A: Any + Send + Sync>(
        self: &Arc<Self>,
        set: impl Fn(Instant, Waker) -> A + Send + Sync + 'static,
    ) {
        let waker = Waker::from(Arc::new(ReportTimer(Arc::downgrade(self))));
        self.timer.get_or_init(|| (Box::new(move |at, waker| Box::new(set(at, waker))), waker));
    }

    /// Returns the number of errors reported so far.
    pub(crate) fn count(&self) -> u64 {
        self.reported.load(Ordering::Relaxed)
    }

    /// Reports the error of a task that was started at this place.
    pub(super) fn report_task(&self, place: &'static Location<'static>, error: &Error) {
        self.report_line(&ReportLine::new(Self::OF_A_TASK, error).at(place));
    }

    /// Counts an error and passes it on. Without a handler and a subscriber of `tracing` it is printed, if
    /// [`is_shown`] says so.
    pub(crate) fn report(&self, what: &'static str, error: &Error) {
        self.report_line(&ReportLine::new(what, error));
    }

    fn report_line(&self, line: &ReportLine) {
        let (what, error) = (line.what(), line.error());
        self.reported.fetch_add(1, Ordering::Relaxed);
        let is_shown = is_shown(error);
        let is_taken = trace::report(what, error, is_shown);
        match &self.handler {
            Some(handler) => {
                // A panic of the handler has been printed, and must not end the worker.
                drop(caught(|| handler(error)));
            }
            None if is_taken || !is_shown => {}
            None => self.print_line(line),
        }
    }

    /// Prints an error on standard error, or holds it back if another one of its kind was printed less than
    /// a second ago.
    pub(crate) fn print(&self, what: &'static str, error: &Error) {
        self.print_line(&ReportLine::new(what, error));
    }

    fn print_line(&self, line: &ReportLine) {
        let now = (self.now)();
        let offer = lock(&self.lines).offer(line.clone(), now);
        match offer {
            Offer::Print(line) => line.print(),
            Offer::Hold { wake_at: None } => {}
            Offer::Hold { wake_at: Some(at) } => self.wake_at(at),
        }
    }

    /// Prints what was held back, also if its second is not over. From now on nothing sets a timer: it would
    /// keep the worker's thread.
    pub(crate) fn close(&self) {
        let held = lock(&self.lines).close();
        held.iter().for_each(ReportLine::print);
        let unneeded = std::mem::take(&mut *lock(&self.alarm));
        drop(unneeded);
    }

    /// Prints what was held back for long enough.
    pub(crate) fn print_due(&self) {
        let now = (self.now)();
        let (due, wake_at) = lock(&self.lines).take_due(now);
        due.iter().for_each(ReportLine::print);
        if let Some(at) = wake_at {
            self.wake_at(at);
        }
    }

    fn wake_at(&self, at: Instant) {
        // No lock is held: a worker without a thread starts one for the timer, and prints if it cannot.
        if let Some((set, waker)) = self.timer.get() {
            let alarm = set(at, waker.clone());
            let unneeded = lock(&self.alarm).keep(at, alarm);
            drop(unneeded);
        }
        // Beside a close on another thread, the alarm must not be left.
        if lock(&self.lines).is_closed() {
            let unneeded = std::mem::take(&mut *lock(&self.alarm));
            drop(unneeded);
        }
    }
}

impl Drop for Reporter {
    /// The handle of a task may report after the selector has closed.
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("reported", &self.count()).finish_non_exhaustive()
    }
}

/// The alarm that is due last. An alarm may go off, and another one be set, before the call that has set it
/// comes to keep it: then the other one must stay.
#[derive(Default)]
struct LatestAlarm(Option<(Instant, SetAlarm)>);

impl LatestAlarm {
    /// Keeps this alarm unless the one before is due later. Returns the other one.
    fn keep(&mut self, at: Instant, alarm: SetAlarm) -> Option<SetAlarm> {
        if self.0.as_ref().is_some_and(|(before, _)| *before > at) {
            return Some(alarm);
        }
        self.0.replace((at, alarm)).map(|(_, before)| before)
    }
}

/// The waker of a reporter's timer. Weak, so that a timer keeps no selector.
struct ReportTimer(Weak<Reporter>);

impl Wake for ReportTimer {
    fn wake(self: Arc<Self>) {
        if let Some(reporter) = self.0.upgrade() {
            reporter.print_due();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_alarm_that_is_kept_late_does_not_remove_the_next_one() {
        let mut latest = LatestAlarm::default();
        let now = Instant::now();
        let [first, next] = [Arc::new(1), Arc::new(2)];
        // The first one has gone off, and set the next one, before it is kept.
        latest.keep(now + Duration::from_secs(1), Box::new(Arc::clone(&next)));
        let unneeded = latest.keep(now, Box::new(Arc::clone(&first)));
        drop(unneeded);
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&next)), (1, 2));
        latest.keep(now + Duration::from_secs(2), Box::new(Arc::clone(&first)));
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&next)), (2, 1));
    }
}
