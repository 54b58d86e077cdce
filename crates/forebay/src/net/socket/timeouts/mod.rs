//! Limits on silence: how long a read may wait, a send may make no progress, and a connection may be idle.
//!
//! One timer serves all three, lazily: a byte that moves only records the time. The timer goes off at the
//! earliest moment that could matter, compares the recorded times, and is set again. A connection without
//! such limits has no timer.
//!
//! This process may have been held up for as long as a limit. So no limit ends anything before the link was
//! asked: a late read or send is tried once more, and a connection is idle only if the bytes on their way
//! are the same as at the last look.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use forebay_io::seam::{Outbox, WakeList};
use forebay_io::{Error, ErrorKind};

use super::on_the_way::OnTheWay;
use crate::lock::lock;
use crate::net::options::Silence;
use crate::time::{Alarm, Timers};

const SILENCES: [Silence; 3] = [Silence::Reading, Silence::Writing, Silence::Idling];

/// The deadline of each silence that has one.
type Deadlines = [Option<u64>; 3];

/// The connection that the limits belong to.
pub(super) trait Limited: Send + Sync {
    /// True if the connection is over.
    fn is_released(&self) -> bool;

    /// Makes every wait on the link try its call again.
    fn wake(&self, after: &mut WakeList);

    fn outbox(&self) -> Option<Arc<Outbox>>;

    /// The bytes on their way, by asking the link itself: possibly no event has reported them.
    fn on_the_way(&self) -> OnTheWay;

    /// Ends a connection on which no byte has moved for too long.
    fn expire(&self, cause: Error);
}

/// The limits of one connection, and the times since when each silence lasts.
///
/// Times are nanoseconds since `began`, counted from one; zero means never.
pub(super) struct Timeouts {
    core: Weak<dyn Limited>,
    timers: Arc<Timers>,
    began: Instant,
    limits: [AtomicU64; 3],
    since: [AtomicU64; 3],
    alarm: Mutex<Pending>,
    /// The bytes on their way when the connection looked idle; valid while no byte has moved since.
    looked: Mutex<OnTheWay>,
    moved_since: AtomicBool,
}

#[derive(Debug, Default)]
struct Pending {
    /// Goes off at `due`, unless it is replaced before.
    _timer: Option<Alarm>,
    /// The time when it goes off; zero means that it does not.
    due: u64,
}

impl Timeouts {
    pub(super) fn new(core: Weak<dyn Limited>, timers: Arc<Timers>) -> Arc<Self> {
        let began = timers.now();
        Arc::new(Self {
            core,
            timers,
            began,
            limits: Default::default(),
            since: Default::default(),
            alarm: Mutex::default(),
            looked: Mutex::default(),
            moved_since: AtomicBool::new(true),
        })
    }

    /// Sets a limit; `None` lifts it. Idling counts from now on, the others from when they began.
    pub(super) fn limit(self: &Arc<Self>, silence: Silence, limit: Option<Duration>) {
        let nanos = limit.map_or(0, |limit| nanos(limit).max(1));
        self.limits[silence as usize].store(nanos, Ordering::Relaxed);
        if silence == Silence::Idling {
            self.since[silence as usize].store(self.now(), Ordering::Relaxed);
        }
        self.set_alarm([None; 3]);
    }

    /// The limit of a silence, if it has one.
    pub(super) fn limit_of(&self, silence: Silence) -> Option<Duration> {
        match self.limits[silence as usize].load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// Notes that a wait of this kind goes on, or begins now.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ErrorKind::TimedOut) if it has lasted for too long; the next wait begins anew.
    pub(super) fn waits(self: &Arc<Self>, silence: Silence) -> Result<(), Error> {
        let since = &self.since[silence as usize];
        let now = self.now();
        // If this fails, the wait had begun before.
        since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).ok();
        match self.deadline(silence) {
            Some(deadline) if deadline <= now => {
                since.store(0, Ordering::Relaxed);
                Err(self.error(silence))
            }
            Some(deadline) => {
                self.wake_at(deadline, now);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes that a byte has moved: a wait of this kind is over, and the connection is not idle.
    pub(super) fn moved(&self, silence: Silence) {
        self.since[silence as usize].store(0, Ordering::Relaxed);
        self.since[Silence::Idling as usize].store(self.now(), Ordering::Relaxed);
        self.moved_since.store(true, Ordering::Relaxed);
    }

    /// Ends all limits, as the connection is over: no timer is left behind.
    pub(super) fn end(&self) {
        for limit in &self.limits {
            limit.store(0, Ordering::Relaxed);
        }
        let unneeded = std::mem::take(&mut *lock(&self.alarm));
        drop(unneeded);
    }

    fn deadline(&self, silence: Silence) -> Option<u64> {
        let limit = self.limits[silence as usize].load(Ordering::Relaxed);
        let since = self.since[silence as usize].load(Ordering::Relaxed);
        (limit > 0 && since > 0).then(|| since.saturating_add(limit))
    }

    fn error(&self, silence: Silence) -> Error {
        let limit = Duration::from_nanos(self.limits[silence as usize].load(Ordering::Relaxed));
        let (operation, what) = match silence {
            Silence::Reading => ("read", "no byte came"),
            Silence::Writing => ("write", "the peer took no byte"),
            Silence::Idling => ("wait", "no byte went either way"),
        };
        Error::new(ErrorKind::TimedOut, operation)
            .with_detail(format!("{what} for {limit:?} ({} sets this)", silence.option()))
    }

    fn now(&self) -> u64 {
        nanos(self.timers.now().saturating_duration_since(self.began)).saturating_add(1)
    }

    /// Makes the alarm go off at `deadline` at the latest, which has not passed. May be called under the
    /// outbox's lock.
    fn wake_at(self: &Arc<Self>, deadline: u64, now: u64) {
        let due = lock(&self.alarm).due;
        if due == 0 || deadline < due {
            self.set_alarm(self.passed(now));
        }
    }

    /// The deadlines that have passed.
    fn passed(&self, now: u64) -> Deadlines {
        SILENCES.map(|silence| self.deadline(silence).filter(|deadline| *deadline <= now))
    }

    /// Sets the alarm to the earliest deadline that is not in `told`. The deadlines are compared as such,
    /// and not with the current time: another thread may be late to note a silence that began before.
    fn set_alarm(self: &Arc<Self>, told: Deadlines) {
        // Read under the lock, so that of two threads that set the alarm the second knows all that the
        // first knew.
        let mut pending = lock(&self.alarm);
        let deadlines = SILENCES.map(|silence| self.deadline(silence));
        let untold = deadlines.iter().zip(told).filter(|(deadline, told)| **deadline != *told);
        let next = untold.filter_map(|(deadline, _)| *deadline).min();
        // A time that the clock cannot represent needs no timer.
        let moment = next.and_then(|next| self.began.checked_add(Duration::from_nanos(next - 1)));
        let timer = moment.map(|moment| {
            let bell = Waker::from(Arc::new(SilenceWaker(Arc::downgrade(self))));
            Alarm::set(Arc::clone(&self.timers), moment, bell)
        });
        let new = Pending { _timer: timer, due: next.unwrap_or(0) };
        let replaced = std::mem::replace(&mut *pending, new);
        drop(pending);
        drop(replaced);
    }

    /// Handles the alarm. A wait that has lasted for too long is woken, and its own call reports the error.
    /// An idle connection, for which no call may wait, is ended here.
    fn ring(self: &Arc<Self>) {
        self.ring_at(self.now());
    }

    fn ring_at(self: &Arc<Self>, now: u64) {
        let Some(core) = self.core.upgrade() else { return };
        if core.is_released() {
            return;
        }
        if self.is_idle_for_too_long(now) && !self.has_stirred(&*core) {
            // Possibly no call waits, so the connection is ended here.
            return core.expire(self.error(Silence::Idling));
        }
        // At the same moment: a deadline that has passed since then is in neither, and would have no alarm.
        let passed = self.passed(now);
        let [reading, writing, _] = passed.map(|deadline| deadline.is_some());
        if reading || writing {
            let mut after = WakeList::new();
            core.wake(&mut after);
            after.run();
        }
        self.set_alarm(passed);
    }
}

impl Timeouts {
    fn is_idle_for_too_long(&self, now: u64) -> bool {
        self.deadline(Silence::Idling).is_some_and(|deadline| deadline <= now)
    }

    /// True if a connection that looks idle is not: because the peer takes queued bytes, or because bytes
    /// are on their way that were not there at the last look. This counts like a byte that moved. So bytes
    /// that stay where they are make the connection idle one limit later.
    fn has_stirred(&self, core: &dyn Limited) -> bool {
        if let Some(outbox) = core.outbox()
            && outbox.queued() > 0
        {
            let mut after = WakeList::new();
            core.wake(&mut after);
            after.run();
            outbox.advance();
            if !self.is_idle_for_too_long(self.now()) {
                return true;
            }
        }
        // Before the look, so that a byte that another thread moves from here on invalidates it.
        let moved = self.moved_since.swap(false, Ordering::Relaxed);
        let found = core.on_the_way();
        let known = std::mem::replace(&mut *lock(&self.looked), found);
        let stirred = found != if moved { OnTheWay::default() } else { known };
        if stirred {
            self.since[Silence::Idling as usize].store(self.now(), Ordering::Relaxed);
        }
        stirred
    }
}

/// Rings when the timer goes off. It refers to the limits weakly, because their timer holds it.
struct SilenceWaker(Weak<Timeouts>);

impl Wake for SilenceWaker {
    fn wake(self: Arc<Self>) {
        if let Some(timeouts) = self.0.upgrade() {
            timeouts.ring();
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
